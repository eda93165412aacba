// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/api/backend.h"
#include "agent/api/event_hub.h"

namespace vedette {

// For tests of the API and its clients: answers what it was told to and remembers what it was
// asked. Each answer is set before the server starts.
class FakeBackend final : public Backend {
 public:
  absl::StatusOr<nlohmann::json> Doctor() override { return doctor; }
  absl::StatusOr<std::string> Metrics() override { return metrics; }
  absl::StatusOr<nlohmann::json> Top() override { return top; }
  absl::StatusOr<nlohmann::json> TopPeers() override { return peers; }
  absl::StatusOr<nlohmann::json> ProfileList() override { return profiles; }
  absl::StatusOr<nlohmann::json> ProfileShow(const std::string& workload) override {
    return Profile(workload);
  }
  absl::StatusOr<nlohmann::json> ProfileExport(const std::string& workload) override {
    return Profile(workload);
  }
  absl::StatusOr<nlohmann::json> ProfileFreeze(const Freeze& freeze) override {
    freezes.push_back(freeze);
    nlohmann::json frozen = nlohmann::json::array();
    for (const std::string& workload : freeze.workloads) {
      absl::StatusOr<nlohmann::json> found = Profile(workload);
      if (!found.ok()) {
        return found.status();
      }
      frozen.push_back({{"workload", workload}, {"state_text", "frozen (by " + freeze.user + ")"}});
    }
    return nlohmann::json{{"frozen", frozen}};
  }
  absl::StatusOr<nlohmann::json> FindingList(const FindingQuery& filter) override {
    finding_filter = filter;
    return findings;
  }
  absl::StatusOr<nlohmann::json> FindingShow(const std::string& uid) override {
    if (finding.value("uid", "") != uid) {
      return absl::NotFoundError("no finding " + uid + "; `vedette finding list` shows them");
    }
    return finding;
  }
  absl::StatusOr<nlohmann::json> FindingDismiss(const Dismiss& dismiss) override {
    dismissals.push_back(dismiss);
    return FindingShow(dismiss.finding);
  }
  absl::StatusOr<nlohmann::json> FindingRestore(const Dismiss& dismiss) override {
    restored.push_back(dismiss);
    return FindingShow(dismiss.finding);
  }
  absl::StatusOr<std::unique_ptr<EventStream>> SubscribeEvents(const EventFilter& filter) override {
    return hub.Subscribe(filter);
  }

  absl::StatusOr<nlohmann::json> doctor = nlohmann::json{{"status", "ok"}};
  absl::StatusOr<std::string> metrics = std::string("vedette_build_info 1\n");
  absl::StatusOr<nlohmann::json> top = nlohmann::json::object();
  absl::StatusOr<nlohmann::json> peers = nlohmann::json::object();
  absl::StatusOr<nlohmann::json> profiles = nlohmann::json::object();
  std::map<std::string, nlohmann::json> profile;  // By workload.
  nlohmann::json findings = nlohmann::json::object();
  nlohmann::json finding = nlohmann::json::object();
  std::vector<Freeze> freezes;
  std::vector<Dismiss> dismissals, restored;
  FindingQuery finding_filter;
  EventHub hub;

 private:
  absl::StatusOr<nlohmann::json> Profile(const std::string& workload) const {
    auto found = profile.find(workload);
    if (found == profile.end()) {
      return absl::NotFoundError("no workload " + workload + "; `vedette profile list` shows them");
    }
    return found->second;
  }
};

}  // namespace vedette
