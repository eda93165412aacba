// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/taps.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>
#include <vector>

#include "agent/base/status.h"

namespace vedette {

void Taps::Change() {
  const absl::Status status = pipeline_->Ask([this] { return Refresh(); });
  if (!status.ok()) {
    spdlog::warn("a tap was not opened or closed: {}", Message(status));
  }
}

absl::Status Taps::Refresh() {
  const PipelineParts& parts = pipeline_->parts();
  bool all = always_;
  std::vector<std::string> asked;
  for (const EventFilter& filter : parts.hub->filters()) {
    all = all || filter.workloads.empty();
    asked.insert(asked.end(), filter.workloads.begin(), filter.workloads.end());
  }
  for (const ProfileSummary& profile : parts.profiles->List()) {
    const WorkloadInfo* workload = parts.enricher->workloads().FindName(profile.workload);
    const bool wanted = std::any_of(asked.begin(), asked.end(), [&](const std::string& name) {
      return NamesWorkload(name, profile.workload);
    });
    if (workload != nullptr && workload->number != 0) {
      VEDETTE_RETURN_IF_ERROR(parts.cache->SetTap(workload->number, wanted));
    }
  }
  return parts.cache->SetTapAll(all);
}

}  // namespace vedette
