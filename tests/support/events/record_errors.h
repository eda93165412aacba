// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace vedette {

// What is wrong with a record that the agent sends, by the schema of its kind: a ledger's by ours,
// any other by OCSF's. Empty: nothing.
std::vector<std::string> RecordErrors(const std::string& json);

}  // namespace vedette
