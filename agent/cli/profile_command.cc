// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "agent/cli/commands.h"
#include "agent/cli/table.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

std::string Text(const Json& object, const char* key, Format format = Format::kText) {
  return FormatValue(object.value(key, Json()), format);
}

const std::vector<Column>& BehaviourColumns() {
  static const std::vector<Column> kColumns = {{"CHANNEL", "channel"},
                                               {"BY", "subject"},
                                               {"WHAT", "object"},
                                               {"SCRIPT", "script"},
                                               {"COUNT", "count", Format::kNumber},
                                               {"FAILED", "failures", Format::kNumber},
                                               {"FIRST SEEN", "first_seen", Format::kTime},
                                               {"LAST SEEN", "last_seen", Format::kTime},
                                               {"SCORE", "score_bits", Format::kNumber},
                                               {"SOURCES", "sources", Format::kCount},
                                               {"DISMISSED", "dismissed"}};
  return kColumns;
}

Json ChannelRows(const Json& profile) {
  Json rows = Json::array();
  const Json channels = profile.value("channels", Json::object());
  for (const auto& [name, counts] : channels.items()) {
    Json& row = rows.emplace_back(counts);
    row["channel"] = name;
  }
  return rows;
}

// Those in which anything happened.
Json ActiveChannels(const Json& profile) {
  Json rows = Json::array();
  for (const Json& row : ChannelRows(profile)) {
    if (row.value("behaviours", 0) + row.value("deviations", 0) + row.value("active_windows", 0) >
        0) {
      rows.push_back(row);
    }
  }
  return rows;
}

// A port that the kernel chose is 0 in what is learned of it: each start has another one.
void SayPorts(Json& behaviours) {
  for (Json& behaviour : behaviours) {
    std::string object = Text(behaviour, "object");
    const size_t at = object.starts_with("0/") ? 0 : object.find(" -> 0/");
    const std::string channel = behaviour.value("channel", "");
    if (at != std::string::npos && (channel == "listen" || channel == "accept")) {
      object.replace(object.find("0/", at), 1, "any");
      behaviour["object"] = object;
    }
  }
}

// How far learning was when it ended; while it goes on, the state says how far it is.
std::string LearnedFrom(const Json& profile) {
  return profile.value("state", "") == "learning" ? "" : profile.value("progress", "");
}

// One line per profile: the channels' counts added up.
Json SummaryRows(const Json& profiles) {
  Json rows = Json::array();
  for (const Json& profile : profiles) {
    Json& row = rows.emplace_back(profile);
    uint64_t behaviours = 0, deviations = 0;
    for (const Json& channel : ChannelRows(profile)) {
      behaviours += channel.value("behaviours", uint64_t{0});
      deviations += channel.value("deviations", uint64_t{0});
    }
    row["learned_from"] = LearnedFrom(profile);
    row["behaviours"] = behaviours;
    row["deviations"] = deviations;
  }
  return rows;
}

// What is in a profile because a person dismissed its finding.
void SayDismissals(Json& behaviours) {
  for (Json& behaviour : behaviours) {
    if (const Json dismissal = behaviour.value("dismissal", Json::object()); !dismissal.empty()) {
      behaviour["dismissed"] =
          fmt::format("by {} at {}: {}", Text(dismissal, "user"),
                      Text(dismissal, "time", Format::kTime), Text(dismissal, "reason"));
    }
  }
}

