// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vedette {

// What is wrong with `json` by tests/ocsf/ocsf-1.8.0.json, one sentence each with the path of the
// attribute; empty: it is a valid event. Checks unknown attributes, required ones, types, formats,
// ranges, enums, constraints, profiles and type_uid.
std::vector<std::string> OcsfErrors(std::string_view json);

}  // namespace vedette
