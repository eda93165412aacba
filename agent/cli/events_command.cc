// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "agent/cli/commands.h"
#include "agent/cli/table.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

std::string Text(const Json& object, const char* key) {
  return FormatValue(object.value(key, Json()), Format::kText);
}

// "03:04:05 host/nginx.service  exec     learned    /usr/bin/curl http://x, by /bin/sh"
void PrintEvent(const Json& event, const CliIo& io) {
  std::string time = FormatValue(event.value("time", Json()), Format::kTime);
  std::string judgement = Text(event, "judgement");
  std::string padded = fmt::format("{:<9}", judgement);
  io.out << fmt::format("{} {}  {:<10} {}  {}\n",
                        Paint(time.substr(time.find(' ') + 1), Colour::kFaint, io.terminal),
                        Text(event, "workload"), Text(event, "kind"),
                        Paint(padded, ColourOf(judgement), io.terminal), Text(event, "summary"));
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
      PrintEvent(event, io);
    } else {
      // A stream has no end to close a list with, so json is jsonl here.
      PrintJson(event, "", Output::kJsonl, io);
    }
    io.out.flush();
    return io.out.good() && (events.limit == 0 || ++seen < events.limit);
  };
  absl::Status status = ApiClient(options.socket).Stream("/v1/events", query, on_event);
  return status.ok() ? kExitYes : Fail(status, io);
}

}  // namespace vedette
