// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "agent/base/text.h"
#include "agent/cli/commands.h"
#include "agent/cli/table.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

std::string Text(const Json& object, const char* key) {
  return FormatValue(object.value(key, Json()), Format::kText);
}

void PrintSection(const Json& doctor, const char* key, const std::vector<Column>& columns,
                  const CliIo& io) {
  const Json rows = doctor.value(key, Json::array());
  if (!rows.empty()) {
    io.out << '\n';
    PrintTable(columns, rows, {io.terminal}, io.out);
  }
}

// The account is long on a machine with many CPUs; what balances and lost nothing is summed up per
// stage.
Json SumByStage(const Json& ledger) {
  Json sums = Json::array();
  for (const Json& entry : ledger) {
    std::string stage = entry.value("stage", "");
    if (sums.empty() || sums.back()["stage"] != stage) {
      sums.push_back({{"stage", stage},
                      {"received", uint64_t{0}},
                      {"delivered", uint64_t{0}},
                      {"in_flight", int64_t{0}},
                      {"lost", uint64_t{0}},
                      {"dropped", Json::object()}});
    }
    Json& sum = sums.back();
    sum["received"] = sum["received"].get<uint64_t>() + entry.value("received", uint64_t{0});
    sum["delivered"] = sum["delivered"].get<uint64_t>() + entry.value("delivered", uint64_t{0});
    sum["in_flight"] = sum["in_flight"].get<int64_t>() + entry.value("in_flight", int64_t{0});
    sum["lost"] = sum["lost"].get<uint64_t>() + entry.value("lost", uint64_t{0});
    const Json dropped = entry.value("dropped", Json::object());
    for (const auto& [reason, count] : dropped.items()) {
      if (count != 0) {
        sum["dropped"][reason] = sum["dropped"].value(reason, uint64_t{0}) + count.get<uint64_t>();
      }
    }
  }
  return sums;
}

// A map of counts as a table; what never happened is left out.
void PrintCounts(const Json& doctor, const char* key, const char* title, const CliIo& io) {
  Json rows = Json::array();
  const Json counts = doctor.value(key, Json::object());
  for (const auto& [name, count] : counts.items()) {
    if (count != 0) {
      rows.push_back({{"name", name}, {"count", count}});
    }
  }
  PrintSection({{"counts", rows}}, "counts", {{title, "name"}, {"COUNT", "count", Format::kNumber}},
               io);
}

// What this node loses beside the records of the ledger.
void PrintLosses(const Json& doctor, const CliIo& io) {
  PrintCounts(doctor, "kernel_errors", "IN THE KERNEL", io);
  PrintCounts(doctor, "degradations", "INCOMPLETE", io);
  PrintCounts(doctor, "hashing", "HASHING", io);
  PrintCounts(doctor, "bookkeeping", "BOOKKEEPING", io);
  PrintCounts(doctor, "redaction", "REDACTED", io);
}

void PrintStore(const Json& doctor, const CliIo& io) {
  const Json store = doctor.value("store", Json::object());
  if (!store.empty()) {
    PrintSection({{"store", Json::array({store})}}, "store",
                 {{"STORE", "path"},
                  {"SIZE", "bytes", Format::kBytes},
                  {"BOUND", "max_bytes", Format::kBytes},
                  {"FAILED COMMITS", "failed_commits", Format::kNumber},
                  {"FINDINGS AGED", "findings_aged", Format::kNumber},
                  {"FINDINGS SHED", "findings_shed", Format::kNumber}},
                 io);
  }
}

// A probe that is well has no reason, but may have more to say.
Json WithNotes(Json probes) {
  for (Json& probe : probes) {
    if (probe.value("reason", "").empty()) {
      probe["reason"] = probe.value("note", "");
    }
  }
  return probes;
}

void PrintDoctor(const Json& doctor, const CliIo& io) {
  std::string status = Text(doctor, "status");
  io.out << fmt::format("vedette {} on {}, kernel {}, tier {}, up {}: {}\n",
                        Text(doctor, "version"), Text(doctor, "node"), Text(doctor, "kernel"),
                        Text(doctor, "tier"),
                        FormatValue(doctor.value("uptime_seconds", Json()), Format::kDuration),
                        Paint(status, ColourOf(status), io.terminal));
  for (const Json& problem : doctor.value("problems", Json::array())) {
    io.out << Paint("  ! " + FormatValue(problem, Format::kText), Colour::kWarning, io.terminal)
           << '\n';
  }
  PrintSection({{"probes", WithNotes(doctor.value("probes", Json::array()))}}, "probes",
               {{"PROBE", "name"},
                {"STATE", "state", Format::kState},
                {"PROGRAMS", "programs", Format::kCount},
                {"REASON", "reason"}},
               io);
  PrintSection({{"ledger", SumByStage(doctor.value("ledger", Json::array()))}}, "ledger",
               {{"STAGE", "stage"},
                {"RECEIVED", "received", Format::kNumber},
                {"DELIVERED", "delivered", Format::kNumber},
                {"UNDER WAY", "in_flight", Format::kNumber},
                {"LOST", "lost", Format::kNumber},
                {"DROPPED", "dropped"}},
               io);
  PrintLosses(doctor, io);
  PrintSection(doctor, "sinks",
               {{"SINK", "name"},
                {"STATE", "state", Format::kState},
                {"DELIVERED", "delivered", Format::kNumber},
                {"WAITING", "waiting", Format::kNumber},
                {"REASON", "reason"}},
               io);
  PrintSection(doctor, "cache",
               {{"CACHE", "name"},
                {"WORKLOADS", "workloads", Format::kNumber},
                {"ENTRIES", "entries", Format::kNumber},
                {"LIMIT", "limit", Format::kNumber},
                {"FULL", "full", Format::kNumber}},
               io);
  PrintSection(doctor, "full",
               {{"CACHE FULL", "workload"},
                {"CACHES", "caches"},
                {"NOT JUDGED", "not_judged", Format::kNumber}},
               io);
  PrintStore(doctor, io);
  const Json memory = doctor.value("memory", Json::object());
  Json lines = Json::array();
  for (const auto& [name, bytes] : memory.items()) {
    lines.push_back({{"name", name.substr(0, name.find("_bytes"))}, {"bytes", bytes}});
  }
  PrintSection({{"memory", lines}}, "memory", {{"MEMORY", "name"}, {"", "bytes", Format::kBytes}},
               io);
}

}  // namespace

int DoctorCommand(const ClientOptions& options, const CliIo& io) {
  absl::StatusOr<Json> doctor = ApiClient(options.socket).Get("/v1/doctor");
  if (!doctor.ok()) {
    return Fail(doctor.status(), io);
  }
  if (options.output == Output::kTable) {
    PrintDoctor(*doctor, io);
  } else {
    PrintJson(*doctor, "", options.output, io);
  }
  std::string status = doctor->value("status", "");
  return status == "ok" ? kExitYes : kExitNo;
}

}  // namespace vedette
