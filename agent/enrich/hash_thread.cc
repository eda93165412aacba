// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/hash_thread.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/time/clock.h"
#include "agent/base/status.h"
#include "agent/enrich/message_socket.h"
#include "fmt/format.h"

namespace vedette {
namespace {

constexpr CodePlace kPlaces[] = {CodePlace::kProcessImage, CodePlace::kProcessRoot,
                                 CodePlace::kNeighbourRoot, CodePlace::kHostRoot};
constexpr absl::Duration kLookAtHanging = absl::Seconds(1);
constexpr int kMinorBits = 20;

std::string DeviceName(uint64_t device) {
  return fmt::format("{}:{}", device >> kMinorBits, device & ((uint64_t{1} << kMinorBits) - 1));
}

}  // namespace

HashThread::HashThread(std::unique_ptr<HashSpawner> spawner, KeyReader* keys, Limits limits)
    : spawner_(std::move(spawner)),
      keys_(keys),
      limits_(limits),
      stop_(eventfd(0, EFD_CLOEXEC)),
      thread_([this] { Run(); }) {}

HashThread::~HashThread() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

bool HashThread::Submit(HashRequest request) {
  MutexLock lock(&mutex_);
  if (requests_.size() >= limits_.waiting) {
    return false;
  }
  requests_.push_back(std::move(request));
  return true;
}

std::vector<HashResult> HashThread::Take(absl::Duration patience) {
  MutexLock lock(&mutex_);
  auto has_results = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !results_.empty(); };
  mutex_.AwaitWithTimeout(has_results, patience);
  return std::exchange(results_, {});
}

HashThread::Health HashThread::health() const {
  MutexLock lock(&mutex_);
  return health_;
}

void HashThread::Run() {
  for (;;) {
    std::optional<HashRequest> request;
    {
      MutexLock lock(&mutex_);
      auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return stopping_ || !requests_.empty();
      };
      mutex_.AwaitWithTimeout(has_work,
                              hanging_.empty() ? absl::InfiniteDuration() : kLookAtHanging);
      if (stopping_) {
        return;
      }
      if (!requests_.empty()) {
        request = std::move(requests_.front());
        requests_.pop_front();
      }
    }
    LookAfterHanging();
    if (request) {
      HashResult result = Hash(*request);
      MutexLock lock(&mutex_);
      results_.push_back(std::move(result));
    }
  }
}

HashResult HashThread::Hash(const HashRequest& request) {
  HashResult result;
  result.key = request.key;
  deadline_ = Deadline::In(limits_.deadline);
  absl::erase_if(distrusted_until_, [](const auto& entry) { return entry.second.IsPassed(); });
  if (distrusted_until_.contains(request.key.device)) {
    result.outcome = HashOutcome::kStalled;
    return result;
  }
  for (const CodePlace place : kPlaces) {
    const bool by_path = place != CodePlace::kProcessImage;
    if ((by_path && (request.path.empty() || !no_paths_until_.IsPassed())) ||
        (place == CodePlace::kNeighbourRoot && request.neighbour_tgid == 0)) {
      continue;
    }
    const HashOutcome outcome = HashAt(request, place, result);
    if (outcome != HashOutcome::kGone) {
      result.outcome = outcome;
    }
    if (outcome != HashOutcome::kGone && outcome != HashOutcome::kChanged &&
        outcome != HashOutcome::kUnreadable) {
      break;
    }
  }
  return result;
}

HashOutcome HashThread::HashAt(const HashRequest& request, CodePlace place, HashResult& result) {
  const Step found = Ask(request, HashOrder::Kind::kFind, place);
  if (found.outcome != HashOutcome::kHashed) {
    return found.outcome;
  }
  // An open file has no flags: those say by which way it was executed.
  CodeKey expected = request.key;
  expected.flags = 0;
  const absl::StatusOr<CodeKey> before = keys_->Read(found.handle.get());
  if (!before.ok()) {
    return HashOutcome::kUnreadable;
  }
  if (*before != expected) {
    return HashOutcome::kChanged;
  }
  Step hashed = Ask(request, HashOrder::Kind::kHash, place);
  if (hashed.outcome != HashOutcome::kHashed) {
    return hashed.outcome;
  }
  const absl::StatusOr<CodeKey> after = keys_->Read(found.handle.get());
  if (!after.ok()) {
    return HashOutcome::kUnreadable;
  }
  if (*after != expected) {
    return HashOutcome::kChanged;
  }
  result.sha256 = std::move(hashed.sha256);
  return HashOutcome::kHashed;
}

