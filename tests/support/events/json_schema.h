// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vedette {

// What is wrong with `json` by the JSON Schema (draft 7) in the file `schema_path`, below the
// source folder; empty: valid. A keyword that this validator does not know is an error too, so that
// a schema cannot promise what nobody checks.
std::vector<std::string> JsonSchemaErrors(std::string_view json, const std::string& schema_path);

}  // namespace vedette
