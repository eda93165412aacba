// SPDX-License-Identifier: Apache-2.0
#include "tests/support/events/record_errors.h"

#include "tests/support/events/json_schema.h"
#include "tests/support/events/ocsf_validator.h"

namespace vedette {

std::vector<std::string> RecordErrors(const std::string& json) {
  return json.starts_with(R"({"schema":"vedette.ledger/)")
             ? JsonSchemaErrors(json, "exporters/schema/ledger.schema.json")
             : OcsfErrors(json);
}

}  // namespace vedette
