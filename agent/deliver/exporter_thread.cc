// SPDX-License-Identifier: Apache-2.0
#include "agent/deliver/exporter_thread.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "agent/base/status.h"

namespace vedette {
namespace {

// What is wrong, without the details after it that may change from try to try.
std::string_view Gist(std::string_view message) { return message.substr(0, message.find(": ")); }

bool IsPowerOfTwo(uint64_t n) { return n != 0 && (n & (n - 1)) == 0; }

}  // namespace

ExporterThread::ExporterThread(ExporterThreadOptions options, std::unique_ptr<SpoolReader> spool,
                               std::unique_ptr<Exporter> exporter)
    : options_(std::move(options)),
      spool_(std::move(spool)),
      exporter_(std::move(exporter)),
      random_(std::random_device{}()),
      backoff_(options_.initial_backoff) {
  stats_.account.sink = options_.sink;
}

absl::StatusOr<std::unique_ptr<ExporterThread>> ExporterThread::Start(
    ExporterThreadOptions options, std::unique_ptr<Exporter> exporter) {
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<SpoolReader> spool,
                           SpoolReader::Open(options.database_path, options.sink));
  std::unique_ptr<ExporterThread> thread(
      new ExporterThread(std::move(options), std::move(spool), std::move(exporter)));
  thread->RefreshAccount();
  thread->thread_ = std::thread([raw = thread.get()] { raw->Run(); });
  return thread;
}

ExporterThread::~ExporterThread() {
  BeginStop(Deadline::Now());
  Join();
}

void ExporterThread::Wake() {
  MutexLock lock(&mutex_);
  woken_ = true;
}

void ExporterThread::BeginStop(Deadline deadline) {
  MutexLock lock(&mutex_);
  stopping_ = true;
  deadline_ = std::min(deadline_, deadline);
}

void ExporterThread::Join() {
  if (thread_.joinable()) {
    thread_.join();
  }
}

SinkStats ExporterThread::stats() const {
  MutexLock lock(&mutex_);
  return stats_;
}

void ExporterThread::Run() {
  for (;;) {
    {
      MutexLock lock(&mutex_);
      woken_ = false;
    }
    while (!PastDeadline() && Step()) {
    }
    MutexLock lock(&mutex_);
    if (stopping_) {
      break;
    }
    mutex_.Await([this] { return HasWork(); });
  }
  Deadline deadline = Deadline::Never();
  {
    MutexLock lock(&mutex_);
    deadline = deadline_;
  }
  const absl::Status status = exporter_->Shutdown(deadline);
  if (!status.ok()) {
    spdlog::warn("sink {}: {}", options_.sink, std::string(status.message()));
  }
}

bool ExporterThread::PastDeadline() {
  MutexLock lock(&mutex_);
  return stopping_ && deadline_.IsPassed();
}

bool ExporterThread::Step() {
  const size_t limit = single_ > 0 ? 1 : options_.max_batch_events;
  auto rows = spool_->Read(limit, options_.max_batch_bytes);
  if (!rows.ok()) {
    OnStoreError(rows.status());
    MutexLock lock(&mutex_);
    return !stopping_;
  }
  if (rows->empty()) {
    RefreshAccount();
    return false;
  }
  if (!rows->front().readable) {
    OnRejected(absl::DataLossError("a row of the spool cannot be read"));
    Pass(*rows, kDropUnreadable);
    return true;
  }
  const absl::Time taken = absl::Now();
  const absl::Status status = ExportAndWait(*rows);
  if (status.ok()) {
    OnDelivered();
    LogDelays(*rows, taken);
    Pass(*rows, "");
    single_ -= std::min(single_, rows->size());
    return true;
  }
  if (absl::IsUnavailable(status)) {
    OnUnavailable(status);
    MutexLock lock(&mutex_);
    return !stopping_;
  }
  if (rows->size() > 1) {
    single_ = rows->size();  // Find out which of them is refused.
    return true;
  }
  OnRejected(status);
  Pass(*rows, kDropRejected);
  single_ -= std::min<size_t>(single_, 1);
  return true;
}

absl::Status ExporterThread::ExportAndWait(const std::vector<SpoolRow>& rows) {
  std::vector<pb::Event> batch;
  batch.reserve(rows.size());
  for (const SpoolRow& row : rows) {
    batch.push_back(row.event);
  }
  {
    MutexLock lock(&mutex_);
    answered_ = false;
  }
  exporter_->Export(std::move(batch), [this](absl::Status status) {
    MutexLock lock(&mutex_);
    answer_ = std::move(status);
    answered_ = true;
  });
  bool answered = false;
  Deadline deadline = Deadline::Never();
  {
    MutexLock lock(&mutex_);
    const auto over = [this] { return answered_ || stopping_; };
    mutex_.Await(over);
    answered = mutex_.AwaitWithDeadline([this] { return IsAnswered(); }, deadline_);
    deadline = deadline_;
  }
  if (!answered) {
    // Its contract: what is under way is answered by the shutdown.
    exporter_->Shutdown(deadline).IgnoreError();
  }
  MutexLock lock(&mutex_);
  mutex_.Await([this] { return IsAnswered(); });
  return answer_;
}

