// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/base/sqlite.h"
#include "agent/enrich/code_table.h"
#include "agent/enrich/dns_name_store.h"
#include "agent/enrich/dns_tracker.h"
#include "agent/enrich/enriched_event.h"
#include "agent/enrich/lru_map.h"
#include "agent/enrich/peer.h"
#include "agent/enrich/process_table.h"
#include "agent/enrich/workloads.h"

namespace vedette {

// Event → EnrichedEvent: gives what the kernel numbers its stable name. Owned by the pipeline
// thread. Every event that comes in goes out; a full table costs a name, never an event. It
// keeps the names of peers in the store if it is told to, opens no file, writes no map, and judges
// nothing.
class Enricher {
 public:
  struct Options {
    std::string cluster;  // The trust domain of identities; see CheckTrustDomain.
    std::string boot_id;  // As in /proc/sys/kernel/random/boot_id.
    std::vector<IpAddress> resolvers;
    WorkloadTable::NumberSource new_number;
    WorkloadTable::Namer namer;    // Without it, containers are called by their ids.
    CodeHasher* hasher = nullptr;  // Outlives the enricher; without it nothing is hashed.
    WorkloadTable::Limits workload_limits;
    CodeTable::Limits code_limits;
    size_t processes = ProcessTable::kDefaultProcesses;
    DnsTracker::Limits dns_limits;
    ListenerTable::Limits listener_limits;
  };
  struct Ledger {
    uint64_t received = 0;
    uint64_t emitted = 0;
    uint64_t unattributed = 0;  // Of the emitted ones.
  };

  static absl::StatusOr<std::unique_ptr<Enricher>> Create(Options options);

  EnrichedEvent Enrich(Event&& event);

  // Whether Enrich would know the workload of such an event now.
  bool IsAttributed(const Event& event) const;

  // From now on the names of peers are kept in `db`, which outlives the enricher; loads those that
  // are there. Then, inside the caller's transaction, Write, and Committed once it is; if the
  // commit failed, the next Write repeats what was lost. `all`: also for how long they were
  // watched.
  absl::Status KeepNames(SqliteDatabase* db, absl::Time now);
  absl::Status Write(absl::Time now, bool all);
  void Committed();

  // The wall clock was set, and the time of events with it: names hold as long as they would have.
  void MoveNames(absl::Duration by) { dns_.names().Move(by); }

  // See CodeTable::KnowRuntime.
  void KnowRuntime(const CodeKey& key, const std::string& path) { codes_.KnowRuntime(key, path); }

  // Before a peer of such an event is named, the table of listeners must be as the kernel has it.
  static bool NeedsListeners(const Event& event);
  // All sockets of this node that listen now, as FlowEvents of stage kListening.
  void SeeListeners(const std::vector<Event>& listening, absl::Time now);

  // Has any address that `matches` a name for the workload?
  bool HasNameAt(const std::string& workload, absl::Time now,
                 const std::function<bool(const IpAddress&)>& matches) {
    return dns_.names().HasAny(workload, matches, now);
  }

  // What the kernel must be told since the last call, in order. To be applied before the next
  // batch.
  std::vector<Binding> TakeBindings();
  // See WorkloadTable::NameLate; what it says is among the bindings.
  void NameLate();

  void RestoreCode(const CodeKey& key, const Code& code, const std::string& workload) {
    codes_.Restore(key, code, workload);
  }
  bool KnowsCode(const CodeKey& code) { return codes_.Find(code) != nullptr; }

  // Whether a program that the event's judgement depends on is still being hashed.
  bool AwaitsHash(EnrichedEvent& event) const;
  // Takes over what was hashed; waits for something at most `patience`.
  void TakeHashes(absl::Duration patience) { codes_.TakeHashes(patience); }
  // Puts what is known now of the event's programs into it.
  void RenewHashes(EnrichedEvent& event);

  // Programs that ran before the agent are given to the hasher here, by the caller's idle time;
  // returns how many still wait. See CodeTable::HashPending.
  size_t HashPending(uint64_t max_bytes) { return codes_.HashPending(max_bytes); }

  void SetResolvers(const std::vector<IpAddress>& addresses) { dns_.SetResolvers(addresses); }

  const WorkloadTable& workloads() const { return workloads_; }
  const Ledger& ledger() const { return ledger_; }
  // "<table>/<reason>" → how often something was less than complete.
  std::map<std::string, uint64_t> Degradations() const;

 private:
  explicit Enricher(Options options);

  void Fill(const ExecEvent& body, EnrichedEvent& out);
  void Fill(const ProcessSeenEvent& body, EnrichedEvent& out);
  void Fill(const ForkEvent& body, EnrichedEvent& out);
  void Fill(const ExitEvent& body, EnrichedEvent& out);
  void Fill(const CredentialEvent& body, EnrichedEvent& out);
  void Fill(const FlowEvent& body, EnrichedEvent& out);
  void Fill(const DnsEvent& body, EnrichedEvent& out);
  void Fill(const CgroupEvent& body, EnrichedEvent& out);
  void Fill(const MoveEvent& body, EnrichedEvent& out);
  void Fill(const OverflowEvent& body, EnrichedEvent& out);
  void Fill(const PrivilegeEvent& body, EnrichedEvent& out);
  void Fill(const FileEvent& body, EnrichedEvent& out);

  // The programs that the event's judgement depends on, and where it holds them.
  static std::vector<std::pair<CodeKey, Code*>> JudgedCode(EnrichedEvent& event);
  // A process of the same cgroup that has been there for longer, else the parent.
  uint32_t NeighbourOf(const ProcessContext& context);
  void FillProcess(const ProcessContext& context, EnrichedEvent& out);
  void FillWorkload(uint64_t cgroup_id, uint64_t number, EnrichedEvent& out);
  const WorkloadInfo* WorkloadOf(uint64_t cgroup_id, uint64_t number) const;
  PeerInfo Peer(const FlowEvent& flow, const std::string& workload, absl::Time time);

  const WorkloadInfo unattributed_;
  WorkloadTable workloads_;
  CodeTable codes_;
  ProcessTable processes_;
  LruMap<uint64_t, uint32_t> neighbours_;  // Cgroup → the process seen there first.
  DnsTracker dns_;
  std::unique_ptr<DnsNameStore> name_store_;  // None: names end with the agent.
  absl::Time next_expiry_;
  ListenerTable listeners_;
  std::vector<Binding> bindings_;
  Ledger ledger_;
  Reasons reasons_;
};

}  // namespace vedette
