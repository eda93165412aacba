// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/cache_keeper.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "agent/base/status.h"
#include "agent/pipeline/node.h"

namespace vedette {
namespace {

constexpr absl::Duration kGrace = absl::Seconds(60);
constexpr uint64_t kLoggedErrors = 10;
constexpr size_t kMaxUnattributed = 16384;

// Who acted, of the events that have an entry in the cache.
const ProcessContext* ActorOf(const Event& event) {
  if (const auto* exec = std::get_if<ExecEvent>(&event.body)) {
    return &exec->process;
  }
  if (const auto* change = std::get_if<CredentialEvent>(&event.body)) {
    return &change->process;
  }
  if (const auto* act = std::get_if<PrivilegeEvent>(&event.body)) {
    return &act->process;
  }
  if (const auto* file = std::get_if<FileEvent>(&event.body)) {
    return &file->process;
  }
  const auto* flow = std::get_if<FlowEvent>(&event.body);
  return flow == nullptr ? nullptr : &flow->process;
}

}  // namespace

void CacheKeeper::Recognise(Event& event) {
  const EventHeader& header = event.header;
  if ((header.reason != Reason::kNews && header.reason != Reason::kSwept) ||
      !parts_.bindings->Has(header.slot)) {
    return;
  }
  // Told twice: a sweep and a later act met, or the entry was committed and its agent killed before
  // it said so. The kernel's count has this act.
  ++counts_.told_twice;
  event.header.reason = Reason::kFollowUp;
  judged_.push_back({header.slot, header.cache_key, std::nullopt, ""});
}

void CacheKeeper::Bind(const Binding& binding) {
  const WorkloadTable::Entry* entry = parts_.enricher->workloads().FindCgroup(binding.cgroup_id);
  const std::string path = entry == nullptr ? "" : entry->instance.cgroup_path;
  CountError(parts_.cache
                 ->BindCgroup({binding.cgroup_id, binding.workload_number, binding.inherit_below,
                               IsLauncherCgroup(path), path == "/"})
                 .status());
}

void CacheKeeper::BindRenamed() {
  const absl::Time now = parts_.steady->Now();
  for (const Binding& binding : parts_.enricher->TakeBindings()) {
    const uint64_t before = parts_.cache->NumberOf(binding.cgroup_id);
    Bind(binding);
    if (before != 0 && before != binding.workload_number) {
      leaving_.push_back({now + kGrace, 0, before});
    }
  }
}

void CacheKeeper::BindCgroups(const Event& event) {
  const auto* cgroup = std::get_if<CgroupEvent>(&event.body);
  bool bound = false;
  for (const Binding& binding : parts_.enricher->TakeBindings()) {
    Bind(binding);
    bound = bound || (cgroup != nullptr && binding.cgroup_id == cgroup->cgroup_id);
  }
  if (cgroup == nullptr) {
    return;
  }
  if (!bound && cgroup->change != CgroupEvent::Change::kRemoved && cgroup->workload_number != 0) {
    parts_.cache->NoteCgroup(cgroup->cgroup_id, cgroup->workload_number);
  }
  const absl::Time now = parts_.steady->Now();
  if (cgroup->change == CgroupEvent::Change::kRemoved) {
    leaving_.push_back({now + kGrace, cgroup->cgroup_id, 0});
  } else if (cgroup->workload_number != 0) {
    leaving_.push_back({now + kGrace, 0, cgroup->workload_number});
  }
  CountError(parts_.cache->PrepareWorkloads());
}

void CacheKeeper::Count(const ScoredEvent& scored) {
  const std::string& workload = scored.enriched.workload.name;
  if (scored.act.object.empty()) {
    return;
  }
  SlotCounts one;
  one.hits = 1;
  if (const auto* flow = std::get_if<FlowEvent>(&scored.enriched.event.body);
      flow != nullptr && flow->stage == FlowStage::kFailed) {
    one.failures = 1;
  }
  parts_.services->Add(workload, scored.act, one, scored.enriched.event.header.time);
  parts_.series->Count(workload, scored.act, one);
  if (scored.first) {
    parts_.series->CountNew(workload, scored.judgement == Judgement::kDeviation);
  }
  if (scored.enriched.peer && !scored.enriched.peer->workload.empty()) {
    parts_.services->SetPeerWorkload(workload, scored.act, scored.enriched.peer->workload);
  }
}

void CacheKeeper::Remember(const ScoredEvent& scored) {
  Count(scored);
  if (const auto* overflow = std::get_if<OverflowEvent>(&scored.enriched.event.body)) {
    parts_.bindings->AddLost(*overflow);
  }
  const EventHeader& header = scored.enriched.event.header;
  if (header.slot.slot == 0 || header.cache_key.empty() ||
      (header.reason != Reason::kNews && header.reason != Reason::kSwept)) {
    return;
  }
  if (!scored.enriched.workload.attributed()) {
    // It stays reported, until SweepUnattributed.
    if (unattributed_.size() < kMaxUnattributed) {
      unattributed_.insert(header.slot);
    }
    return;
  }
  // Also what no profile could take: the kernel counts it, and so do service map and series.
  if (!scored.act.object.empty()) {
    parts_.bindings->Add(header.slot, {.workload = scored.enriched.workload.name,
                                       .behaviour = scored.behaviour,
                                       .counted = {.acts = 1},
                                       .act = scored.act});
  }
  judged_.push_back({header.slot, header.cache_key, std::nullopt, ""});
  if (const auto* file = std::get_if<FileEvent>(&scored.enriched.event.body)) {
    RememberFiles(scored, file->class_key);
  } else if (scored.judgement != Judgement::kNotABehaviour) {
    RememberNetwork(scored);
  }
}

// The kernel may take other names of this shape for known where the profile does.
void CacheKeeper::RememberFiles(const ScoredEvent& scored, const std::string& class_key) {
  const bool holds =
      scored.judgement == Judgement::kKnown || scored.judgement == Judgement::kLearned;
  if (holds && IsOfManyFiles(scored.behaviour) && !class_key.empty()) {
    RememberClass(scored, class_key);
    judged_.back().class_key = class_key;
  }
}

// Does the workload know a peer of the same network by name? That one is judged by its name.
bool CacheKeeper::HasNamesBeside(const EnrichedEvent& flow) {
  const EventHeader& header = flow.event.header;
  return parts_.enricher->HasNameAt(flow.workload.name, header.time,
                                    [&header](const IpAddress& address) {
                                      return VerdictCache::ClassHolds(header.cache_key, address);
                                    });
}

void CacheKeeper::TakeBackNetworks(const EnrichedEvent& answer) {
  const uint64_t number = answer.workload.number;
  for (const IpAddress& address : answer.named) {
    CountError(parts_.cache->ForgetClasses(number, address));
    // Nor does one come into force that was to be told with the next commit.
    for (Judged& judged : judged_) {
      if (judged.network && judged.slot.workload_number == number && judged.class_key.empty() &&
          VerdictCache::ClassHolds(judged.key, address)) {
        judged.network.reset();
      }
    }
  }
}

void CacheKeeper::RememberNetwork(const ScoredEvent& scored) {
  const EventHeader& header = scored.enriched.event.header;
  const std::optional<PeerInfo>& peer = scored.enriched.peer;
  if (!peer || !peer->dns_name.empty() || !peer->workload.empty()) {
    return;
  }
  if (!peer->network.ends_with("/24") && !peer->network.ends_with("/64")) {
    return;  // Next to a metadata service there may be something else, and on this host a workload.
  }
  if (HasNamesBeside(scored.enriched)) {
    return;
  }
  // The peer has no better name than its network.
  RememberClass(scored, header.cache_key);
}

// What the class's entry stands for is committed before the entry counts anything, or a kill in
// between loses the counts.
void CacheKeeper::RememberClass(const ScoredEvent& scored, const std::string& key) {
  absl::StatusOr<CacheSlot> network =
      parts_.cache->ClassSlot(scored.enriched.event.header.slot, key);
  if (!network.ok()) {
    return;
  }
  if (!parts_.bindings->Has(*network) &&
      parts_.profiles->BindSlot(*network, scored.enriched.workload.name, scored.behaviour)) {
    parts_.bindings->Add(*network, {.workload = scored.enriched.workload.name,
                                    .behaviour = scored.behaviour,
                                    .counted = {},
                                    .act = scored.act});
  }
  if (parts_.bindings->Has(*network)) {
    judged_.back().network = *network;
  }
}

void CacheKeeper::TellAgain(const std::string& workload, const Behaviour& behaviour) {
  const bool is_code = behaviour.channel == Channel::kExec;
  std::vector<CacheSlot> slots;
  parts_.bindings->ForEach([&](const CacheSlot& slot, const CacheBindings::Row& row) {
    const bool by_code = is_code && row.behaviour.subject == behaviour.object &&
                         row.behaviour.subject_sha256 == behaviour.object_sha256;
    if (row.workload == workload && (row.behaviour == behaviour || by_code)) {
      slots.push_back(slot);
    }
  });
  CountError(parts_.cache->Forget(slots));
}

void CacheKeeper::Tell() {
  ForgetReadCounts();
  for (const Judged& judged : judged_) {
    CountError(parts_.cache->MarkKnown(judged.slot, judged.key));
    CountFileEntry(judged.slot);
    if (judged.network) {
      CountFileEntry(*judged.network);
      CountError(parts_.cache->MarkClassKnown(
          *judged.network, judged.class_key.empty() ? judged.key : judged.class_key));
    }
  }
  judged_.clear();
  MakeRoomForFiles();
}

void CacheKeeper::SyncCounts() {
  const absl::Time now = parts_.clock->Now();
  const absl::Status read =
      parts_.cache->ReadCounts([this, now](const CacheSlot& slot, const BehaviourCount& total) {
        std::optional<SlotCounts> delta = parts_.bindings->Take(slot, total);
        if (!delta) {
          return;
        }
        const CacheBindings::Row* row = parts_.bindings->Find(slot);
        const Act act = row->done();
        parts_.services->Add(row->workload, act, *delta, now);
        parts_.series->Count(row->workload, act, *delta);
        if (std::optional<DeviationGrowth> growth = parts_.profiles->AddCounts(slot, *delta, now)) {
          parts_.correlator->Grow(*growth);
        }
      });
  CountError(read);
  if (read.ok()) {
    LetDroppedGo();
  }
}

std::vector<Event> CacheKeeper::Sweep() const {
  return parts_.cache->Sweep(/*also_reported=*/false, [](const CacheSlot&) { return false; });
}

std::vector<Event> CacheKeeper::SweepUnattributed() {
  if (unattributed_.empty()) {
    return {};
  }
  const auto slots = std::exchange(unattributed_, {});
  if (slots.size() >= kMaxUnattributed) {
    return SweepAdopted();  // Whatever was reported and not judged.
  }
  return parts_.cache->Sweep(
      /*also_reported=*/true, [&slots](const CacheSlot& slot) { return !slots.contains(slot); });
}

void CacheKeeper::PrepareWorkloads() { CountError(parts_.cache->PrepareWorkloads()); }

std::vector<Event> CacheKeeper::SweepAdopted() const {
  return parts_.cache->Sweep(/*also_reported=*/true,
                             [this](const CacheSlot& slot) { return parts_.bindings->Has(slot); });
}

std::vector<Event> CacheKeeper::TakeForgotten() {
  const auto is_named = [this](const CodeKey& code) {
    return code == CodeKey() || parts_.enricher->KnowsCode(code);
  };
  std::vector<Event> forgotten =
      parts_.cache->Forgotten([this](const CacheSlot& slot) { return parts_.bindings->Has(slot); });
  std::erase_if(forgotten, [&](const Event& event) {
    const ProcessContext* process = ActorOf(event);
    const auto* exec = std::get_if<ExecEvent>(&event.body);
    // The name of a script is in no key, nor is that of a file.
    if (process != nullptr && is_named(process->code) &&
        !std::holds_alternative<FileEvent>(event.body) &&
        (exec == nullptr || (exec->script.empty() && is_named(exec->parent_code)))) {
      return false;
    }
    CountError(parts_.cache->TellAgain(event.header.slot, event.header.cache_key));
    return true;
  });
  return forgotten;
}

void CacheKeeper::ForgetVanished() {
  for (const uint64_t id : parts_.cache->Cgroups()) {
    const WorkloadTable::Entry* entry = parts_.enricher->workloads().FindCgroup(id);
    if (entry == nullptr || entry->removed) {
      leaving_.push_back({parts_.steady->Now() + kGrace, id, 0});
    }
  }
}

void CacheKeeper::ForgetLeft() {
  // What leaves comes in the order of its time: each has the same grace.
  const auto not_due = std::find_if_not(leaving_.begin(), leaving_.end(),
                                        [this](const Leaving& left) { return IsDue(left); });
  std::vector<Leaving> due(leaving_.begin(), not_due);
  absl::flat_hash_set<uint64_t> homes;
  if (std::any_of(due.begin(), due.end(),
                  [](const Leaving& left) { return left.cgroup_id != 0; })) {
    absl::StatusOr<absl::flat_hash_set<uint64_t>> read = parts_.cache->HomeCgroups();
    CountError(read.status());
    if (!read.ok()) {
      return;  // Asked again the next time: too much is kept rather than too little.
    }
    homes = *std::move(read);
  }
  leaving_.erase(leaving_.begin(), not_due);
  for (Leaving& left : due) {
    if (left.cgroup_id != 0 && homes.contains(left.cgroup_id)) {
      left.at = parts_.steady->Now() + kGrace;
      leaving_.push_back(left);
      continue;
    }
    if (left.cgroup_id != 0) {
      left.workload_number = parts_.cache->ForgetCgroup(left.cgroup_id);
    }
    if (parts_.cache->DropUnused(left.workload_number)) {
      parts_.bindings->ForgetWorkload(left.workload_number);
      file_room_.erase(left.workload_number);
      parts_.profiles->ForgetSlots(left.workload_number, ~uint64_t{0});
    }
  }
}

void CacheKeeper::CountError(const absl::Status& status) {
  if (!status.ok() && ++counts_.errors <= kLoggedErrors) {
    spdlog::warn("the verdict cache is behind: {}", Message(status));
  }
}

}  // namespace vedette
