// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "exporters/schema/event.pb.h"

namespace vedette {

inline constexpr std::string_view kFindingSchemaId = "ocsf/1.8.0/detection_finding";
inline constexpr std::string_view kLedgerSchemaId = "vedette.ledger/1";

// What the JSON of an event obeys: the value of the Kafka header "schema".
std::string_view SchemaId(const pb::Event& event);

// An event as one line of JSON without the newline, as every transport carries it.
std::string EncodeJson(const pb::Event& event);

}  // namespace vedette
