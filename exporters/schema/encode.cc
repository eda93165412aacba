// SPDX-License-Identifier: Apache-2.0
#include "exporters/schema/encode.h"

#include "exporters/schema/ledger_json.h"
#include "exporters/schema/ocsf.h"

namespace vedette {

std::string_view SchemaId(const pb::Event& event) {
  return event.has_ledger() ? kLedgerSchemaId : kFindingSchemaId;
}

std::string EncodeJson(const pb::Event& event) {
  return event.has_ledger() ? LedgerJson(event) : OcsfJson(event);
}

}  // namespace vedette
