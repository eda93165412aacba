// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/base/clock.h"
#include "agent/cache/verdict_cache.h"
#include "agent/correlate/correlator.h"
#include "agent/enrich/enricher.h"
#include "agent/health/workload_series.h"
#include "agent/pipeline/cache_bindings.h"
#include "agent/profile/profiles.h"
#include "agent/profile/service_map.h"

namespace vedette {

struct CacheKeeperParts {
  const Clock* clock = nullptr;
  const Clock* steady = nullptr;  // For grace.
  VerdictCache* cache = nullptr;
  Enricher* enricher = nullptr;
  Profiles* profiles = nullptr;
  Correlator* correlator = nullptr;
  CacheBindings* bindings = nullptr;
  ServiceMap* services = nullptr;
  WorkloadSeries* series = nullptr;
};

struct CacheKeeperCounts {
  uint64_t errors = 0;
  uint64_t told_twice = 0;     // Behaviours that were judged already; not counted again.
  uint64_t files_dropped = 0;  // Entries of files that made room for others.
};

// Keeps the kernel's cache and the profiles in step, both ways: what was judged becomes known to
// the kernel once the store has it, and what the kernel counted is added to the profiles. Pipeline
// thread. Judges nothing itself and commits nothing.
class CacheKeeper {
 public:
  explicit CacheKeeper(const CacheKeeperParts& parts) : parts_(parts) {}

  // Before an event is judged: news that the store has already is turned into a follow-up.
  void Recognise(Event& event);
  // Tells the kernel which workload a cgroup is, as soon as its path says so.
  void BindCgroups(const Event& event);
  // The same for cgroups whose workload turned out to be another one.
  void BindRenamed();
  // After an answer: peers that have a name of their own now are no longer judged by their network.
  void TakeBackNetworks(const EnrichedEvent& answer);
  // After an event was judged: its act is counted, and its entry, and its class's, will be told to
  // the kernel.
  void Remember(const ScoredEvent& scored);
  // What the profile no longer holds: its next act is news, and all that the code does whose start
  // the behaviour is.
  void TellAgain(const std::string& workload, const Behaviour& behaviour);
  // After a commit: what was remembered is known from now on.
  void Tell();

  // Adds what the kernel counted since the last call to profiles, service map and series. A commit
  // makes it last.
  void SyncCounts();
  // Behaviours whose records were lost.
  std::vector<Event> Sweep() const;
  // For a cache whose agent was killed: also those that were reported and that nobody has judged.
  std::vector<Event> SweepAdopted() const;
  // After an adoption: what programs are called that the kernel knows. A record of what one did
  // while no agent ran says no path, and by now it may have ended.
  void RestorePrograms();
  // After an adoption: what the kernel takes for known and the store does not have, because it was
  // begun anew or lost rows. Returns those whose programs have a name; the others are told by their
  // next act.
  std::vector<Event> TakeForgotten();

  // After cgroups were found whose records were lost: behaviours that were reported while nobody
  // knew their workload, if there are any. Not told to the kernel as known, nor judged, until then.
  std::vector<Event> SweepUnattributed();
  // Maps for the numbers that the kernel gave out, also where it could not say so.
  void PrepareWorkloads();

  // After an adoption: lets go of cgroups that were removed while no agent ran.
  void ForgetVanished();
  // The same: of entries of files that had made room.
  void ForgetDropped();
  // Lets go of cgroups and workload numbers whose grace is over. A cgroup that processes are still
  // at home in, though they were moved out of it, gets another grace.
  void ForgetLeft();

  const CacheKeeperCounts& counts() const { return counts_; }

 private:
  struct Judged {
    CacheSlot slot;
    std::string key;
    std::optional<CacheSlot> network;  // Of the class that holds from now on, too.
    std::string class_key;             // Where the class is of files.
  };
  // A cgroup that was removed, or a number that was not needed after all.
  struct Leaving {
    absl::Time at;
    uint64_t cgroup_id = 0;
    uint64_t workload_number = 0;
  };

  // What is known of a workload's cache of files, without asking the kernel each time.
  struct FileRoom {
    std::optional<size_t> entries;
    size_t dropped = 0;  // Since the counts were read.
    bool said = false;
  };

  bool IsDue(const Leaving& leaving) const { return leaving.at <= parts_.steady->Now(); }
  void Bind(const Binding& binding);
  void Count(const ScoredEvent& scored);
  void RememberNetwork(const ScoredEvent& scored);
  void RememberFiles(const ScoredEvent& scored, const std::string& class_key);
  void RememberClass(const ScoredEvent& scored, const std::string& key);
  void CountFileEntry(const CacheSlot& slot);
  void MakeRoomForFiles();
  void LetDroppedGo();
  void ForgetReadCounts();
  bool HasNamesBeside(const EnrichedEvent& flow);
  void CountError(const absl::Status& status);

  const CacheKeeperParts parts_;
  std::vector<Judged> judged_;
  std::deque<Leaving> leaving_;
  absl::flat_hash_set<CacheSlot> unattributed_;        // What was told and has no workload yet.
  absl::flat_hash_map<uint64_t, FileRoom> file_room_;  // By workload number.
  absl::flat_hash_set<uint64_t> more_files_;           // Workloads that got an entry.
  std::vector<CacheSlot> dropped_files_;               // Whose counts are to be read once more.
  std::vector<CacheSlot> read_files_;                  // Whose counts are read, and not committed.
  CacheKeeperCounts counts_;
};

}  // namespace vedette
