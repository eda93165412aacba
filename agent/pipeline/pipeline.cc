// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/pipeline.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "agent/base/deadline.h"
#include "agent/base/status.h"
#include "agent/pipeline/event_line.h"
#include "agent/pipeline/store.h"

namespace vedette {
namespace {

// Beyond it, batches wait in the rings while the store does not commit.
constexpr size_t kMaxUnspooled = 20000;
constexpr absl::Duration kCountsInterval = absl::Seconds(10);
constexpr absl::Duration kLongFlowInterval = absl::Minutes(1);
constexpr absl::Duration kNamesInterval = absl::Seconds(1);
constexpr absl::Duration kRetryInterval = absl::Seconds(1);
constexpr absl::Duration kIdleLook = absl::Seconds(1);
constexpr absl::Duration kLookAtWaiting = absl::Milliseconds(20);
// A batch waits so long for the hashes of its programs; nearly all are there by then.
constexpr absl::Duration kBatchPatience = absl::Milliseconds(200);
// Held longer, a small ring would run full of what others do.
constexpr absl::Duration kHoldRings = absl::Seconds(2);
constexpr absl::Duration kStopPatience = absl::Seconds(1);
// Those that have storage, and those that are kept by name.
constexpr std::pair<std::string_view, std::string_view> kListenerScans[] = {
    {"scan_listeners", "vd_sockets"}, {"scan_named", "vd_listeners"}};
// Of which cgroups are told, among others.
constexpr uint32_t kCodeLane = 0;
constexpr absl::Duration kToldClockStep = absl::Seconds(1);
constexpr uint64_t kLoggedErrors = 10;
constexpr uint64_t kHashBytesWhenIdle = 32u << 20;

}  // namespace

Pipeline::Pipeline(PipelineParts parts)
    : parts_(std::move(parts)),
      waiting_(parts_.enricher, parts_.steady),
      next_counts_(parts_.steady->Now()),
      next_names_(parts_.steady->Now()),
      next_long_flows_(parts_.steady->Now() + kLongFlowInterval),
      boot_(parts_.decoder->boot_time()) {}

Pipeline::~Pipeline() { Stop(); }

void Pipeline::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Pipeline::Stop() {
  inbox_.Close();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Pipeline::Run() {
  for (;;) {
    const bool full = unspooled_.size() >= kMaxUnspooled;
    const absl::Duration patience = !waiting_.empty()         ? kLookAtWaiting
                                    : counts_.trouble.empty() ? kIdleLook
                                                              : kRetryInterval;
    Inbox::Work work = inbox_.Next(!full, patience);
    if (work.stop) {
      break;
    }
    if (work.task) {
      inbox_.Run(*work.task);
    }
    if (work.batch) {
      ++counts_.batches;
      unacknowledged_ = std::move(work.batch->positions);
      Process(std::move(work.batch->events), Entrance::kRings);
      Commit().IgnoreError();  // Counted and logged there; retried in Periodic.
    }
    Periodic();
  }
  SweepCache();
  Settle(kStopPatience);
  SyncCounts();
  Commit().IgnoreError();  // Counted and logged there.
}

void Pipeline::FollowClock() {
  parts_.decoder->SetBootTime(BootTime(*parts_.clock));
  const absl::Time boot = parts_.decoder->boot_time();
  const absl::Duration step = boot - std::exchange(boot_, boot);
  if (step != absl::ZeroDuration()) {
    parts_.enricher->MoveNames(step);
  }
  if (absl::AbsDuration(step) >= kToldClockStep) {
    spdlog::info("the clock was set by {}", absl::FormatDuration(step));
  }
}

EventSource Pipeline::Source() const {
  EventSource source = parts_.source;
  source.boot_time = parts_.decoder->boot_time();
  return source;
}

void Pipeline::Process(std::vector<Event> events, Entrance entrance) {
  FollowClock();
  // Rings are read one after the other; a cgroup or a query must come before what needs it.
  std::stable_sort(events.begin(), events.end(),
                   [](const Event& a, const Event& b) { return a.header.time < b.header.time; });
  // Where some wait already, a filesystem is slow, and the others must not wait for it as well.
  const bool may_wait = waiting_.empty();
  if (std::any_of(events.begin(), events.end(), Enricher::NeedsListeners)) {
    CountError(SeeListeners());
  }
  counts_.events[static_cast<size_t>(entrance)] += events.size();
  for (Event& event : events) {
    ProcessOne(std::move(event), entrance);
  }
  JudgeReady(may_wait ? kBatchPatience : absl::ZeroDuration());
  const Updates updates = parts_.correlator->DueUpdates();
  for (const Finding& finding : updates.findings) {
    AppendToSpool(ToEvent(Source(), finding));
  }
  CountError(updates.status);
  OnDamage(updates.status);
}

// Known listeners send no record, so the kernel is asked when it matters who listens.
absl::Status Pipeline::SeeListeners() {
  std::vector<Event> listening;
  for (const auto& [program, map] : kListenerScans) {
    VEDETTE_ASSIGN_OR_RETURN(
        const std::string bytes,
        parts_.probes->RunIterator(program, {.map_fd = parts_.probes->MapFd(map)}));
    VEDETTE_RETURN_IF_ERROR(parts_.decoder->DecodeAll(bytes, listening));
  }
  parts_.enricher->SeeListeners(listening, parts_.clock->Now());
  return absl::OkStatus();
}

void Pipeline::SeeLostCgroups() {
  cgroups_missing_ = true;
  if (!parts_.cgroups->MayWalk()) {
    return;
  }
  absl::StatusOr<std::vector<Event>> cgroups = parts_.cgroups->Walk();
  CountError(cgroups.status());
  if (!cgroups.ok()) {
    return;
  }
  cgroups_missing_ = false;
  cgroups_found_ = cgroups_found_ || !cgroups->empty();
  if (!cgroups->empty()) {
    counts_.found_cgroups += cgroups->size();
    spdlog::info("{} cgroups were found, or found to be gone, that no record has told of",
                 cgroups->size());
  }
  counts_.events[static_cast<size_t>(Entrance::kScan)] += cgroups->size();
  for (Event& cgroup : *cgroups) {
    ProcessOne(std::move(cgroup), Entrance::kScan);
  }
}

bool Pipeline::LostCodeRecords() {
  uint64_t dropped = 0;
  for (const LaneCount& lane : parts_.cache->ReadLanes()) {
    dropped += lane.lane == kCodeLane ? lane.dropped : 0;
  }
  return std::exchange(dropped_code_, dropped) != dropped;
}

void Pipeline::JudgeUnattributed() {
  if (LostCodeRecords() || cgroups_missing_) {
    SeeLostCgroups();
  }
  if (std::exchange(cgroups_found_, false)) {
    Process(parts_.keeper->SweepUnattributed(), Entrance::kSweep);
  }
}

void Pipeline::ProcessOne(Event event, Entrance entrance) {
  if (!parts_.enricher->IsAttributed(event)) {
    SeeLostCgroups();
  }
  if (auto* overflow = std::get_if<OverflowEvent>(&event.body)) {
    overflow->limit = parts_.cache->limit(overflow->cache);
  }
  parts_.keeper->Recognise(event);
  const uint64_t received = parts_.enricher->ledger().received;
  EnrichedEvent enriched = parts_.enricher->Enrich(std::move(event));
  counts_.enriched[static_cast<size_t>(entrance)] += parts_.enricher->ledger().received - received;
  parts_.keeper->BindCgroups(enriched.event);
  parts_.keeper->TakeBackNetworks(enriched);
  records_.Count(enriched.workload.name);
  if (!waiting_.Keep(enriched)) {
    JudgeOne(std::move(enriched));
  }
}

void Pipeline::JudgeOne(EnrichedEvent event) {
  ScoredEvent scored = parts_.profiles->Judge(std::move(event));
  if (parts_.hub->watched()) {
    parts_.hub->Publish(scored.enriched.workload.name, EventKind(scored.enriched.event),
                        [&scored] { return EventLine(scored); });
  }
  parts_.keeper->Remember(scored);
  if (scored.no_room) {
    return;  // In the ledger it ends here.
  }
  if (std::optional<Finding> finding = parts_.correlator->Correlate(std::move(scored))) {
    spdlog::warn("finding: {}", finding->title);
    AppendToSpool(ToEvent(Source(), *finding));
  }
}

void Pipeline::JudgeReady(absl::Duration patience) {
  // Not the clock of the parts: what is awaited happens outside.
  const Deadline until = Deadline::In(patience);
  while (!waiting_.empty()) {
    const absl::Duration left = until.Left();
    for (EnrichedEvent& event : waiting_.TakeReady(left)) {
      parts_.keeper->Recognise(event.event);  // The same may have waited twice.
      JudgeOne(std::move(event));
    }
    if (left <= absl::ZeroDuration()) {
      return;
    }
  }
}

void Pipeline::Settle(absl::Duration patience) {
  JudgeReady(patience);
  for (EnrichedEvent& event : waiting_.TakeAll()) {
    parts_.keeper->Recognise(event.event);
    JudgeOne(std::move(event));
  }
}

// A kill while events wait must not lose them: their records stay in the rings.
bool Pipeline::HoldsRings() const {
  return !waiting_.empty() && parts_.steady->Now() < waiting_.since() + kHoldRings;
}

absl::Status Pipeline::Commit() {
  const bool acknowledges = !unacknowledged_.empty() && !HoldsRings();
  auto write = [this, acknowledges]() -> absl::Status {
    VEDETTE_RETURN_IF_ERROR(parts_.db->Begin());
    for (const pb::Event& event : unspooled_) {
      VEDETTE_RETURN_IF_ERROR(parts_.delivery->Append(event));
    }
    VEDETTE_RETURN_IF_ERROR(parts_.bound->Step(*parts_.correlator, *parts_.profiles));
    VEDETTE_RETURN_IF_ERROR(flush_due_ ? parts_.profiles->Flush() : parts_.profiles->Write());
    VEDETTE_RETURN_IF_ERROR(parts_.correlator->Write());
    VEDETTE_RETURN_IF_ERROR(parts_.enricher->Write(parts_.clock->Now(), flush_due_));
    if (acknowledges) {
      parts_.bindings->SetRingPositions(unacknowledged_);
    }
    VEDETTE_RETURN_IF_ERROR(parts_.bindings->Write());
    return parts_.db->Commit();
  };
  if (absl::Status status = write(); !status.ok()) {
    parts_.db->Rollback();
    OnStoreError(status);
    return status;
  }
  ++counts_.commits;
  flush_due_ = false;
  if (!counts_.trouble.empty()) {
    spdlog::info("the store takes again what was found");
    counts_.trouble.clear();
    store_fails_ = false;
    parts_.db->SetPatient(true);
  }
  parts_.bound->Committed();
  parts_.profiles->Committed();
  parts_.correlator->Committed();
  parts_.enricher->Committed();
  parts_.bindings->Committed();
  if (!unspooled_.empty()) {
    unspooled_.clear();
    parts_.delivery->Committed();
  }
  if (acknowledge_ && acknowledges) {
    acknowledge_(unacknowledged_);
    unacknowledged_.clear();
  }
  parts_.keeper->Tell();
  return absl::OkStatus();
}

void Pipeline::OnStoreError(const absl::Status& status) {
  ++counts_.failed_commits;
  const std::string trouble = StoreTrouble(status, parts_.db->path());
  if (trouble != counts_.trouble) {
    spdlog::error("{}; what was found is kept and tried again ({})", trouble, Message(status));
  }
  counts_.trouble = trouble;
  store_fails_ = true;
  // A commit is tried each second, and who asks meanwhile, or wants the agent to end, is not to
  // wait for a lock each time.
  parts_.db->SetPatient(!absl::IsUnavailable(status));
  OnDamage(status);
}

void Pipeline::OnDamage(const absl::Status& status) {
  if (absl::IsDataLoss(status) && on_damaged_) {
    std::exchange(on_damaged_, nullptr)();
  }
}

void Pipeline::SyncCounts() {
  // What was taken from the kernel and what the profiles hold are committed together, or an act is
  // counted twice after a kill.
  flush_due_ = true;
  parts_.keeper->SyncCounts();
}

void Pipeline::SweepCache() { Process(parts_.keeper->Sweep(), Entrance::kSweep); }

void Pipeline::Periodic() {
  FollowClock();
  const absl::Time now = parts_.steady->Now();
  const size_t waited = waiting_.size();
  JudgeReady(absl::ZeroDuration());
  if (!counts_.trouble.empty() || parts_.bound->more() || waited != waiting_.size()) {
    Commit().IgnoreError();
  }
  if (now >= next_names_) {
    next_names_ = now + kNamesInterval;
    parts_.enricher->NameLate();
    parts_.keeper->BindRenamed();
  }
  if (now >= next_long_flows_) {
    next_long_flows_ = now + kLongFlowInterval;
    CountError(parts_.probes->RunIterator("scan_long_flows", {}).status());
  }
  if (now < next_counts_) {
    return;
  }
  next_counts_ = now + kCountsInterval;
  SyncCounts();
  SweepCache();
  JudgeUnattributed();
  parts_.keeper->PrepareWorkloads();
  parts_.profiles->Tick();
  records_.Keep([this](const std::string& workload) {
    return parts_.profiles->Has(workload) || parts_.enricher->workloads().IsRunning(workload);
  });
  parts_.enricher->HashPending(kHashBytesWhenIdle);
  if (on_periodic_) {
    on_periodic_();
  }
  for (const SinkStats& sink : parts_.delivery->Stats()) {
    if (sink.store_damaged) {
      OnDamage(absl::DataLossError("a sink cannot read the spool"));
    }
  }
  Commit().IgnoreError();
  parts_.keeper->ForgetLeft();
}

void Pipeline::CountError(const absl::Status& status) {
  if (!status.ok() && ++counts_.errors <= kLoggedErrors) {
    spdlog::warn("what is done now and then failed: {}", Message(status));
  }
}

}  // namespace vedette
