// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/service_graph.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <vector>

#include "agent/base/text.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

// A quoted string of the language. Newlines within are none of the names': those are made
// printable.
std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : PrintableUtf8(text)) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += c;
  }
  return out + '"';
}

std::string EdgeLabel(const Json& peer) {
  const uint64_t port = peer.value("port", uint64_t{0});
  std::string label = port == 0 ? peer.value("protocol", "")
                                : fmt::format("{}/{}", port, peer.value("protocol", ""));
  label += fmt::format(" × {}", peer.value("connections", uint64_t{0}));
  if (const uint64_t failures = peer.value("failures", uint64_t{0}); failures > 0) {
    label += fmt::format(", {} failed", failures);
  }
  return label;
}

}  // namespace

std::string ServiceGraph(const Json& peers) {
  std::set<std::string> workloads;
  std::map<std::string, std::string> others;  // Node → label.
  std::vector<std::string> edges;
  for (const Json& peer : peers) {
    const std::string workload = peer.value("workload", "");
    workloads.insert(workload);
    const std::string of_node = peer.value("peer_workload", "");
    std::string far = "workload " + of_node;
    if (of_node.empty()) {
      const std::string name = peer.value("peer", "");
      // What is folded for one workload is not what is folded for another.
      far = name == "other" ? "others of " + workload : "peer " + name;
      others[far] = name;
    } else {
      workloads.insert(of_node);
    }
    const bool inbound = peer.value("direction", "") == "inbound";
    const std::string near = "workload " + workload;
    const bool failed = peer.value("failures", uint64_t{0}) > 0;
    edges.push_back(fmt::format("  {} -> {} [label={}{}];\n", Quoted(inbound ? far : near),
                                Quoted(inbound ? near : far), Quoted(EdgeLabel(peer)),
                                failed ? ", color=red" : ""));
  }
  std::string out = "digraph vedette {\n  rankdir=LR;\n";
  for (const std::string& workload : workloads) {
    out += fmt::format("  {} [shape=box, label={}];\n", Quoted("workload " + workload),
                       Quoted(workload));
  }
  for (const auto& [node, label] : others) {
    out += fmt::format("  {} [shape=ellipse, label={}];\n", Quoted(node), Quoted(label));
  }
  for (const std::string& edge : edges) {
    out += edge;
  }
  return out + "}\n";
}

}  // namespace vedette
