// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/clock.h"
#include "agent/base/sqlite.h"
#include "agent/base/stage_ledger.h"
#include "agent/profile/profile.h"
#include "agent/profile/profile_store.h"
#include "agent/profile/profile_view.h"
#include "agent/profile/scored_event.h"

namespace vedette {

inline constexpr size_t kMaxWorkloads = 4096;
inline constexpr size_t kMaxBehavioursPerChannel = 1024;
inline constexpr size_t kMaxDeviationsPerChannel = 256;
inline constexpr size_t kMaxBoundSlots = 1 << 20;
inline constexpr size_t kMaxSources = 16;  // Of one behaviour.
// Profiles that made room and are not out of the store yet.
inline constexpr size_t kMaxUnsavedEvictions = 256;

// Reasons in the ledger of the stage: an event whose judgement could not be made.
inline constexpr std::string_view kDropWorkloadsFull = "workloads-full";
inline constexpr std::string_view kDropBehavioursFull = "behaviours-full";

class DefaultCover;

struct ProfilesOptions {
  LearningRules learning;
  const DefaultCover* defaults = nullptr;  // Outlives the profiles; none: nothing is covered.
  size_t max_workloads = kMaxWorkloads;
  size_t max_behaviours = kMaxBehavioursPerChannel;
  size_t max_deviations = kMaxDeviationsPerChannel;
  size_t max_slots = kMaxBoundSlots;
  const Clock* steady = nullptr;  // For how long workloads are watched; nullptr: the clock.
  // Is any cgroup of the workload there? Without it no workload is known to be gone: none is a job,
  // and no profile ever makes room for another.
  std::function<bool(const std::string& workload)> is_running;
  std::vector<std::string>
      sensitive;  // See IsSensitive: where names of files stand for themselves.
};

// What else happened that no event tells.
struct ProfilesCounters {
  uint64_t deviations_folded = 0;  // Counted under "more than N deviations" of their channel.
  uint64_t slots_full = 0;         // Slots that could not be bound; their counts are lost.
  uint64_t unbound_hits = 0;       // Kernel counts for slots that nothing is bound to.
  uint64_t profiles_made = 0;      // Those loaded from the store included.
  uint64_t profiles_evicted = 0;   // Of workloads that are gone; never frozen.
  uint64_t frozen_evicted = 0;
  uint64_t profiles_aged = 0;  // By ForgetOlder.
  uint64_t profiles_shed = 0;  // By ForgetGone.
};

// Kernel counts that belong to a known deviation: its finding grows.
struct DeviationGrowth {
  std::string workload;
  Behaviour behaviour;
  uint64_t hits = 0;
  absl::Time last_seen;
};

// The stage profile: learns what each workload does and judges what is new. Owner of all profiles.
// Pipeline thread. Does not report (correlate does) and does not tell the kernel (cache does).
// Writes only inside the caller's transaction: after changes call Write, commit, then Committed; if
// the commit failed, leave Committed out and the next Write repeats what was lost.
class Profiles {
 public:
  // `db` and `clock` must outlive it. DataLoss: the store is damaged.
  static absl::StatusOr<std::unique_ptr<Profiles>> Load(SqliteDatabase* db, const Clock* clock,
                                                        ProfilesOptions options);

  // Counts the act of the event itself, binds its cache slot, and says what the profile makes of
  // it. Events that are no behaviour or have no workload pass as kNotABehaviour; so do those of the
  // ledger's reasons, which no profile could take.
  ScoredEvent Judge(EnrichedEvent event);

  // Adds what the kernel counted since the last call; `counts.hits` are acts without a record.
  std::optional<DeviationGrowth> AddCounts(const CacheSlot& slot, const SlotCounts& counts,
                                           absl::Time at);
  // For slots of a cache that outlived the agent. False: the workload does not have the behaviour.
  bool BindSlot(const CacheSlot& slot, std::string_view workload, const Behaviour& behaviour);
  // Nothing is counted in the slot any more.
  void ForgetSlot(const CacheSlot& slot);
  // Forgets the slots of a workload number that are older than `generation`.
  void ForgetSlots(uint64_t workload_number, uint64_t generation);

  // Ends learning at once; those frozen already stay as they are. Empty `workloads`: all that are
  // known. NotFound, InvalidArgument as in Show: then none is frozen. Returns the names newly
  // frozen.
  absl::StatusOr<std::vector<std::string>> Freeze(const std::vector<std::string>& workloads,
                                                  std::string_view user);
  // Takes a deviation into the profile on a person's word. FailedPrecondition, a whole sentence: it
  // cannot be taken.
  absl::Status Dismiss(const std::string& workload, const Behaviour& behaviour,
                       Dismissal dismissal);
  // Takes that back: the behaviour is a deviation again. NotFound: no profile holds one that was
  // dismissed with this finding.
  struct Restored {
    std::string workload;
    Behaviour behaviour;
  };
  absl::StatusOr<Restored> Restore(std::string_view finding);
  // Ends learning where the time is up. To be called now and then, also when no event comes.
  void Tick();

