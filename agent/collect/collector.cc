// SPDX-License-Identifier: Apache-2.0
#include "agent/collect/collector.h"

#include <errno.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "absl/time/clock.h"
#include "agent/base/deadline.h"

namespace vedette {
namespace {

constexpr size_t kBatchRecords = 4096;
constexpr uint64_t kStopTag = ~0ull;
constexpr uint64_t kComplaintsLogged = 10;
// When the agent stops: for how long the pipeline may keep its queue full, and how often to look.
constexpr absl::Duration kStopPatience = absl::Seconds(5);
constexpr absl::Duration kStopPause = absl::Milliseconds(1);

}  // namespace

Collector::Collector(std::vector<std::unique_ptr<RingReader>> rings, absl::Duration poll,
                     Reading reading, HandOn hand_on)
    : rings_(std::move(rings)),
      poll_(poll),
      reading_(std::move(reading)),
      hand_on_(std::move(hand_on)) {}

Collector::~Collector() { Stop(); }

absl::Status Collector::Start() {
  epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  stop_event_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event stop = {};
  stop.events = EPOLLIN;
  stop.data.u64 = kStopTag;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stop_event_.get(), &stop) != 0) {
    return absl::InternalError(fmt::format("epoll: {}", strerror(errno)));
  }
  for (size_t i = 0; i < rings_.size(); ++i) {
    epoll_event event = {};
    // Edge-triggered: a ring whose records are read but not yet acknowledged stays readable.
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = i;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, rings_[i]->map_fd(), &event) != 0) {
      return absl::InternalError(fmt::format("epoll of a ring: {}", strerror(errno)));
    }
  }
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void Collector::Stop() {
  if (thread_.joinable()) {
    eventfd_write(stop_event_.get(), 1);
    thread_.join();
  }
}

void Collector::Run() {
  for (;;) {
    epoll_event events[4];
    const int n =
        epoll_wait(epoll_.get(), events, 4, static_cast<int>(absl::ToInt64Milliseconds(poll_)));
    Drain();
    for (int i = 0; i < n; ++i) {
      if (events[i].data.u64 == kStopTag) {
        DrainToTheEnd();
        return;
      }
    }
  }
}

// What is in the rings when the agent is told to stop is news like any other.
void Collector::DrainToTheEnd() {
  const Deadline deadline = Deadline::In(kStopPatience);
  while (Drain() && !deadline.IsPassed()) {
    absl::SleepFor(kStopPause);
  }
}

// Reads more only when what was read before is handed on: the rings are the queue. The ends of the
// rings are taken last ring first, and read first ring first: whatever is read of a later ring,
// what happened before it in an earlier one is in the same batch.
bool Collector::Drain() {
  if (pending_.positions.empty()) {
    if (reading_.begin) {
      reading_.begin();
    }
    std::vector<uint64_t> ends(rings_.size());
    for (size_t i = rings_.size(); i-- > 0;) {
      ends[i] = rings_[i]->produced();
    }
    for (size_t i = 0; i < rings_.size(); ++i) {
      rings_[i]->Read(kBatchRecords, ends[i],
                      [this](std::string_view record) { DecodeOne(record); });
    }
  }
  std::vector<uint64_t> positions;
  uint64_t held = 0;
  for (const auto& ring : rings_) {
    positions.push_back(ring->position());
    held += ring->BytesHeld();
  }
  const bool anything = positions != handed_on_;
  if (anything) {
    pending_.positions = positions;
    const size_t events = pending_.events.size();
    if (hand_on_(pending_)) {
      handed_on_ = std::move(positions);
      pending_ = Batch();
      MutexLock lock(&mutex_);
      counts_.delivered += pending_records_;
      counts_.events += events;
      pending_records_ = 0;
    }
  }
  MutexLock lock(&mutex_);
  counts_.bytes_held = held;
  return anything;
}

void Collector::DecodeOne(std::string_view record) {
  const absl::Status status = reading_.decode(record, pending_.events);
  const absl::StatusOr<EventHeader> header = reading_.header(record);
  MutexLock lock(&mutex_);
  ++counts_.received;
  if (header.ok()) {
    account_.Received(*header);
  }
  if (!status.ok()) {
    if (++counts_.undecodable <= kComplaintsLogged) {
      spdlog::warn("a record from the kernel was dropped: {}", std::string(status.message()));
    }
    return;
  }
  ++pending_records_;
}

void Collector::Acknowledge(const std::vector<uint64_t>& positions) {
  for (size_t i = 0; i < positions.size() && i < rings_.size(); ++i) {
    rings_[i]->Acknowledge(positions[i]);
  }
}

CollectCounts Collector::counts() const {
  MutexLock lock(&mutex_);
  return counts_;
}

SequenceAccount Collector::account() const {
  MutexLock lock(&mutex_);
  return account_;
}

}  // namespace vedette
