// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/profile_json.h"

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "agent/base/text.h"
#include "agent/base/time_text.h"

namespace vedette {
namespace {

using nlohmann::json;

std::string_view StateName(ProfileState state) {
  switch (state) {
    case ProfileState::kLearning:
      return "learning";
    case ProfileState::kLearned:
      return "learned";
    case ProfileState::kFrozen:
      return "frozen";
  }
  return "unknown";
}

json ListOf(const std::vector<BehaviourRecord>& records, bool deviations) {
  json list = json::array();
  for (const BehaviourRecord& record : records) {
    list.push_back(ToJson(record, deviations));
  }
  return list;
}

}  // namespace

json ToJson(const Dismissal& dismissal) {
  return {{"finding", PrintableUtf8(dismissal.finding)},
          {"user", PrintableUtf8(dismissal.user)},
          {"uid", dismissal.uid},
          {"time", TimeText(dismissal.at)},
          {"reason", PrintableUtf8(dismissal.reason)}};
}

json ToJson(const BehaviourRecord& record, bool deviation) {
  const Behaviour& b = record.behaviour;
  json out = {{"channel", std::string(ChannelName(b.channel))},
              {"subject", PrintableUtf8(b.subject)},
              {"object", PrintableUtf8(b.object)},
              {"count", record.count},
              {"first_seen", TimeText(record.first_seen)},
              {"last_seen", TimeText(record.last_seen)},
              {"sources_cut", record.sources_cut}};
  json& sources = out["sources"] = json::array();
  for (const std::string& source : record.sources) {
    sources.push_back(PrintableUtf8(source));
  }
  const auto text = [&](const char* key, const std::string& value) {
    if (!value.empty()) {
      out[key] = PrintableUtf8(value);
    }
  };
  text("subject_sha256", b.subject_sha256);
  text("object_sha256", b.object_sha256);
  text(IsOfManyFiles(b) ? "names" : "script", b.qualifier);
  if (b.channel == Channel::kConnect || b.channel == Channel::kAccept) {
    out["failures"] = record.failures;
    out["sent_bytes"] = record.sent_bytes;
    out["received_bytes"] = record.received_bytes;
  }
  if (record.dismissal) {
    out["dismissal"] = ToJson(*record.dismissal);
  }
  if (deviation) {
    out["score_bits"] = record.score;
    out["sentence"] = PrintableUtf8(record.sentence);
    out["new_revision"] = record.new_revision;
  }
  return out;
}

json ToJson(const ProfileSummary& summary) {
  json channels = json::object();
  for (size_t i = 0; i < kChannels.size(); ++i) {
    const ChannelSummary& c = summary.channels[i];
    channels[std::string(ChannelName(kChannels[i]))] = {{"behaviours", c.behaviours},
                                                        {"deviations", c.deviations},
                                                        {"active_windows", c.active_windows},
                                                        {"novel_windows", c.novel_windows},
                                                        {"cut", c.cut}};
  }
  json out = {{"workload", PrintableUtf8(summary.workload)},
              {"identity", PrintableUtf8(summary.identity)},
              {"state", std::string(StateName(summary.state))},
              {"state_text", PrintableUtf8(summary.state_text)},
              {"first_seen", TimeText(summary.first_seen)},
              {"watched_seconds", absl::ToInt64Seconds(summary.watched)},
              {"min_time_seconds", absl::ToInt64Seconds(summary.rules.min_time)},
              {"quiet_seconds", absl::ToInt64Seconds(summary.quiet)},
              {"min_quiet_seconds", absl::ToInt64Seconds(summary.rules.quiet)},
              {"is_job", summary.is_job},
              {"runs", summary.runs},
              {"min_runs", summary.rules.min_runs},
              {"quiet_runs", summary.quiet_runs},
              {"min_quiet_runs", summary.rules.quiet_runs()},
              {"progress", PrintableUtf8(summary.progress)},
              {"channels", std::move(channels)}};
  if (!summary.default_profile.empty()) {
    out["default_profile"] = PrintableUtf8(summary.default_profile);
  }
  for (const auto& [act, profile] : summary.expected) {
    out["expected"][act] = PrintableUtf8(profile);
  }
  return out;
}

json ToJson(const ProfileDetail& detail) {
  json out = ToJson(detail.summary);
  out["behaviours"] = ListOf(detail.behaviours, false);
  out["deviations"] = ListOf(detail.deviations, true);
  return out;
}

}  // namespace vedette
