// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/base/unique_fd.h"
#include "agent/event/cache_kind.h"
#include "agent/event/event.h"

struct wire_config;
struct wire_script;
struct wire_verdict;

namespace vedette {

// The longest path that can be listed: the kernel's side keeps a zero behind it.
inline constexpr size_t kMaxWatchedPath = 255;

struct VerdictCacheOptions {
  CacheEntries entries = DefaultCacheEntries(/*with_optional=*/false);  // Per workload.
  uint32_t spare_workloads = 8;  // At least so many, at most twice as many, are made ahead, for
                                 // cgroups that the agent has not seen yet.
  int cpus = 1;                  // As the kernel counts possible ones.
};

// Totals of one behaviour since its entry was made, over all CPUs.
struct BehaviourCount {
  uint64_t acts = 0;
  uint64_t failures = 0;
  uint64_t sent_bytes = 0;
  uint64_t received_bytes = 0;
  uint64_t retransmits = 0;
  uint64_t last_ns = 0;                   // Since boot.
  std::array<uint64_t, 16> latency = {};  // Bucket i: connected, or a round trip, < 64 us << i.
};

// Errors that the kernel side counted, by reason.
struct KernelErrors {
  std::vector<std::pair<std::string, uint64_t>> by_reason;
};

// What the kernel numbered in one lane of one CPU: sequence = sent + dropped.
struct LaneCount {
  uint32_t cpu = 0;
  uint32_t lane = 0;
  uint64_t sequence = 0;
  uint64_t sent = 0;
  uint64_t dropped = 0;
};

// How full one of the caches is, over all workloads.
struct CacheFill {
  uint32_t cache = 0;
  uint64_t workloads = 0;
  uint64_t entries = 0;
  uint64_t full = 0;  // Workloads whose cache has no room.
};

// A workload of which the kernel tells nothing new any more.
struct FullWorkload {
  uint64_t number = 0;
  std::array<bool, kCacheKinds.size()> full = {};  // By cache.
  uint64_t not_cached = 0;  // Acts that found no room: not recorded, and judged by nobody.
};

// Owner of the maps that hold verdicts, workloads and cgroups; the only one that writes them from
// user space. Pipeline thread. Does not load programs and knows no names of workloads.
class VerdictCache {
 public:
  using MapFds = std::function<int(std::string_view name)>;
  VerdictCache(MapFds maps, const VerdictCacheOptions& options);

  // Fills the configuration that every program reads. `secret` is the key of keyed hashes. Keeps
  // the secret of a predecessor whose maps were adopted.
  absl::Status Configure(const std::array<uint64_t, 2>& secret, uint64_t wake_bytes, bool tap_all);

  // Gives a cgroup to a workload. 0 for `number` takes a new one. Returns the number.
  struct Cgroup {
    uint64_t id = 0;
    uint64_t workload_number = 0;
    bool inherit_below = false;
    bool launcher = false;
    bool unplaced = false;
  };
  absl::StatusOr<uint64_t> BindCgroup(const Cgroup& cgroup);
  // The kernel's own number for the cgroup is the right one: the workload is in use.
  void NoteCgroup(uint64_t cgroup_id, uint64_t workload_number);
  // What the kernel says of a cgroup, as after an adoption; 0 when it says nothing.
  uint64_t NumberOf(uint64_t cgroup_id) const;
  // All that belong to a workload, also those that a predecessor left.
  std::vector<uint64_t> Cgroups() const;
  // Returns the number of the workload that the cgroup belonged to; 0 when it is not bound.
  uint64_t ForgetCgroup(uint64_t cgroup_id);
  // Removes the maps of a workload that no cgroup is bound to. False: it is used, or has none.
  bool DropUnused(uint64_t workload_number);
  // The home cgroups of all processes that the kernel has a context of. Walks the whole table: for
  // every now and then.
  absl::StatusOr<absl::flat_hash_set<uint64_t>> HomeCgroups() const;
  // A number that was never given out in this boot.
  absl::StatusOr<uint64_t> TakeNumber();
  // After an adoption: agents before this one gave out slots of classes up to `slot`.
  void ResumeClassSlots(uint32_t slot);

  // The same: so much of what this cache of the workload lost was told already.
  struct ToldLoss {
    uint64_t workload_number = 0;
    uint64_t generation = 0;
    uint32_t cache = 0;
    uint32_t lost = 0;
  };
  void ResumeLosses(const ToldLoss& told);

