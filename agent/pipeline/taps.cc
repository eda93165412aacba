// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/taps.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "agent/base/status.h"
#include "agent/base/workload_name.h"

namespace vedette {

void Taps::Change() {
  const absl::Status status = pipeline_->Ask([this] { return Refresh(); });
  if (!status.ok()) {
    spdlog::warn("a tap was not opened or closed: {}", Message(status));
  }
}

absl::Status Taps::Refresh() {
  const PipelineParts& parts = pipeline_->parts();
  bool all = false;
  std::vector<std::string> asked;
  for (const EventFilter& filter : parts.hub->filters()) {
    all = all || filter.workloads.empty();
    asked.insert(asked.end(), filter.workloads.begin(), filter.workloads.end());
  }
  absl::flat_hash_set<uint64_t> wanted;
  for (const ProfileSummary& profile :
       asked.empty() ? std::vector<ProfileSummary>() : parts.profiles->List()) {
    const WorkloadInfo* workload = parts.enricher->workloads().FindName(profile.workload);
    if (workload != nullptr && workload->number != 0 &&
        std::any_of(asked.begin(), asked.end(), [&](const std::string& name) {
          return NamesWorkload(name, profile.workload);
        })) {
      wanted.insert(workload->number);
    }
  }
  VEDETTE_RETURN_IF_ERROR(parts.cache->SetTaps(wanted));
  return parts.cache->SetTapAll(all);
}

}  // namespace vedette
