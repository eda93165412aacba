// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace vedette {

// The peers of docs/api.md as a Graphviz graph: a box for each workload of this node, an ellipse
// for each other peer, and an edge per flow, from who connects to who is connected to.
std::string ServiceGraph(const nlohmann::json& peers);

}  // namespace vedette