void PrintProfile(const Json& profile, const CliIo& io) {
  std::string state = Text(profile, "state_text");
  io.out << fmt::format(
      "{}  {}\n{}\nwatched for {} since {}{}\n", Text(profile, "workload"),
      Paint(state, ColourOf(state), io.terminal), Text(profile, "identity"),
      Text(profile, "watched_seconds", Format::kDuration),
      Text(profile, "first_seen", Format::kTime),
      profile.value("is_job", false) ? fmt::format(", a job: {} runs", Text(profile, "runs")) : "");
  if (std::string cover = profile.value("default_profile", ""); !cover.empty()) {
    io.out << fmt::format("default profile: {}; its findings are never above low\n",
                          FormatValue(cover, Format::kText));
  }
  const Json expected = profile.value("expected", Json::object());
  for (const auto& [act, cover] : expected.items()) {
    io.out << fmt::format("default profile: {}; acts of channel {} are no findings\n",
                          FormatValue(cover, Format::kText), FormatValue(act, Format::kText));
  }
  if (std::string from = LearnedFrom(profile); !from.empty()) {
    io.out << fmt::format("learned from {}\n", from);
  }
  io.out << '\n';
  PrintTable({{"CHANNEL", "channel"},
              {"BEHAVIOURS", "behaviours", Format::kNumber},
              {"DEVIATIONS", "deviations", Format::kNumber},
              {"WINDOWS", "active_windows", Format::kNumber},
              {"WITH NEWS", "novel_windows", Format::kNumber}},
             ActiveChannels(profile), {io.terminal}, io.out);
  for (const auto& [key, title] :
       {std::pair("behaviours", "learned"), {"deviations", "deviating"}}) {
    Json rows = profile.value(key, Json::array());
    SayDismissals(rows);
    SayPorts(rows);
    if (rows.is_array() && !rows.empty()) {
      io.out << '\n' << title << ":\n";
      PrintTable(BehaviourColumns(), rows, {io.terminal}, io.out);
    }
  }
}

}  // namespace

int ProfileListCommand(const ClientOptions& options, const CliIo& io) {
  absl::StatusOr<Json> list = ApiClient(options.socket).Get("/v1/profiles");
  if (!list.ok()) {
    return Fail(list.status(), io);
  }
  if (options.output != Output::kTable) {
    PrintJson(*list, "profiles", options.output, io);
    return kExitYes;
  }
  const Json rows = SummaryRows(list->value("profiles", Json::array()));
  if (rows.empty()) {
    io.out << "no profiles yet\n";
    return kExitYes;
  }
  PrintTable({{"WORKLOAD", "workload"},
              {"STATE", "state_text", Format::kState},
              {"LEARNED FROM", "learned_from"},
              {"WATCHED", "watched_seconds", Format::kDuration},
              {"BEHAVIOURS", "behaviours", Format::kNumber},
              {"DEVIATIONS", "deviations", Format::kNumber},
              {"FIRST SEEN", "first_seen", Format::kTime}},
             rows, {io.terminal}, io.out);
  return kExitYes;
}

int ProfileShowCommand(const ClientOptions& options, const std::string& workload, const CliIo& io) {
  absl::StatusOr<Json> profile =
      ApiClient(options.socket).Get("/v1/profile", {{"workload", workload}});
  if (!profile.ok()) {
    return Fail(profile.status(), io);
  }
  if (options.output == Output::kTable) {
    PrintProfile(*profile, io);
  } else {
    PrintJson(*profile, "behaviours", options.output, io);
  }
  return kExitYes;
}

int ProfileExportCommand(const ClientOptions& options, const std::string& workload,
                         const CliIo& io) {
  absl::StatusOr<Json> profile =
      ApiClient(options.socket).Get("/v1/profile/export", {{"workload", workload}});
  if (!profile.ok()) {
    return Fail(profile.status(), io);
  }
  PrintJson(*profile, "", options.output == Output::kJsonl ? Output::kJsonl : Output::kJson, io);
  return kExitYes;
}

int ProfileFreezeCommand(const ClientOptions& options, const std::vector<std::string>& workloads,
                         const CliIo& io) {
  Json body = workloads.empty() ? Json{{"all", true}} : Json{{"workloads", workloads}};
  absl::StatusOr<Json> frozen = ApiClient(options.socket).Post("/v1/profile/freeze", body);
  if (!frozen.ok()) {
    return Fail(frozen.status(), io);
  }
  if (options.output != Output::kTable) {
    PrintJson(*frozen, "frozen", options.output, io);
    return kExitYes;
  }
  const Json rows = frozen->value("frozen", Json::array());
  if (rows.empty()) {
    io.out << "nothing to freeze: all of it is frozen already\n";
    return kExitYes;
  }
  PrintTable({{"WORKLOAD", "workload"}, {"STATE", "state_text", Format::kState}}, rows,
             {io.terminal}, io.out);
  return kExitYes;
}

}  // namespace vedette
