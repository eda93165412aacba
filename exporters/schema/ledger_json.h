// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "exporters/schema/event.pb.h"

namespace vedette {

// A ledger event as JSON, in the shape of exporters/schema/ledger.schema.json. It has no OCSF
// class: readers tell it by "schema": "vedette.ledger/1".
std::string LedgerJson(const pb::Event& event);

}  // namespace vedette
