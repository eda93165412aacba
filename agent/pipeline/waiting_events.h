// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <vector>

#include "absl/time/time.h"
#include "agent/base/clock.h"
#include "agent/enrich/enricher.h"

namespace vedette {

// Events whose programs are still being hashed: judged before, a program that was replaced would
// pass by its path, or one that is merely slow to read would be a finding. Bounded in number and in
// time. Pipeline thread. Judges nothing itself.
class WaitingEvents {
 public:
  static constexpr size_t kMaxEvents = 4096;
  static constexpr absl::Duration kPatience = absl::Seconds(10);

  // Both outlive it.
  WaitingEvents(Enricher* enricher, const Clock* clock) : enricher_(enricher), clock_(clock) {}

  // True: the event was taken, to be had from TakeReady.
  bool Keep(EnrichedEvent& event);

  // Waits, at most `patience`, until a program was hashed; then gives out, in the order in which
  // they came, the events that need wait no longer. Their hashes are filled in.
  std::vector<EnrichedEvent> TakeReady(absl::Duration patience);
  // Gives out all, with the hashes that there are.
  std::vector<EnrichedEvent> TakeAll();

  size_t size() const { return events_.size(); }
  bool empty() const { return events_.empty(); }
  // Since when there has always been some event; meaningless when there is none.
  absl::Time since() const { return since_; }
  // Events that were given up: judged without a hash, after kPatience or for want of room.
  uint64_t given_up() const { return given_up_; }

 private:
  struct Waiting {
    EnrichedEvent event;
    absl::Time until;
  };
  std::vector<EnrichedEvent> Take(bool all);

  Enricher* const enricher_;
  const Clock* const clock_;
  std::deque<Waiting> events_;
  absl::Time since_;
  uint64_t given_up_ = 0;
};

}  // namespace vedette
