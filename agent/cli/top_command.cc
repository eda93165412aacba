// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <sstream>

#include "agent/cli/commands.h"
#include "agent/cli/screen.h"
#include "agent/cli/table.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

constexpr size_t kWideEnough = 130;
constexpr absl::Duration kRefresh = absl::Seconds(1);

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

// The busiest first, since a screen holds only some; the agent gives them by name.
void SortByRate(Json& workloads) {
  const auto rate = [](const Json& workload) {
    return workload.value("execs_rate", 0.0) + workload.value("flows_rate", 0.0);
  };
  std::stable_sort(workloads.begin(), workloads.end(),
                   [&](const Json& a, const Json& b) { return rate(a) > rate(b); });
}

// How many rows of each of the two tables are shown.
struct Room {
  size_t workloads = std::numeric_limits<size_t>::max();
  size_t flows = std::numeric_limits<size_t>::max();
};

Room RoomOn(ScreenSize size, size_t workloads, size_t flows) {
  // Title and blank, two headers, a blank, two lines that say what is left out, the cursor's line.
  constexpr size_t kOtherLines = 8;
  constexpr size_t kLeast = 2;
  const size_t rows = std::max(size.rows, kOtherLines + 2 * kLeast) - kOtherLines;
  const size_t beside_flows = rows - std::min(rows, flows);
  Room room;
  room.workloads = std::min(workloads, std::max(rows / 2, beside_flows));
  room.flows = std::max(kLeast, rows - std::min(rows, room.workloads));
  return room;
}

// Where and how the two tables are printed.
struct Layout {
  Room room;
  TableStyle style;
};

// "": all rows are shown.
std::string LeftOut(size_t rows, size_t shown) {
  return rows > shown ? fmt::format("… and {} more; -o json shows all\n", rows - shown) : "";
}

void PrintTop(Json& top, const Layout& layout, std::ostream& out) {
  // Without how far learning is there is room for the names.
  const bool narrow = layout.style.width > 0 && layout.style.width < kWideEnough;
  const Json& workloads = top["workloads"];
  if (workloads.empty()) {
    out << "no workload has done anything yet\n";
    return;
  }
  PrintTable({{"WORKLOAD", "name"},
              {"PROFILE", narrow ? "state" : "state_text", Format::kState},
              {"BEHAVIOURS", "behaviours", Format::kNumber},
              {"EXECS", "execs", Format::kNumber},
              {"/S", "execs_rate", Format::kNumber},
              {"FLOWS", "flows", Format::kNumber},
              {"/S", "flows_rate", Format::kNumber},
              {"NEW", "new", Format::kNumber},
              {"FINDINGS", "findings", Format::kNumber}},
             First(workloads, layout.room.workloads), layout.style, out);
  out << LeftOut(workloads.size(), layout.room.workloads);
  const Json& flows = top["flows"];
  if (!flows.empty()) {
    out << "\n";
    PrintTable({{"WORKLOAD", "workload"},
                {"DIRECTION", "direction"},
                {"PEER", "peer"},
                {"PORT", "port", Format::kPort},
                {"PROTOCOL", "protocol"},
                {"CONNECTIONS", "connections", Format::kNumber},
                {"FAILED", "failures", Format::kNumber},
                {"SENT", "sent_bytes", Format::kBytes},
                {"RECEIVED", "received_bytes", Format::kBytes}},
               First(flows, layout.room.flows), layout.style, out);
    out << LeftOut(flows.size(), layout.room.flows);
  }
}

void DrawTop(Json& top, Screen& screen) {
  SortByRate(top["workloads"]);
  const ScreenSize size = screen.size();
  const size_t workloads = top["workloads"].size();
  std::ostringstream text;
  PrintTop(top,
           {.room = RoomOn(size, workloads, top["flows"].size()),
            .style = {.terminal = true, .width = size.columns}},
           text);
  screen.Draw(fmt::format("{} workload{}", workloads, workloads == 1 ? "" : "s"), text.str());
}

}  // namespace

int TopCommand(const ClientOptions& options, bool once, const CliIo& io) {
  ApiClient client(options.socket);
  bool refresh = io.terminal && !once && options.output == Output::kTable;
  Rates rates;
  Screen screen(io);
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
    if (refresh) {
      DrawTop(*answer, screen);
    } else {
      PrintTop(*answer, {.room = {}, .style = {.terminal = io.terminal}}, io.out);
    }
  } while (refresh && io.out.good() && io.wait(kRefresh));
  return kExitYes;
}

}  // namespace vedette
