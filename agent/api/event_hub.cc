// SPDX-License-Identifier: Apache-2.0
#include "agent/api/event_hub.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "agent/base/workload_name.h"

namespace vedette {

// What hub and streams have in common; a stream may be destroyed after the hub.
struct EventHub::Shared {
  Mutex mutex;
  std::vector<Stream*> streams ABSL_GUARDED_BY(mutex);
  bool closed ABSL_GUARDED_BY(mutex) = false;
  std::atomic<size_t> watchers{0};
  // Guards the call, so that the hub's owner is not called once the hub is gone.
  Mutex change_mutex;
  std::function<void()> on_change ABSL_GUARDED_BY(change_mutex);

  void Changed() {
    MutexLock lock(&change_mutex);
    if (on_change) {
      on_change();
    }
  }
};

class EventHub::Stream final : public EventStream {
 public:
  Stream(std::shared_ptr<Shared> shared, EventFilter filter)
      : shared_(std::move(shared)), filter_(std::move(filter)) {
    {
      MutexLock lock(&shared_->mutex);
      shared_->streams.push_back(this);
      ++shared_->watchers;
    }
    shared_->Changed();
  }

  ~Stream() override {
    {
      MutexLock lock(&shared_->mutex);
      std::erase(shared_->streams, this);
      --shared_->watchers;
    }
    shared_->Changed();
  }

  std::optional<std::string> Next(absl::Duration timeout) override {
    MutexLock lock(&shared_->mutex);
    auto ready = [this] {
      shared_->mutex.AssertHeld();
      return !lines_.empty() || shared_->closed;
    };
    shared_->mutex.AwaitWithTimeout(ready, timeout);
    if (lines_.empty()) {
      return std::nullopt;
    }
    std::string line = std::move(lines_.front());
    lines_.pop_front();
    return line;
  }

  uint64_t dropped() const override { return dropped_.load(); }

  bool closed() const override {
    MutexLock lock(&shared_->mutex);
    return shared_->closed && lines_.empty();
  }

  const EventFilter& filter() const { return filter_; }

  bool Wants(std::string_view workload, std::string_view kind) const {
    auto names = [&](const std::string& asked) { return NamesWorkload(asked, workload); };
    bool by_workload = filter_.workloads.empty() ||
                       std::any_of(filter_.workloads.begin(), filter_.workloads.end(), names);
    bool by_kind = filter_.kinds.empty() || std::find(filter_.kinds.begin(), filter_.kinds.end(),
                                                      kind) != filter_.kinds.end();
    return by_workload && by_kind;
  }

  // The caller holds the mutex.
  void Push(const std::string& line) {
    if (lines_.size() >= kQueueLimit) {
      ++dropped_;
    } else {
      lines_.push_back(line);
    }
  }

 private:
  const std::shared_ptr<Shared> shared_;
  const EventFilter filter_;
  std::deque<std::string> lines_;  // Under the shared mutex.
  std::atomic<uint64_t> dropped_{0};
};

EventHub::EventHub(std::function<void()> on_change)
    : shared_(std::make_shared<Shared>()), watchers_(shared_->watchers) {
  MutexLock lock(&shared_->change_mutex);
  shared_->on_change = std::move(on_change);
}

EventHub::~EventHub() {
  Close();
  MutexLock lock(&shared_->change_mutex);
  shared_->on_change = nullptr;
}

std::unique_ptr<EventStream> EventHub::Subscribe(const EventFilter& filter) {
  return std::make_unique<Stream>(shared_, filter);
}

std::vector<EventFilter> EventHub::filters() const {
  MutexLock lock(&shared_->mutex);
  std::vector<EventFilter> filters;
  for (const Stream* stream : shared_->streams) {
    filters.push_back(stream->filter());
  }
  return filters;
}

void EventHub::Publish(std::string_view workload, std::string_view kind,
                       const std::function<std::string()>& make_line) {
  if (!watched()) {
    return;
  }
  MutexLock lock(&shared_->mutex);
  std::optional<std::string> line;
  for (Stream* stream : shared_->streams) {
    if (stream->Wants(workload, kind)) {
      if (!line.has_value()) {
        line = make_line();
      }
      stream->Push(*line);
    }
  }
}

void EventHub::Close() {
  MutexLock lock(&shared_->mutex);
  shared_->closed = true;
}

}  // namespace vedette
