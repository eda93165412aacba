// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "agent/api/backend.h"
#include "agent/base/mutex.h"

namespace vedette {

// Hands event lines to whoever watches. Owned by main; the pipeline thread publishes and never
// waits: a watcher that reads too slowly loses lines, and the loss is counted in its own stream.
// Outlives its streams' use but not necessarily the streams. Thread-safe.
class EventHub {
 public:
  // Lines that wait for one watcher; at about 1 KiB a line, a megabyte.
  static constexpr size_t kQueueLimit = 1024;

  // `on_change` runs after a tap was opened or closed, in the thread that did so; it may ask
  // filters() and must not open or close taps.
  explicit EventHub(std::function<void()> on_change = [] {});
  ~EventHub();

  std::unique_ptr<EventStream> Subscribe(const EventFilter& filter);

  // Cheap; lets the pipeline skip the making of lines when nobody watches.
  bool watched() const { return watchers_.load(std::memory_order_relaxed) > 0; }
  std::vector<EventFilter> filters() const;

  // `make_line` runs at most once, and only when somebody wants the event.
  void Publish(std::string_view workload, std::string_view kind,
               const std::function<std::string()>& make_line);

  // Ends all streams; later ones end at once.
  void Close();

 private:
  class Stream;
  struct Shared;
  std::shared_ptr<Shared> shared_;
  std::atomic<size_t>& watchers_;
};

}  // namespace vedette
