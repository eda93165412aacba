// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "agent/cli/commands.h"
#include "agent/cli/screen.h"
#include "agent/cli/service_graph.h"
#include "agent/cli/table.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kRefresh = absl::Seconds(1);
// Title and blank, the header, the line that says what is left out, the cursor's line.
constexpr size_t kOtherLines = 5;

std::string LatencyText(const Json& seconds) {
  if (!seconds.is_number()) {
    return "";
  }
  const double value = seconds.get<double>();
  return value < 1e-3  ? fmt::format("{:.0f} us", value * 1e6)
         : value < 1.0 ? fmt::format("{:.1f} ms", value * 1e3)
                       : fmt::format("{:.1f} s", value);
}

void PrintPeers(const Json& peers, size_t limit, TableStyle style, std::ostream& out) {
  if (peers.empty()) {
    out << "no connections yet\n";
    return;
  }
  Json rows = Json::array();
  for (const Json& peer : peers) {
    if (rows.size() == limit) {
      break;
    }
    Json row = peer;
    const std::string what = peer.value("direction", "") == "inbound" ? "rtt" : "connect";
    row["median"] = LatencyText(peer.value(what + "_median_seconds", Json()));
    row["p99"] = LatencyText(peer.value(what + "_p99_seconds", Json()));
    rows.push_back(std::move(row));
  }
  PrintTable({{"WORKLOAD", "workload"},
              {"DIRECTION", "direction"},
              {"PEER", "peer"},
              {"PORT", "port", Format::kPort},
              {"PROTOCOL", "protocol"},
              {"CONNECTIONS", "connections", Format::kNumber},
              {"FAILED", "failures", Format::kNumber},
              {"SENT", "sent_bytes", Format::kBytes},
              {"RECEIVED", "received_bytes", Format::kBytes},
              {"RETRANSMITS", "retransmits", Format::kNumber},
              {"MEDIAN", "median", Format::kNumber},
              {"P99", "p99", Format::kNumber},
              {"LAST SEEN", "last_seen", Format::kTime}},
             rows, style, out);
  if (rows.size() < peers.size()) {
    out << fmt::format("… and {} more; -o json shows all\n", peers.size() - rows.size());
  }
}

}  // namespace

int PeersCommand(const ClientOptions& options, bool once, const CliIo& io) {
  const ApiClient client(options.socket);
  const bool refresh = io.terminal && !once && options.output == Output::kTable;
  Screen screen(io);
  do {
    const absl::StatusOr<Json> answer = client.Get("/v1/top/peers");
    if (!answer.ok()) {
      return Fail(answer.status(), io);
    }
    const Json peers = answer->value("peers", Json::array());
    if (options.output == Output::kDot) {
      io.out << ServiceGraph(peers);
      return kExitYes;
    }
    if (options.output != Output::kTable) {
      PrintJson(*answer, "peers", options.output, io);
      return kExitYes;
    }
    if (!refresh) {
      PrintPeers(peers, peers.size(), {.terminal = io.terminal}, io.out);
      return kExitYes;
    }
    const ScreenSize size = screen.size();
    std::ostringstream text;
    PrintPeers(peers, std::max(size.rows, kOtherLines + 1) - kOtherLines,
               {.terminal = true, .width = size.columns}, text);
    screen.Draw(fmt::format("{} peer{}", peers.size(), peers.size() == 1 ? "" : "s"), text.str());
  } while (io.out.good() && io.wait(kRefresh));
  return kExitYes;
}

}  // namespace vedette