// The far side has the rows (or never will), so this is tried until the store takes it. At a stop
// they stay and are sent once more by the next run.
void ExporterThread::Pass(const std::vector<SpoolRow>& rows, const std::string& reason) {
  for (;;) {
    const absl::Status status = spool_->Pass(rows, reason);
    if (status.ok()) {
      RefreshAccount();
      return;
    }
    OnStoreError(status);
    MutexLock lock(&mutex_);
    if (stopping_) {
      return;
    }
  }
}

void ExporterThread::Backoff() {
  const double jitter = std::uniform_real_distribution<double>(0.5, 1.0)(random_);
  MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout([this] { return IsStopping(); }, backoff_ * jitter);
  backoff_ = std::min(backoff_ * 2, options_.max_backoff);
}

void ExporterThread::RefreshAccount() {
  auto account = spool_->Account();
  if (!account.ok()) {
    NoteStoreError(account.status());
    return;
  }
  MutexLock lock(&mutex_);
  stats_.account = *std::move(account);
  if (!stats_.store_trouble.empty()) {
    spdlog::info("sink {}: the spool can be used again", options_.sink);
  }
  stats_.store_trouble.clear();
}

void ExporterThread::OnUnavailable(const absl::Status& status) {
  RefreshAccount();
  const std::string message(status.message());
  bool news = false;
  uint64_t lag = 0;
  {
    MutexLock lock(&mutex_);
    ++stats_.retries;
    news = stats_.available || Gist(stats_.trouble) != Gist(message);
    stats_.available = false;
    stats_.trouble = message;
    lag = stats_.account.lag();
  }
  if (news) {
    spdlog::warn("sink {}: {}; {} wait in the spool", options_.sink, message, lag);
  }
  Backoff();
}

void ExporterThread::OnDelivered() {
  backoff_ = options_.initial_backoff;
  MutexLock lock(&mutex_);
  if (!stats_.available) {
    spdlog::info("sink {}: delivers again", options_.sink);
  }
  stats_.available = true;
  stats_.trouble.clear();
}

// From the act, as the kernel timed it, until the spool gave it to us and until the sink had it.
void ExporterThread::LogDelays(const std::vector<SpoolRow>& rows, absl::Time taken) const {
  if (!spdlog::should_log(spdlog::level::debug)) {
    return;
  }
  const absl::Time now = absl::Now();
  for (const SpoolRow& row : rows) {
    const absl::Time act = absl::FromUnixNanos(row.event.time_unix_ns());
    spdlog::debug("sink {}: {}: in the spool {:.3f} ms after the act, delivered {:.3f} ms after it",
                  options_.sink, row.event.uid(), absl::ToDoubleMilliseconds(taken - act),
                  absl::ToDoubleMilliseconds(now - act));
  }
}

// A sink that refuses everything must not fill the log: the 1st, 2nd, 4th, 8th … is said.
void ExporterThread::OnRejected(const absl::Status& status) {
  uint64_t dropped = 1;
  {
    MutexLock lock(&mutex_);
    for (const char* reason : {kDropRejected, kDropUnreadable}) {
      const auto found = stats_.account.dropped.find(reason);
      dropped += found == stats_.account.dropped.end() ? 0 : found->second;
    }
  }
  if (IsPowerOfTwo(dropped)) {
    spdlog::warn("sink {}: dropped, {} so far: {}", options_.sink, dropped,
                 std::string(status.message()));
  }
}

void ExporterThread::OnStoreError(const absl::Status& status) {
  NoteStoreError(status);
  Backoff();
}

void ExporterThread::NoteStoreError(const absl::Status& status) {
  const std::string trouble = fmt::format(
      "the spool cannot be used, so nothing is delivered: {}; look at the disk of store.dir, what "
      "waits is tried again",
      Message(status));
  uint64_t errors = 0;
  {
    MutexLock lock(&mutex_);
    errors = ++stats_.store_errors;
    stats_.store_damaged = stats_.store_damaged || absl::IsDataLoss(status);
    stats_.store_trouble = trouble;
  }
  if (IsPowerOfTwo(errors)) {
    spdlog::error("sink {}: {}, {} times so far", options_.sink, trouble, errors);
  }
}

}  // namespace vedette
