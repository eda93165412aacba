// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "agent/cli/commands.h"
#include "agent/cli/table.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kRefresh = absl::Seconds(1);
constexpr size_t kMaxRows = 20;  // Per table on a terminal.

// What a workload did since the look before, per second.
class Rates {
 public:
  void AddTo(Json& workloads, double now_seconds) {
    double elapsed = now_seconds - last_seconds_;
    for (Json& workload : workloads) {
      std::string name = workload.value("name", "");
      for (const char* key : {"execs", "flows"}) {
        double total = workload.value(key, 0.0);
        auto [it, first] = last_.emplace(name + "\n" + key, total);
        if (!first && elapsed > 0 && total >= it->second) {
          workload[std::string(key) + "_rate"] = (total - it->second) / elapsed;
        }
        it->second = total;
      }
    }
    last_seconds_ = now_seconds;
  }

 private:
  std::map<std::string, double> last_;
  double last_seconds_ = 0;
};

Json First(const Json& rows, size_t limit) {
  Json out = Json::array();
  for (size_t i = 0; i < std::min(rows.size(), limit); ++i) {
    out.push_back(rows[i]);
  }
  return out;
}

void PrintRows(const std::vector<Column>& columns, const Json& rows, const CliIo& io,
               std::ostream& out) {
  size_t limit = io.terminal ? kMaxRows : rows.size();
  PrintTable(columns, First(rows, limit), io.terminal, out);
  if (rows.size() > limit) {
    out << fmt::format("… and {} more; -o json shows all\n", rows.size() - limit);
  }
}

void PrintTop(Json& top, const CliIo& io, std::ostream& out) {
  const Json& workloads = top["workloads"];
  if (workloads.empty()) {
    out << "no workload has done anything yet\n";
    return;
  }
  PrintRows({{"WORKLOAD", "name"},
             {"PROFILE", "state_text", Format::kState},
             {"BEHAVIOURS", "behaviours", Format::kNumber},
             {"EXECS", "execs", Format::kNumber},
             {"/S", "execs_rate", Format::kNumber},
             {"FLOWS", "flows", Format::kNumber},
             {"/S", "flows_rate", Format::kNumber},
             {"NEW", "new", Format::kNumber},
             {"FINDINGS", "findings", Format::kNumber}},
            workloads, io, out);
  const Json& flows = top["flows"];
  if (!flows.empty()) {
    out << "\n";
    PrintRows({{"WORKLOAD", "workload"},
               {"DIRECTION", "direction"},
               {"PEER", "peer"},
               {"PORT", "port", Format::kPort},
               {"PROTOCOL", "protocol"},
               {"CONNECTIONS", "connections", Format::kNumber},
               {"FAILED", "failures", Format::kNumber},
               {"SENT", "sent_bytes", Format::kBytes},
               {"RECEIVED", "received_bytes", Format::kBytes}},
              flows, io, out);
  }
}

}  // namespace

int TopCommand(const ClientOptions& options, bool once, const CliIo& io) {
  ApiClient client(options.socket);
  bool refresh = io.terminal && !once && options.output == Output::kTable;
  Rates rates;
  double seconds = 0;
  do {
    absl::StatusOr<Json> answer = client.Get("/v1/top");
    if (!answer.ok()) {
      return Fail(answer.status(), io);
    }
    if (options.output != Output::kTable) {
      PrintJson(*answer, "workloads", options.output, io);
      return kExitYes;
    }
    for (const char* key : {"workloads", "flows"}) {
      if (!answer->contains(key) || !(*answer)[key].is_array()) {
        (*answer)[key] = Json::array();
      }
    }
    seconds = answer->value("uptime_seconds", seconds + absl::ToDoubleSeconds(kRefresh));
    rates.AddTo((*answer)["workloads"], seconds);
    std::ostringstream screen;
    PrintTop(*answer, io, screen);
    io.out << (refresh ? "\x1b[H\x1b[2J" : "") << screen.str() << std::flush;
  } while (refresh && io.out.good() && io.wait(kRefresh));
  return kExitYes;
}

}  // namespace vedette
