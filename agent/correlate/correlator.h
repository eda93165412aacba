// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/clock.h"
#include "agent/base/sqlite.h"
#include "agent/base/stage_ledger.h"
#include "agent/correlate/finding.h"
#include "agent/correlate/hourly_bound.h"
#include "agent/profile/profiles.h"

namespace vedette {

inline constexpr size_t kMaxFindings = 10'000;
inline constexpr absl::Duration kUpdateInterval = absl::Minutes(5);  // Per finding.
inline constexpr uint64_t kFindingsPerHour = 60;                     // New ones, per workload.
inline constexpr size_t kMaxUpdatesAtOnce = 256;

// Reasons in the ledger of the stage. None is a loss: the count of a repeat is in the store and
// goes out with the next update, what is held back is in the store and counted by a finding that
// stands for all of its hour.
inline constexpr std::string_view kDropNoFinding = "no-finding";
inline constexpr std::string_view kDropRepeat = "repeat";
inline constexpr std::string_view kDropHeldBack = "held-back";

struct CorrelatorOptions {
  size_t max_findings = kMaxFindings;
  absl::Duration update_interval = kUpdateInterval;
  uint64_t per_hour = kFindingsPerHour;
};

// What to list; the newest come first.
struct FindingFilter {
  std::string workload = {};  // Empty: all.
  Severity min_severity = Severity::kInformational;
  absl::Time since = absl::InfinitePast();  // Last seen at or after.
  size_t limit = 1000;
  std::optional<bool> dismissed = {};  // Only those that were, or were not; nothing: all.
};

struct Updates {
  std::vector<Finding> findings;
  absl::Status status;  // Not OK: of the first of `failed` whose story the store did not give.
  size_t failed = 0;
};

// The stage correlate: makes findings of deviations, one per deviation, and counts the repeats.
// Owner of the findings. Pipeline thread. Knows nothing of delivery. Keeps in memory only what
// counts; the stories are in the store. Writes only inside the caller's transaction, as Profiles
// does: Write, commit, Committed. When more findings than the bound are held, those not seen for
// longest go; if one of them comes again it is a new finding under the same uid.
class Correlator {
 public:
  static absl::StatusOr<std::unique_ptr<Correlator>> Load(SqliteDatabase* db, const Clock* clock,
                                                          CorrelatorOptions options);

  // A finding that was not there before, or the one that stands for those held back; repeats are
  // counted and come out of DueUpdates.
  std::optional<Finding> Correlate(ScoredEvent scored);
  // What the kernel counted of a known deviation. One whose finding has left the store begins anew,
  // with what is still known of it, and comes out of DueUpdates.
  void Grow(const DeviationGrowth& growth);

  // Findings whose count grew since they were last given out, each at most once per interval. To be
  // called at the end of each batch and now and then; what is not due or too much at once waits.
  // One that cannot be read from the store waits for its next turn and keeps no other from going
  // out.
  Updates DueUpdates();

  // A person dismissed the finding, or restored it: `dismissal` is empty then. What is to be told
  // of it; nothing where the sinks do not know it. NotFound: it is not in the store.
  absl::StatusOr<std::optional<Finding>> SetDismissal(const std::string& uid,
                                                      std::optional<Dismissal> dismissal,
                                                      Finding::StatusChange by);

  // Takes findings out of the store, at most `limit` of them: those not seen since `time`, the
  // oldest first, or the least severe, of these the oldest first. How many; Write makes it last.
  absl::StatusOr<size_t> ForgetOlder(absl::Time time, size_t limit);
  absl::StatusOr<size_t> ForgetLeast(size_t limit);

  absl::Status Write();
  void Committed();

  // As of the last Write.
  absl::StatusOr<std::vector<Finding>> List(const FindingFilter& filter) const;
  absl::StatusOr<Finding> Show(std::string_view uid) const;  // NotFound.
  // The id that begins with `asked`, at least four characters of it; `asked` itself where there is
  // none. InvalidArgument: there are several.
  absl::StatusOr<std::string> FullUid(std::string_view asked) const;

  size_t size() const { return open_.size(); }
  const StageLedger& ledger() const { return ledger_; }
  uint64_t evicted() const { return evicted_; }
  uint64_t updates() const { return updates_; }
  uint64_t begun_anew() const { return begun_anew_; }  // By Grow.

 private:
  struct Open {
    uint64_t count = 1;
    uint64_t emitted_count = 1;
    absl::Time last_seen;
    absl::Time emitted_at;
    std::unique_ptr<Finding> unsaved;  // The whole, until it is in the store; 2 KB.
    bool written = false;
    // In the store only, until it comes again in an hour that has room for it. Its emitted_count is
    // zero.
    struct HeldBack {
      std::string workload;
      Severity severity;
    };
    std::optional<HeldBack> held_back;
  };

  // What people said of a finding; only of those of which they did.
  struct Status {
    uint64_t changes = 0;
    std::optional<Dismissal> dismissal;
  };

  Correlator(SqliteDatabase* db, const Clock* clock, CorrelatorOptions options)
      : db_(db), clock_(clock), options_(options), bound_(options.per_hour) {}
  absl::Status LoadRows();
  absl::Status LoadStatuses();
  absl::Status WriteStatuses();
  void AddStatus(Finding& finding) const;
  void Raise(const std::string& uid, Open& open, uint64_t by, absl::Time seen);
  // Takes the finding into the store; what of it goes out, if anything.
  Open& Hold(const Finding& finding);
  std::optional<Finding> HoldBack(const Finding& finding);
  void MakeRoom();
  bool Remove(const std::string& uid);
  absl::StatusOr<size_t> RemoveRows(SqliteStatement& rows, absl::Time before);
  absl::StatusOr<Finding> Stored(std::string_view uid) const;

  SqliteDatabase* const db_;
  const Clock* const clock_;
  const CorrelatorOptions options_;
  HourlyBound bound_;
  absl::flat_hash_map<std::string, Open> open_;
  absl::flat_hash_set<std::string> grown_;    // Have counts that were not given out.
  absl::flat_hash_set<std::string> dirty_;    // Differ from the store.
  absl::flat_hash_set<std::string> removed_;  // Are in the store still.
  absl::flat_hash_map<std::string, Status> statuses_;
  absl::flat_hash_set<std::string> changed_statuses_;  // Differ from the store.
  StageLedger ledger_;
  uint64_t evicted_ = 0;
  uint64_t updates_ = 0;
  uint64_t begun_anew_ = 0;
};

}  // namespace vedette
