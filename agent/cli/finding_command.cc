// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "agent/cli/commands.h"
#include "agent/cli/table.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

std::string Text(const Json& object, const char* key, Format format = Format::kText) {
  return object.is_object() ? FormatValue(object.value(key, Json()), format) : "";
}

void PrintLine(const char* label, const std::string& text, const CliIo& io) {
  if (!text.empty()) {
    io.out << fmt::format("  {:<11} {}\n", label, text);
  }
}

// Arguments as a person would type them; a blank inside one shows by quotes.
std::string CommandLine(const Json& process) {
  std::string line;
  for (const Json& argument : process.value("argv", Json::array())) {
    std::string text = FormatValue(argument, Format::kText);
    bool quote = text.empty() || text.find(' ') != std::string::npos;
    line += (line.empty() ? "" : " ") + (quote ? "'" + text + "'" : text);
  }
  return line;
}

// "uid 33 gid 33", with what is in force where that is another; empty where it is not known.
std::string UserText(const Json& process) {
  if (!process.contains("uid")) {
    return "";
  }
  const auto text = [&process](const char* real, const char* effective) {
    const std::string id = Text(process, real);
    const std::string in_force = Text(process, effective);
    return id == in_force ? id : fmt::format("{} (effective {})", id, in_force);
  };
  return fmt::format("uid {} gid {}", text("uid", "euid"), text("gid", "egid"));
}

std::string ProcessLine(const Json& process) {
  if (process.value("unknown", false)) {
    return "(ended before the agent first started)";
  }
  std::string script = Text(process, "script");
  std::string line = CommandLine(process);
  return fmt::format("{} [{}]{}{}", Text(process, "path"), Text(process, "pid"),
                     script.empty() ? "" : " script " + script, line.empty() ? "" : "  " + line);
}

void PrintFinding(const Json& finding, const CliIo& io) {
  std::string severity = Text(finding, "severity");
  io.out << fmt::format("{}  {}\n{}\n\n", Paint(severity, ColourOf(severity), io.terminal),
                        Text(finding, "title"), Text(finding, "sentence"));
  PrintLine("id", Text(finding, "uid"), io);
  PrintLine("workload", Text(finding, "workload"), io);
  PrintLine("score", Text(finding, "score_bits") + " bits", io);
  PrintLine("profile", Text(finding, "profile_state"), io);
  PrintLine("first seen", Text(finding, "first_seen", Format::kTime), io);
  PrintLine("last seen", Text(finding, "last_seen", Format::kTime), io);
  PrintLine("count", Text(finding, "count"), io);
  PrintLine("default", Text(finding, "default_profile"), io);
  if (const Json dismissal = finding.value("dismissal", Json::object()); !dismissal.empty()) {
    PrintLine("dismissed",
              fmt::format("by {} at {}: {}", Text(dismissal, "user"),
                          Text(dismissal, "time", Format::kTime), Text(dismissal, "reason")),
              io);
  }
  PrintLine("peer", Text(finding, "peer"), io);
  const Json process = finding.value("process", Json::object());
  if (process.empty()) {
    return;
  }
  PrintLine("sha256", Text(process, "sha256"), io);
  PrintLine("origin", Text(process, "origin"), io);
  PrintLine("user", UserText(process), io);
  io.out << "\n  " << ProcessLine(process) << '\n';
  size_t depth = 1;
  for (const Json& ancestor : finding.value("ancestors", Json::array())) {
    io.out << std::string(2 * ++depth, ' ') << "started by " << ProcessLine(ancestor) << '\n';
  }
}

}  // namespace

int FindingListCommand(const ClientOptions& options, const FindingListOptions& list,
                       const CliIo& io) {
  ApiClient::Query query = {{"limit", std::to_string(list.limit)}};
  if (!list.workload.empty()) {
    query.emplace_back("workload", list.workload);
  }
  if (list.all) {
    query.emplace_back("status", "all");
  }
  absl::StatusOr<Json> findings = ApiClient(options.socket).Get("/v1/findings", query);
  if (!findings.ok()) {
    return Fail(findings.status(), io);
  }
  if (options.output != Output::kTable) {
    PrintJson(*findings, "findings", options.output, io);
    return kExitYes;
  }
  Json rows = findings->value("findings", Json::array());
  if (rows.empty()) {
    io.out << "no findings\n";
    return kExitYes;
  }
  for (Json& row : rows) {
    if (row.value("status", "new") == "new") {
      row.erase("status");  // What nearly all are says nothing.
    }
  }
  PrintTable({{"ID", "uid"},
              {"STATUS", "status"},
              {"SEVERITY", "severity", Format::kState},
              {"SCORE", "score_bits", Format::kNumber},
              {"COUNT", "count", Format::kNumber},
              {"LAST SEEN", "last_seen", Format::kTime},
              {"WHAT", "title"}},
             rows, {io.terminal}, io.out);
  if (rows.size() == list.limit) {
    io.out << fmt::format("… the newest {}; -n shows more\n", list.limit);
  }
  return kExitYes;
}

int FindingDismissCommand(const ClientOptions& options, const std::string& uid,
                          const std::string& reason, const CliIo& io) {
  const ApiClient client(options.socket);
  absl::StatusOr<Json> finding =
      reason.empty() ? client.Post("/v1/finding/restore", {{"uid", uid}})
                     : client.Post("/v1/finding/dismiss", {{"uid", uid}, {"reason", reason}});
  if (!finding.ok()) {
    return Fail(finding.status(), io);
  }
  if (options.output != Output::kTable) {
    PrintJson(*finding, "", options.output, io);
  } else if (reason.empty()) {
    io.out << fmt::format("restored: {}\nit is a finding again, and its next act is told\n",
                          Text(*finding, "title"));
  } else {
    io.out << fmt::format(
        "dismissed: {}\n{} takes it for normal now; `vedette finding dismiss {} --undo` takes that "
        "back\n",
        Text(*finding, "title"), Text(*finding, "workload"), Text(*finding, "uid"));
  }
  return kExitYes;
}

int FindingShowCommand(const ClientOptions& options, const std::string& uid, const CliIo& io) {
  absl::StatusOr<Json> finding = ApiClient(options.socket).Get("/v1/finding", {{"uid", uid}});
  if (!finding.ok()) {
    return Fail(finding.status(), io);
  }
  if (options.output == Output::kTable) {
    PrintFinding(*finding, io);
  } else {
    PrintJson(*finding, "", options.output, io);
  }
  return kExitYes;
}

}  // namespace vedette