  // Takes the profiles of at most `limit` workloads that are gone out of the store, those without
  // an act for longest first: of those never frozen whose last act was before `time`; or, without
  // regard to age, a frozen one last. How many; Write makes it last.
  size_t ForgetOlder(absl::Time time, size_t limit);
  size_t ForgetGone(size_t limit);

  absl::Status Write();  // What changed, but for what the kernel counted.
  absl::Status Flush();  // All, and for how long the agent has been watching.
  void Committed();

  size_t size() const { return profiles_.size(); }
  bool Has(const std::string& workload) const { return by_name_.contains(workload); }
  std::vector<ProfileSummary> List() const;  // By name.
  void ForEachRecord(
      const std::function<void(const std::string& workload, const BehaviourRecord&)>& visit) const;
  // By its name or the name's last parts; NotFound, or InvalidArgument where several end so.
  absl::StatusOr<ProfileDetail> Show(std::string_view workload) const;

  const StageLedger& ledger() const { return ledger_; }
  const ProfilesCounters& counters() const { return counters_; }

 private:
  Profiles(std::unique_ptr<ProfileStore> store, const Clock* clock, ProfilesOptions options)
      : store_(std::move(store)),
        clock_(clock),
        options_(options),
        steady_(options.steady == nullptr ? clock : options.steady),
        started_(steady_->Now()) {}

  Profile* ProfileFor(const WorkloadInfo& workload);
  absl::StatusOr<Profile*> Named(std::string_view asked) const;
  bool MakeRoom();
  const Profile* FirstGone() const;
  bool MayEvict(const Profile& profile) const;
  void Evict(const Profile& profile);
  void Remove(const Profile& profile);
  // Behaviours that have become one.
  struct Together {
    std::vector<std::unique_ptr<ProfileEntry>> entries;
    std::vector<CacheSlot> slots;  // Those that counted for them.
  };
  // Puts the behaviour of all names of its shape in the place of the act's own, where the profile
  // has generalised, or does so by this act; then what was learned of them comes out of it.
  Together TakeTogether(Profile* profile, ScoredEvent& scored);
  void PutTogether(ProfileEntry* into, Together together);
  static ProfileEntry* FindTogether(const Profile& profile, const Behaviour& one);
  ProfileEntry* Learn(Profile* profile, const ScoredEvent& scored, Profile::Found found);
  ProfileEntry* Deviate(Profile* profile, ScoredEvent& scored, Profile::Found found);
  ProfileEntry* NewDeviation(Profile* profile, const ScoredEvent& scored, Profile::Found found);
  // The entry to count an act for that the profile holds, or a person accepted; none: null.
  static ProfileEntry* KnownEntry(const Profile& profile, const Behaviour& behaviour,
                                  Profile::Found found);
  std::string RestObject() const;
  ProfileEntry* RestOf(Profile* profile, Channel channel);
  ProfileEntry* Add(Profile* profile, BehaviourRecord record, bool deviation);
  void CountAct(ProfileEntry* entry, const EnrichedEvent& event);
  void Bind(const CacheSlot& slot, ProfileEntry* entry);
  bool IsExpected(const Profile& profile, const Behaviour& behaviour,
                  const Profile::Found& found) const;
  void Cover(ScoredEvent& scored, const Profile* profile) const;
  void EndLearningIfDue(Profile* profile);
  // Was it done while the profile still learned, and came to be judged only now?
  bool IsLate(const Profile& profile, absl::Time act) const;
  void NoteNew(Profile* profile);
  void NotePresence(const CgroupEvent& event, const std::string& workload);
  bool IsRunning(const Profile& profile) const;
  void MarkDirty(ProfileEntry* entry, Dirty dirty);
  void MarkDirty(Profile* profile, Dirty dirty);
  absl::Status Save(Dirty least);

  absl::Duration Uptime() const;
  absl::Duration Watched(const Profile& profile) const {
    return profile.learning.Watched(Uptime());
  }
  ProfileState StateOf(const Profile& profile) const;
  std::string StateText(const Profile& profile) const;
  ProfileSummary SummaryOf(const Profile& profile) const;

  const std::unique_ptr<ProfileStore> store_;
  const Clock* const clock_;
  const ProfilesOptions options_;
  const Clock* const steady_;
  const absl::Time started_;       // By `steady_`.
  absl::Duration uptime_before_;   // Of the agents that ran before this one.
  mutable absl::Duration uptime_;  // The largest seen: a clock set back does not take it away.
  int64_t last_workload_row_ = 0;
  int64_t last_behaviour_row_ = 0;

  std::vector<std::unique_ptr<Profile>> profiles_;
  absl::flat_hash_map<std::string, Profile*> by_name_;
  absl::flat_hash_map<CacheSlot, ProfileEntry*> slots_;
  std::vector<ProfileEntry*> dirty_entries_;
  std::vector<Profile*> dirty_profiles_;
  std::vector<ProfileRows> evicted_;  // To be taken out of the store.
  size_t evicted_written_ = 0;        // Of them, in a transaction that is not committed yet.
  std::vector<int64_t> folded_;       // Rows of behaviours that became part of others.
  size_t folded_written_ = 0;         // As above.
  StageLedger ledger_;
  ProfilesCounters counters_;
  bool said_workloads_full_ = false;
};

}  // namespace vedette