bool HashThread::EnsureWorker() {
  if (worker_ || hanging_.size() >= limits_.hanging_workers) {
    return worker_.has_value();
  }
  absl::StatusOr<HashWorker> worker = spawner_->Spawn();
  MutexLock lock(&mutex_);
  if (worker.ok()) {
    worker_ = *std::move(worker);
    health_.worker = worker_->pid;
    if (hanging_.empty()) {
      health_.trouble.clear();
    }
    return true;
  }
  if (health_.trouble.empty()) {
    health_.trouble = fmt::format("programs are not hashed: {}", Message(worker.status()));
    spdlog::error("{}", health_.trouble);
  }
  return false;
}

HashThread::Step HashThread::Ask(const HashRequest& request, HashOrder::Kind kind,
                                 CodePlace place) {
  Step step;
  HashOrder order;
  order.device = request.key.device;
  order.max_bytes = limits_.max_hashed_bytes;
  order.tgid = request.tgid;
  order.neighbour_tgid = request.neighbour_tgid;
  order.kind = kind;
  order.place = place;
  order.in_memory = request.in_memory;
  std::string bytes(reinterpret_cast<const char*>(&order), sizeof(order));
  bytes += request.path;
  step.outcome = HashOutcome::kUnavailable;
  if (!EnsureWorker()) {
    return step;
  }
  SocketMessage message;
  const bool sent = SendMessage(worker_->socket.get(), bytes);
  if (sent && !AwaitReadable(worker_->socket.get(), stop_.get(), deadline_)) {
    if (deadline_.IsPassed()) {
      LeaveBehind(request, kind);
      step.outcome = HashOutcome::kStalled;
    }
    return step;
  }
  HashAnswer answer;
  if (!sent || !ReceiveMessage(worker_->socket.get(), message) ||
      message.bytes.size() != sizeof(answer)) {
    worker_.reset();  // It was killed; the next program gets another one.
    return step;
  }
  memcpy(&answer, message.bytes.data(), sizeof(answer));
  step.outcome = answer.outcome;
  step.sha256.assign(answer.sha256, sizeof(answer.sha256));
  step.handle = std::move(message.handle);
  return step;
}

void HashThread::LeaveBehind(const HashRequest& request, HashOrder::Kind kind) {
  const Deadline trusted_again = Deadline::In(limits_.distrust);
  std::string what = "opening a program by its path";
  if (kind == HashOrder::Kind::kHash) {
    what = fmt::format("reading a program on device {}", DeviceName(request.key.device));
    distrusted_until_.insert_or_assign(request.key.device, trusted_again);
  } else {
    no_paths_until_ = trusted_again;
  }
  if (worker_->pidfd.valid()) {  // In vain where the server holds the request already.
    syscall(SYS_pidfd_send_signal, worker_->pidfd.get(), SIGKILL, nullptr, 0);
  }
  hanging_.push_back(*std::exchange(worker_, std::nullopt));
  MutexLock lock(&mutex_);
  ++health_.stalls;
  health_.hanging = hanging_.size();
  health_.trouble = fmt::format(
      "{} gets no answer, process {} hangs in it: a program there has no hash for {} min; find who "
      "serves that filesystem in /proc/self/mountinfo",
      what, hanging_.back().pid, absl::ToInt64Minutes(limits_.distrust));
  spdlog::warn("{}", health_.trouble);
}

void HashThread::LookAfterHanging() {
  const size_t before = hanging_.size();
  std::erase_if(hanging_, [](const HashWorker& worker) {
    return AwaitReadable(worker.socket.get(), -1, Deadline::Now());
  });
  if (hanging_.size() == before) {
    return;
  }
  MutexLock lock(&mutex_);
  health_.hanging = hanging_.size();
  if (hanging_.empty()) {
    health_.trouble.clear();
  }
}

}  // namespace vedette
