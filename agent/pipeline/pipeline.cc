// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/pipeline.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "agent/base/status.h"
#include "agent/pipeline/event_line.h"
#include "agent/pipeline/node.h"
#include "agent/profile/behaviour_of.h"

namespace vedette {
namespace {

constexpr size_t kQueueBatches = 4;
// Beyond it, batches wait in the rings while the store does not commit.
constexpr size_t kMaxUnspooled = 20000;
constexpr absl::Duration kCountsInterval = absl::Seconds(10);
constexpr absl::Duration kLongFlowInterval = absl::Minutes(1);
constexpr absl::Duration kGrace = absl::Seconds(60);
constexpr absl::Duration kRetryInterval = absl::Seconds(1);
constexpr absl::Duration kIdleLook = absl::Seconds(1);
constexpr uint64_t kHashBytesWhenIdle = 32u << 20;

}  // namespace

struct Pipeline::Question {
  std::function<absl::Status()> task;
  absl::Status answer;
  absl::Notification answered;
  bool dropped = false;  // Guarded by mutex_.
  bool begun = false;    // Guarded by mutex_.
};

Pipeline::Pipeline(PipelineParts parts)
    : parts_(std::move(parts)),
      next_counts_(parts_.clock->Now()),
      next_long_flows_(parts_.clock->Now() + kLongFlowInterval) {}

Pipeline::~Pipeline() { Stop(); }

void Pipeline::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Pipeline::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

bool Pipeline::Offer(Batch& batch) {
  absl::MutexLock lock(&mutex_);
  if (queue_.size() >= kQueueBatches || stopping_) {
    return false;
  }
  queue_.push_back(std::move(batch));
  batch = Batch();
  return true;
}

absl::Status Pipeline::Ask(const std::function<absl::Status()>& task, absl::Duration timeout) {
  auto question = std::make_shared<Question>();
  question->task = task;
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) {
      return absl::UnavailableError("the agent is stopping");
    }
    questions_.push_back(question);
  }
  if (question->answered.WaitForNotificationWithTimeout(timeout)) {
    return question->answer;
  }
  {
    absl::MutexLock lock(&mutex_);
    question->dropped = true;
    if (!question->begun) {
      return absl::UnavailableError("the agent is busy and did not answer in time; try again");
    }
  }
  // It has begun: what it captured must live until it ends.
  question->answered.WaitForNotification();
  return question->answer;
}

void Pipeline::Run() {
  bool asked_last = false;
  for (;;) {
    Batch batch;
    std::shared_ptr<Question> question;
    bool has_batch = false;
    {
      absl::MutexLock lock(&mutex_);
      const bool full = unspooled_.size() >= kMaxUnspooled;
      auto has_work = [this, full]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return stopping_ || !questions_.empty() || (!full && !queue_.empty());
      };
      mutex_.AwaitWithTimeout(absl::Condition(&has_work),
                              counts_.trouble.empty() ? kIdleLook : kRetryInterval);
      const bool can_batch = !full && !queue_.empty();
      // In turns: whoever asks without end must not keep what happens from being judged.
      if (!questions_.empty() && !(asked_last && can_batch)) {
        question = questions_.front();
        questions_.pop_front();
        question->begun = !question->dropped;
      } else if (can_batch) {
        batch = std::move(queue_.front());
        queue_.pop_front();
        has_batch = true;
      } else if (stopping_) {
        break;
      }
    }
    asked_last = question != nullptr;
    if (question && question->begun) {
      question->answer = question->task();
      question->answered.Notify();
    }
    if (has_batch) {
      ++counts_.batches;
      unacknowledged_ = std::move(batch.positions);
      Process(std::move(batch.events));
      Commit().IgnoreError();  // Counted and logged there; retried in Periodic.
    }
    Periodic();
  }
  SweepCache(/*also_reported=*/false);
  SyncCounts();
  Commit().IgnoreError();  // Counted and logged there.
}

void Pipeline::Process(std::vector<Event> events) {
  // Rings are read one after the other; a cgroup or a query must come before what needs it.
  std::stable_sort(events.begin(), events.end(),
                   [](const Event& a, const Event& b) { return a.header.time < b.header.time; });
  for (Event& event : events) {
    ++counts_.events;
    ProcessOne(std::move(event));
  }
  if (absl::StatusOr<std::vector<Finding>> updates = parts_.correlator->DueUpdates();
      updates.ok()) {
    for (const Finding& finding : *updates) {
      AppendToSpool(ToEvent(parts_.source, finding));
    }
  } else {
    CountError(updates.status());
  }
}