  // Makes the maps of workloads whose numbers were given out, and of some that will be.
  absl::Status PrepareWorkloads();

  // The store has committed what this entry is: the kernel need not tell it again.
  absl::Status MarkKnown(const CacheSlot& slot, std::string_view key);

  // Opens for reading that are told, by path from the container's root; instead of those before.
  // Paths are at most kMaxWatchedPath bytes long.
  absl::Status WatchFiles(const std::vector<std::string>& paths);

  // The slot that the entry's class has or will have: the network around a peer, by the peer's key,
  // or the files of a directory, by the class's own key. Its binding must be in the store before
  // the entry counts anything, so making it is a step of its own.
  absl::StatusOr<CacheSlot> ClassSlot(const CacheSlot& slot, std::string_view key);
  // Makes the class's entry, unless it is there.
  absl::Status MarkClassKnown(const CacheSlot& class_slot, std::string_view key);
  // Would the class of this entry, a connection, stand for a connection to `address`, too?
  static bool ClassHolds(std::string_view key, const IpAddress& address);
  // For the workload, `address` has a better name than its network: takes back the classes of
  // connections that hold it.
  absl::Status ForgetClasses(uint64_t workload_number, const IpAddress& address);

  // Takes these entries back: the next act of each is news, in a new slot. What goes on counting in
  // the old one, as open sockets do, is read as before.
  absl::Status Forget(const std::vector<CacheSlot>& slots);

  // How many behaviours on files the kernel knows of the workload. Walks its cache.
  size_t FileEntries(uint64_t workload_number) const;
  struct DroppedFiles {
    std::vector<CacheSlot> slots;  // Nothing is counted in them any more.
    size_t left = 0;               // Entries that stay.
  };
  // Takes out of the cache of files known entries, those used the longest ago, until it holds
  // `keep`, at most `limit` of them. The next act of each is a record. What they counted is read as
  // before, until ForgetCounts.
  absl::StatusOr<DroppedFiles> DropFiles(uint64_t workload_number, size_t keep, size_t limit);
  // What these slots have counted was read for the last time.
  void ForgetCounts(const std::vector<CacheSlot>& slots);
  // Those of them that have no entry any more.
  std::vector<CacheSlot> WithoutEntry(uint64_t workload_number,
                                      const std::vector<CacheSlot>& file_slots) const;

  // Entries that could not be reported, as events with Reason::kSwept, and one OverflowEvent for
  // each workload and cache of which news were lost for good since the last sweep. With
  // `also_reported`, for maps that were adopted and rings that are drained, also those that nobody
  // judged: `is_judged` says which entries the store has committed. Without it, nothing is walked
  // unless the kernel counted a loss since the last sweep but one: an entry that was being made
  // during the last one is found by the next.
  std::vector<Event> Sweep(bool also_reported,
                           const std::function<bool(const CacheSlot&)>& is_judged);

  // After an adoption: known entries that the store does not have any more, as events of their
  // first act. They stay known, unless TellAgain says that their next act is to be a record.
  std::vector<Event> Forgotten(const std::function<bool(const CacheSlot&)>& is_judged);
  absl::Status TellAgain(const CacheSlot& slot, std::string_view key);

  // Calls `visit` for every behaviour of every workload with its totals. Not OK: those of some
  // workloads could not be read, or not all.
  absl::Status ReadCounts(
      const std::function<void(const CacheSlot&, const BehaviourCount&)>& visit) const;

  // The programs that the kernel knows executions of, by the slot of the execution.
  void ForEachProgram(const std::function<void(const CacheSlot&, const CodeKey&)>& visit) const;

  absl::Status SetTap(uint64_t workload_number, bool on);
  absl::Status SetTapAll(bool on);
  // Opens the taps of these workloads and closes all others. Asks the kernel for nothing where
  // nothing changed.
  absl::Status SetTaps(const absl::flat_hash_set<uint64_t>& workload_numbers);

  uint32_t limit(uint32_t cache) const;
  KernelErrors ReadErrors() const;
  std::vector<LaneCount> ReadLanes() const;
  // Changes of TCP states in whose place the kernel skipped a program, and that another handled.
  uint64_t TakenOver() const;
  // Walks all entries: for people who ask, not for every second.
  std::vector<CacheFill> ReadFill() const;
  std::vector<FullWorkload> FullWorkloads() const;

  // Lets a runtime place processes: `code` is the code key of its program.
  absl::Status AddRuntime(const CodeKey& code);

