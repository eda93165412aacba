// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/waiting_events.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace vedette {

bool WaitingEvents::Keep(EnrichedEvent& event) {
  const Reason reason = event.event.header.reason;
  if (reason == Reason::kFollowUp || reason == Reason::kTap || !enricher_->AwaitsHash(event)) {
    return false;
  }
  if (events_.size() >= kMaxEvents) {
    ++given_up_;
    return false;
  }
  if (events_.empty()) {
    since_ = clock_->Now();
  }
  events_.push_back({std::move(event), clock_->Now() + kPatience});
  return true;
}

std::vector<EnrichedEvent> WaitingEvents::TakeReady(absl::Duration patience) {
  enricher_->TakeHashes(patience);
  return Take(/*all=*/false);
}

std::vector<EnrichedEvent> WaitingEvents::TakeAll() { return Take(/*all=*/true); }

std::vector<EnrichedEvent> WaitingEvents::Take(bool all) {
  const absl::Time now = clock_->Now();
  std::vector<EnrichedEvent> ready;
  std::deque<Waiting> left;
  for (Waiting& waiting : events_) {
    const bool awaits = enricher_->AwaitsHash(waiting.event);
    if (awaits && !all && now < waiting.until) {
      left.push_back(std::move(waiting));
      continue;
    }
    if (awaits && ++given_up_ == 1) {
      spdlog::warn("a program is not hashed yet, what it did is judged without (said once)");
    }
    enricher_->RenewHashes(waiting.event);
    ready.push_back(std::move(waiting.event));
  }
  events_ = std::move(left);
  return ready;
}

}  // namespace vedette
