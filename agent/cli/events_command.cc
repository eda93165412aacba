// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "agent/base/text.h"
#include "agent/base/workload_name.h"
#include "agent/cli/commands.h"
#include "agent/cli/table.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

std::string Text(const Json& object, const char* key) {
  return FormatValue(object.value(key, Json()), Format::kText);
}

// A stream's lines are aligned by what came so far.
class EventPrinter {
 public:
  explicit EventPrinter(const CliIo& io) : io_(io) {}

  // "03:04:05 host/nginx.service  exec     learned        42  /usr/bin/curl http://x, by /bin/sh"
  void Print(const Json& event) {
    const std::string time = FormatValue(event.value("time", Json()), Format::kTime);
    const std::string workload = Text(event, "workload");
    const std::string judgement = Text(event, "judgement");
    width_ = std::max(width_, std::min(DisplayWidth(workload), kMaxWidth));
    const std::string blanks(width_ - std::min(width_, DisplayWidth(workload)), ' ');
    io_.out << fmt::format(
        "{} {}{}  {:<10} {}  {:>7}  {}\n",
        Paint(time.substr(time.find(' ') + 1), Colour::kFaint, io_.terminal), workload, blanks,
        Text(event, "kind"),
        Paint(fmt::format("{:<9}", judgement), ColourOf(judgement), io_.terminal), Pid(event),
        Text(event, "summary"));
  }

 private:
  static constexpr size_t kMaxWidth = 40;

  // A cgroup has none.
  static std::string Pid(const Json& event) {
    return event.value("pid", Json()) == 0 ? "" : Text(event, "pid");
  }

  const CliIo& io_;
  size_t width_ = 0;
};

// Who waits for a name that is misspelt waits for ever.
void SayWhoIsNotThere(const ApiClient& client, const EventsOptions& events, const CliIo& io) {
  const absl::StatusOr<Json> answer =
      events.workloads.empty() ? absl::UnknownError("") : client.Get("/v1/profiles");
  if (!answer.ok()) {
    return;
  }
  const Json profiles = answer->value("profiles", Json::array());
  for (const std::string& asked : events.workloads) {
    const bool there = std::any_of(profiles.begin(), profiles.end(), [&](const Json& profile) {
      return NamesWorkload(asked, profile.value("workload", ""));
    });
    if (!there) {
      io.err << fmt::format(
          "vedette: no workload is called {} so far, see `vedette profile list`; "
          "its events are shown once it is there\n",
          PrintableUtf8(asked));
    }
  }
}

}  // namespace

int EventsCommand(const ClientOptions& options, const EventsOptions& events, const CliIo& io) {
  ApiClient::Query query;
  for (const std::string& workload : events.workloads) {
    query.emplace_back("workload", workload);
  }
  for (const std::string& kind : events.kinds) {
    query.emplace_back("kind", kind);
  }
  size_t seen = 0;
  EventPrinter printer(io);
  auto on_event = [&](std::string_view name, std::string_view data) {
    Json event = Json::parse(data, nullptr, /*allow_exceptions=*/false);
    if (!event.is_object()) {
      io.err << "vedette: an event is not a JSON object; are agent and command of one version?\n";
      return true;
    }
    if (name == "dropped") {
      io.err << fmt::format("vedette: {} events were lost here: the reader was too slow\n",
                            Text(event, "dropped"));
      return true;
    }
    if (options.output == Output::kTable) {
      printer.Print(event);
    } else {
      // A stream has no end to close a list with, so json is jsonl here.
      PrintJson(event, "", Output::kJsonl, io);
    }
    io.out.flush();
    return io.out.good() && (events.limit == 0 || ++seen < events.limit);
  };
  const ApiClient client(options.socket);
  SayWhoIsNotThere(client, events, io);
  absl::Status status = client.Stream("/v1/events", query, on_event);
  return status.ok() ? kExitYes : Fail(status, io);
}

}  // namespace vedette
