// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/correlate/finding.h"
#include "agent/profile/profiles.h"
#include "agent/profile/scored_event.h"

namespace vedette {

// Watched for less than this, a finding is never above medium, whatever its score.
inline constexpr absl::Duration kWeakEvidenceTime = absl::Hours(1);

// Severity by bits of surprise; new code and new privileges weigh more than new traffic.
//
//   channel                                            low    medium   high
//   exec, credential, module, io_uring, capability     < 3    < 8      >= 8
//   connect, accept                                    < 5    < 10     >= 10
//   listen, signal                                     < 4    < 9      >= 9
//
// 8 bits: in fewer than one of 256 active windows this workload did anything new. One novelty alone
// is never critical.
Severity SeverityOf(Channel channel, double score_bits, absl::Duration watched);

std::string_view SeverityName(Severity severity);  // "informational" … "critical"
std::string_view KindName(Finding::Kind kind);     // "deviation", "cache-overflow", "unattributed",
                                                   // "move", "held-back", "lost-novelty"
std::optional<Severity> SeverityFromName(std::string_view name);

// A UUID (version 8) of the first bytes of SHA-256 over what makes a deviation the same deviation:
// workload, kind, channel and the behaviour's fields. The same on any run and any node.
std::string UidOf(const Finding& finding);

// The finding that an event alone makes, with count 1; nothing for what is known, learned or
// context.
std::optional<Finding> FindingOf(ScoredEvent scored);

// A deviation that the kernel goes on counting, but whose finding has left the store: all that the
// profile still knows of it. It has the uid that the first one had.
Finding GoesOn(const DeviationGrowth& growth);

// What goes out for all findings of `first`'s workload that the bound of the hour holds back,
// `first` being the first of them: one such finding per workload and hour, whose count says how
// many. Its severity is the first's; those of high severity have a bound of their own.
Finding HeldBack(const Finding& first, uint64_t per_hour, absl::Time hour);

}  // namespace vedette