 private:
  struct InnerMaps {
    uint64_t generation = 0;
    std::array<UniqueFd, kCacheKinds.size()> caches;  // Not valid: this kind is not there.
    UniqueFd counts;
    std::array<uint32_t, kCacheKinds.size()> lost = {};  // By cache: what was told.
  };
  absl::Status AdoptWorkloads();
  absl::Status AdoptCgroups();
  void AdoptClasses(uint64_t workload_number);
  void AdoptNetworks(uint64_t workload_number, int fd);
  // The cgroup no longer stands in the share of its workload.
  void Discharge(uint64_t cgroup_id);
  absl::Status MakeWorkloads(const std::vector<uint64_t>& numbers);
  absl::Status ChangeConfig(const std::function<void(wire_config&)>& change);
  absl::StatusOr<InnerMaps> AdoptWorkload(uint64_t number, uint64_t generation) const;
  int InnerFd(const CacheSlot& slot) const;
  int OuterFd(uint32_t cache) const;
  // All that hold a map of each workload.
  struct OuterMap {
    int fd = -1;
    std::optional<uint32_t> cache;  // None: that of the counts.
  };
  std::vector<OuterMap> OuterMaps() const;
  // How much the kernel could not tell, or not keep, up to now.
  uint64_t Losses() const;
  absl::Status ReadCountsOf(
      uint64_t number, const InnerMaps& maps,
      const std::function<void(const CacheSlot&, const BehaviourCount&)>& visit) const;
  void DropUnusedScripts();
  // The entry is known: the name that the kernel kept for it is wanted no more.
  void ReleaseScript(const CacheSlot& slot, std::string_view key);
  void ReleaseScriptsOf(uint64_t workload_number);
  uint32_t AllEntries() const;
  // The name of the script that an entry is about, where the kernel kept it.
  std::optional<wire_script> LostScript(uint64_t hash) const;
  // News of this workload that are lost for good, as events.
  void SweepLosses(uint64_t number, InnerMaps& maps, std::vector<Event>& events) const;
  using IsLost = std::function<bool(const wire_verdict&, const CacheSlot&)>;
  // Takes back those of one cache of the workload.
  template <typename Key>
  absl::Status ForgetIn(const CacheSlot& cache, const absl::flat_hash_set<uint32_t>& slots);
  // Where the caches of one workload are swept: `cache` has no slot.
  template <typename Key>
  void SweepMap(const CacheSlot& cache, const IsLost& is_lost, std::vector<Event>& events);
  void SweepMaps(uint64_t number, const InnerMaps& maps, const IsLost& is_lost,
                 std::vector<Event>& events);
  // The entry of a capability is no longer one that is told: its next use asks the cache again.
  void ForgetUse(uint64_t workload_number, std::string_view key) const;
  // Changes what the entry of `key` holds; nothing where its generation is gone.
  absl::Status ChangeVerdict(const CacheSlot& slot, std::string_view key,
                             const std::function<void(wire_verdict&)>& change);

  MapFds maps_;
  VerdictCacheOptions options_;
  absl::flat_hash_map<uint64_t, InnerMaps> workloads_;
  absl::flat_hash_map<uint64_t, uint64_t> cgroups_;  // cgroup id → workload number
  absl::flat_hash_map<uint64_t, uint32_t>
      cgroups_of_;                        // workload number → how many are in cgroups_
  absl::flat_hash_set<uint64_t> tapped_;  // As in the kernel.
  // Swept entries that are not known yet, by the hash of their script's name. An entry may be swept
  // more than once.
  absl::flat_hash_map<uint64_t, absl::flat_hash_set<CacheSlot>> scripts_in_use_;
  absl::flat_hash_set<uint64_t> scripts_unused_;  // Names that no entry had at the last sweep.
  std::array<uint64_t, 2> losses_ = {~uint64_t{0}, ~uint64_t{0}};  // At the last two sweeps.
  bool tap_all_ = false;                                           // The same.
  uint64_t prepared_ = 0;                                          // Numbers below have maps.
  uint32_t class_slots_ = 0;
  // Given out, and perhaps not in the kernel yet: a class's key → its slot, by workload number.
  absl::flat_hash_map<uint64_t, absl::flat_hash_map<std::string, uint32_t>> planned_classes_;
  // Keys of the networks that are in the kernel, by workload number.
  absl::flat_hash_map<uint64_t, absl::flat_hash_set<std::string>> classes_;
};

}  // namespace vedette