void Pipeline::ProcessOne(Event event) {
  if (auto* overflow = std::get_if<OverflowEvent>(&event.body)) {
    overflow->limit = parts_.cache->limit(overflow->cache);
  }
  if (auto* exec = std::get_if<ExecEvent>(&event.body); exec != nullptr && !parts_.capture_argv) {
    exec->argv.clear();
  }
  const EventHeader& header = event.header;
  if ((header.reason == Reason::kNews || header.reason == Reason::kSwept) &&
      parts_.bindings->Has(header.slot)) {
    // Told twice: a sweep and a later act met, or the entry was committed and its agent killed
    // before it said so. The kernel's count has this act.
    ++counts_.told_twice;
    event.header.reason = Reason::kFollowUp;
    judged_.push_back({header.slot, header.cache_key, std::nullopt});
  }
  EnrichedEvent enriched = parts_.enricher->Enrich(std::move(event));
  ApplyBindings(enriched.event);
  if (records_.size() < kMaxWorkloads || records_.contains(enriched.workload.name)) {
    ++records_[enriched.workload.name];
  }
  ScoredEvent scored = parts_.profiles->Judge(std::move(enriched));
  if (parts_.hub->watched()) {
    parts_.hub->Publish(scored.enriched.workload.name, EventKind(scored.enriched.event),
                        [&scored] { return EventLine(scored); });
  }
  Remember(scored);
  if (std::optional<Finding> finding = parts_.correlator->Correlate(std::move(scored))) {
    spdlog::warn("finding: {}", finding->title);
    AppendToSpool(ToEvent(parts_.source, *finding));
  }
}

uint64_t Pipeline::RecordsOf(const std::string& workload) const {
  const auto it = records_.find(workload);
  return it == records_.end() ? 0 : it->second;
}

// Tells the kernel which workload a cgroup is, as soon as its path says so.
void Pipeline::ApplyBindings(const Event& event) {
  const auto* cgroup = std::get_if<CgroupEvent>(&event.body);
  bool bound = false;
  for (const Binding& binding : parts_.enricher->TakeBindings()) {
    const WorkloadTable::Entry* entry = parts_.enricher->workloads().FindCgroup(binding.cgroup_id);
    const std::string path = entry == nullptr ? "" : entry->instance.cgroup_path;
    absl::StatusOr<uint64_t> number =
        parts_.cache->BindCgroup({binding.cgroup_id, binding.workload_number, binding.inherit_below,
                                  IsLauncherCgroup(path), path == "/"});
    CountError(number.status());
    bound = bound || (cgroup != nullptr && binding.cgroup_id == cgroup->cgroup_id);
  }
  if (cgroup == nullptr) {
    return;
  }
  if (!bound && cgroup->change != CgroupEvent::Change::kRemoved && cgroup->workload_number != 0) {
    parts_.cache->NoteCgroup(cgroup->cgroup_id, cgroup->workload_number);
  }
  const absl::Time now = parts_.clock->Now();
  if (cgroup->change == CgroupEvent::Change::kRemoved) {
    leaving_.push_back({now + kGrace, cgroup->cgroup_id, 0});
  } else if (cgroup->workload_number != 0) {
    leaving_.push_back({now + kGrace, 0, cgroup->workload_number});
  }
  CountError(parts_.cache->PrepareWorkloads());
}

void Pipeline::Remember(const ScoredEvent& scored) {
  const EventHeader& header = scored.enriched.event.header;
  if (header.slot.slot == 0 || header.cache_key.empty() ||
      (header.reason != Reason::kNews && header.reason != Reason::kSwept)) {
    return;
  }
  const bool judged = scored.judgement != Judgement::kNotABehaviour;
  if (judged) {
    parts_.bindings->Add(header.slot, scored.enriched.workload.name, scored.behaviour,
                         /*counted_acts=*/1);
  }
  judged_.push_back({header.slot, header.cache_key, std::nullopt});
  const std::optional<PeerInfo>& peer = scored.enriched.peer;
  if (!judged || !peer || !peer->dns_name.empty() || !peer->workload.empty()) {
    return;
  }
  if (peer->network.find('/') == std::string::npos && peer->network != "loopback") {
    return;  // Link-local and the like: next to a metadata service there may be something else.
  }
  // The peer has no better name than its network. What the network's entry stands for is committed
  // before the entry counts anything, or a kill in between loses the counts.
  absl::StatusOr<CacheSlot> network = parts_.cache->ClassSlot(header.slot, header.cache_key);
  if (!network.ok()) {
    return;
  }
  if (!parts_.bindings->Has(*network) &&
      parts_.profiles->BindSlot(*network, scored.enriched.workload.name, scored.behaviour)) {
    parts_.bindings->Add(*network, scored.enriched.workload.name, scored.behaviour,
                         /*counted_acts=*/0);
  }
  if (parts_.bindings->Has(*network)) {
    judged_.back().network = *network;
  }
}

