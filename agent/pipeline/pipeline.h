// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/api/event_hub.h"
#include "agent/base/clock.h"
#include "agent/base/sqlite.h"
#include "agent/cache/verdict_cache.h"
#include "agent/collect/collector.h"
#include "agent/correlate/correlator.h"
#include "agent/deliver/delivery.h"
#include "agent/deliver/to_event.h"
#include "agent/enrich/enricher.h"
#include "agent/enrich/hash_thread.h"
#include "agent/pipeline/cache_bindings.h"
#include "agent/pipeline/cache_keeper.h"
#include "agent/pipeline/cgroup_walk.h"
#include "agent/pipeline/inbox.h"
#include "agent/pipeline/record_counts.h"
#include "agent/pipeline/store_bound.h"
#include "agent/pipeline/waiting_events.h"
#include "agent/probes/decode.h"
#include "agent/probes/probe_set.h"
#include "agent/profile/profiles.h"
#include "agent/redact/redactor.h"

namespace vedette {

// What the pipeline runs on; all of it outlives the pipeline and is used by its thread alone, but
// for `hub` and `hasher`, which are thread-safe.
struct PipelineParts {
  SqliteDatabase* db = nullptr;
  const Clock* clock = nullptr;
  const Clock* steady = nullptr;  // For what is to be done after some time.
  ProbeSet* probes = nullptr;
  Decoder* decoder = nullptr;
  VerdictCache* cache = nullptr;
  const HashThread* hasher = nullptr;  // For its health; nullptr where nothing is hashed.
  Enricher* enricher = nullptr;
  Profiles* profiles = nullptr;
  Correlator* correlator = nullptr;
  CacheBindings* bindings = nullptr;
  CacheKeeper* keeper = nullptr;
  CgroupWalk* cgroups = nullptr;
  ServiceMap* services = nullptr;
  WorkloadSeries* series = nullptr;
  Delivery* delivery = nullptr;
  StoreBound* bound = nullptr;
  EventHub* hub = nullptr;
  EventSource source = {};
  const Redactor* redactor = nullptr;  // For its counts.
  std::vector<std::string> gaps = {};  // What was lost before the start, in sentences.
};

// Where events enter the pipeline.
enum class Entrance { kRings, kLeftovers, kSweep, kScan };
inline constexpr size_t kEntrances = 4;

// Records that a killed agent left in the rings.
struct LeftoverCounts {
  uint64_t received = 0;
  uint64_t undecodable = 0;
};

struct PipelineCounts {
  uint64_t batches = 0;
  std::array<uint64_t, kEntrances> events = {};    // By entrance.
  std::array<uint64_t, kEntrances> enriched = {};  // Of those, what the next stage received.
  LeftoverCounts leftovers;
  uint64_t commits = 0;
  uint64_t failed_commits = 0;
  uint64_t errors = 0;         // Of what is done now and then; the log says which.
  uint64_t found_cgroups = 0;  // By walking: no record told that they were made or removed.
  std::string trouble;         // Why the store does not take anything now; empty when it does.
};

// The pipeline thread: enrich → profile → correlate → commit → acknowledge the rings → fill the
// cache, batch by batch, and what is to be done now and then. State of these stages is touched by
// this thread alone; others ask through Ask. When the store does not commit, nothing is
// acknowledged: the batch is kept and committed later, and the rings hold what comes meanwhile. So
// they do while events wait for the hash of a program, for a bounded time.
class Pipeline {
 public:
  explicit Pipeline(PipelineParts parts);
  ~Pipeline();

  // Where acknowledgements go; before Start.
  void SetAcknowledge(std::function<void(const std::vector<uint64_t>&)> acknowledge) {
    acknowledge_ = std::move(acknowledge);
  }
  // Once, on the pipeline thread, when the store turns out to be damaged; before Start.
  void SetDamaged(std::function<void()> task) { on_damaged_ = std::move(task); }
  // Any thread. The last commit failed: what was found since is in memory and in the kernel alone.
  bool store_fails() const { return store_fails_; }
  // Runs every ten seconds on the pipeline thread, before a commit; before Start.
  void SetPeriodic(std::function<void()> task) { on_periodic_ = std::move(task); }
  void Start();
  // Works off what was offered, then ends the thread.
  void Stop();

  // From the collect thread; never blocks. False: the queue is full and the batch is as it was.
  bool Offer(Batch& batch) { return inbox_.Offer(batch); }

  // Runs `task` on the pipeline thread and waits for it. Unavailable: no answer within `timeout`;
  // then the task is dropped if it has not begun.
  absl::Status Ask(const std::function<absl::Status()>& task,
                   absl::Duration timeout = absl::Seconds(5)) {
    return inbox_.Ask(task, timeout);
  }

  // On the pipeline thread, in Ask, or before Start.
  void Process(std::vector<Event> events, Entrance entrance);
  absl::Status Commit();
  // Adds what the kernel counted since the last call to the profiles. Commit makes it last.
  void SyncCounts();
  // Judges the behaviours in the cache whose records were lost.
  void SweepCache();
  // Judges what waits for the hash of a program, after waiting for the hashes at most `patience`.
  void Settle(absl::Duration patience);
  void AppendToSpool(pb::Event event) { unspooled_.push_back(std::move(event)); }
  void CountLeftovers(const LeftoverCounts& counts) { counts_.leftovers = counts; }
  const PipelineCounts& counts() const { return counts_; }
  // Events in the batches that were offered and not taken yet.
  uint64_t queued_events() const { return inbox_.queued_events(); }
  // Events that were told of workloads.
  const RecordCounts& records() const { return records_; }
  const WaitingEvents& waiting() const { return waiting_; }
  const PipelineParts& parts() const { return parts_; }

 private:
  void Run();
  // The wall clock may have been set.
  void FollowClock();
  EventSource Source() const;
  void ProcessOne(Event event, Entrance entrance);
  void JudgeOne(EnrichedEvent event);
  // Those that waited for a hash and need no longer; waits for hashes at most `patience`.
  void JudgeReady(absl::Duration patience);
  bool HoldsRings() const;
  absl::Status SeeListeners();
  // Cgroups whose records were lost, if it is time to look; what was done in them is judged by
  // JudgeUnattributed.
  void SeeLostCgroups();
  bool LostCodeRecords();
  void JudgeUnattributed();
  void Periodic();
  void CountError(const absl::Status& status);
  void OnStoreError(const absl::Status& status);
  void OnDamage(const absl::Status& status);

  const PipelineParts parts_;
  std::function<void(const std::vector<uint64_t>&)> acknowledge_;
  std::function<void()> on_periodic_;
  std::function<void()> on_damaged_;
  std::atomic<bool> store_fails_ = false;
  std::thread thread_;

  Inbox inbox_;

  // The pipeline thread's own.
  WaitingEvents waiting_;
  std::vector<pb::Event> unspooled_;
  std::vector<uint64_t> unacknowledged_;
  absl::Time next_counts_, next_names_, next_long_flows_;  // By the steady clock.
  absl::Time boot_;                                        // What the names of peers are given by.
  bool flush_due_ = false;
  bool cgroups_missing_ = false;  // Perhaps: a record was lost, or an event has no workload.
  bool cgroups_found_ = false;    // Since JudgeUnattributed.
  uint64_t dropped_code_ = 0;
  RecordCounts records_{kMaxWorkloads};
  PipelineCounts counts_;
};

}  // namespace vedette
