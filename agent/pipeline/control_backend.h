// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/api/backend.h"
#include "agent/pipeline/account.h"
#include "agent/pipeline/pipeline.h"

namespace vedette {

// Answers the control API by asking the pipeline thread. Called from the API's threads.
class ControlBackend final : public Backend {
 public:
  struct Facts {
    std::string tier;
    std::string self_check;  // Empty: it passed.
    uint64_t rings_bytes = 0;
    absl::Time started;
  };
  // All outlive the backend.
  ControlBackend(Pipeline* pipeline, Account* account, Facts facts)
      : pipeline_(pipeline), account_(account), facts_(std::move(facts)) {}

  absl::StatusOr<nlohmann::json> Doctor() override;
  absl::StatusOr<std::string> Metrics() override;
  absl::StatusOr<nlohmann::json> Top() override;
  absl::StatusOr<nlohmann::json> TopPeers() override;
  absl::StatusOr<nlohmann::json> ProfileList() override;
  absl::StatusOr<nlohmann::json> ProfileShow(const std::string& workload) override;
  absl::StatusOr<nlohmann::json> ProfileExport(const std::string& workload) override;
  absl::StatusOr<nlohmann::json> ProfileFreeze(const Freeze& freeze) override;
  absl::StatusOr<nlohmann::json> FindingList(const FindingQuery& query) override;
  absl::StatusOr<nlohmann::json> FindingShow(const std::string& uid) override;
  absl::StatusOr<nlohmann::json> FindingDismiss(const Dismiss& dismiss) override;
  absl::StatusOr<nlohmann::json> FindingRestore(const Dismiss& dismiss) override;
  absl::StatusOr<std::unique_ptr<EventStream>> SubscribeEvents(const EventFilter& filter) override;

 private:
  using Json = nlohmann::json;
  absl::StatusOr<Json> AskJson(const std::function<absl::StatusOr<Json>()>& question);
  Json DoctorNow();

  Pipeline* const pipeline_;
  Account* const account_;
  const Facts facts_;
};

}  // namespace vedette