absl::Status Pipeline::Commit() {
  auto write = [this]() -> absl::Status {
    VEDETTE_RETURN_IF_ERROR(parts_.db->Begin());
    for (const pb::Event& event : unspooled_) {
      VEDETTE_RETURN_IF_ERROR(parts_.delivery->Append(event));
    }
    VEDETTE_RETURN_IF_ERROR(flush_due_ ? parts_.profiles->Flush() : parts_.profiles->Write());
    VEDETTE_RETURN_IF_ERROR(parts_.correlator->Write());
    if (!unacknowledged_.empty()) {
      parts_.bindings->SetRingPositions(unacknowledged_);
    }
    VEDETTE_RETURN_IF_ERROR(parts_.bindings->Write());
    return parts_.db->Commit();
  };
  if (absl::Status status = write(); !status.ok()) {
    parts_.db->Rollback();
    ++counts_.failed_commits;
    if (counts_.trouble.empty()) {
      spdlog::error("the store does not take what was found; it is kept and tried again: {}",
                    Message(status));
    }
    counts_.trouble = std::string(Message(status));
    return status;
  }
  ++counts_.commits;
  flush_due_ = false;
  if (!counts_.trouble.empty()) {
    spdlog::info("the store takes again what was found");
    counts_.trouble.clear();
  }
  parts_.profiles->Committed();
  parts_.correlator->Committed();
  parts_.bindings->Committed();
  if (!unspooled_.empty()) {
    unspooled_.clear();
    parts_.delivery->Committed();
  }
  if (acknowledge_ && !unacknowledged_.empty()) {
    acknowledge_(unacknowledged_);
    unacknowledged_.clear();
  }
  TellCache();
  return absl::OkStatus();
}

void Pipeline::TellCache() {
  for (const Judged& judged : judged_) {
    CountError(parts_.cache->MarkKnown(judged.slot, judged.key));
    if (judged.network) {
      CountError(parts_.cache->MarkClassKnown(*judged.network, judged.key));
    }
  }
  judged_.clear();
}

void Pipeline::SyncCounts() {
  const absl::Time now = parts_.clock->Now();
  // What was taken from the kernel and what the profiles hold are committed together, or an act is
  // counted twice after a kill.
  flush_due_ = true;
  parts_.cache->ReadCounts([this, now](const CacheSlot& slot, const BehaviourCount& total) {
    std::optional<SlotCounts> delta = parts_.bindings->Take(slot, total);
    if (!delta) {
      return;
    }
    if (std::optional<DeviationGrowth> growth = parts_.profiles->AddCounts(slot, *delta, now)) {
      parts_.correlator->Grow(*growth);
    }
  });
}

void Pipeline::SweepCache(bool also_reported) {
  std::vector<Event> lost = parts_.cache->Sweep(
      also_reported, [this](const CacheSlot& slot) { return parts_.bindings->Has(slot); });
  counts_.swept += lost.size();
  Process(std::move(lost));
}

void Pipeline::ForgetVanished() {
  for (const uint64_t id : parts_.cache->Cgroups()) {
    const WorkloadTable::Entry* entry = parts_.enricher->workloads().FindCgroup(id);
    if (entry == nullptr || entry->removed) {
      leaving_.push_back({parts_.clock->Now() + kGrace, id, 0});
    }
  }
}

void Pipeline::ForgetLeft() {
  const absl::Time now = parts_.clock->Now();
  while (!leaving_.empty() && leaving_.front().at <= now) {
    Leaving left = leaving_.front();
    leaving_.pop_front();
    if (left.cgroup_id != 0) {
      left.workload_number = parts_.cache->ForgetCgroup(left.cgroup_id);
    }
    if (parts_.cache->DropUnused(left.workload_number)) {
      parts_.bindings->ForgetWorkload(left.workload_number);
      parts_.profiles->ForgetSlots(left.workload_number, ~uint64_t{0});
    }
  }
}

void Pipeline::Periodic() {
  const absl::Time now = parts_.clock->Now();
  if (!counts_.trouble.empty()) {
    Commit().IgnoreError();
  }
  if (now >= next_long_flows_) {
    next_long_flows_ = now + kLongFlowInterval;
    CountError(parts_.probes
                   ->RunIterator("scan_long_flows", {.map_fd = parts_.probes->MapFd("vd_sockets")})
                   .status());
  }
  if (now < next_counts_) {
    return;
  }
  next_counts_ = now + kCountsInterval;
  SyncCounts();
  SweepCache(/*also_reported=*/false);
  parts_.profiles->Tick();
  parts_.enricher->HashPending(kHashBytesWhenIdle);
  if (on_periodic_) {
    on_periodic_();
  }
  Commit().IgnoreError();
  ForgetLeft();
}

void Pipeline::CountError(const absl::Status& status) {
  if (!status.ok() && ++counts_.cache_errors <= 10) {
    spdlog::warn("the verdict cache is behind: {}", Message(status));
  }
}

}  // namespace vedette
