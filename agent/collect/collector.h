// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/mutex.h"
#include "agent/base/unique_fd.h"
#include "agent/collect/ring_reader.h"
#include "agent/collect/sequence_account.h"
#include "agent/event/event.h"

namespace vedette {

// What was read in one go. The rings get their room back when it is acknowledged.
struct Batch {
  std::vector<Event> events;
  std::vector<uint64_t> positions;  // One per ring, in the order in which they were given.
};

struct CollectCounts {
  uint64_t received = 0;   // Records.
  uint64_t delivered = 0;  // Records whose events were handed on.
  uint64_t events = 0;     // Those events.
  uint64_t undecodable = 0;
  uint64_t bytes_held = 0;
};

// The collect thread: drains the rings every `poll`, or when the kernel wakes it, decodes, and
// hands batches on. It never blocks: while the pipeline has a full queue it leaves records in the
// rings, where a full ring is counted by the kernel. Writes nothing to disk, knows no workloads.
class Collector {
 public:
  // How records are read. The numbers of those that cannot be decoded are still accounted for.
  struct Reading {
    std::function<absl::StatusOr<EventHeader>(std::string_view)> header;
    std::function<absl::Status(std::string_view, std::vector<Event>&)> decode;
    std::function<void()> begin = {};  // Before the records of a batch.
  };
  // False: the queue is full; the batch is left as it is and offered again.
  using HandOn = std::function<bool(Batch&)>;

  Collector(std::vector<std::unique_ptr<RingReader>> rings, absl::Duration poll, Reading reading,
            HandOn hand_on);
  ~Collector();

  absl::Status Start();
  // Ends the thread. What was handed on can still be acknowledged.
  void Stop();

  // Gives the rings their room back up to a batch. Any one thread.
  void Acknowledge(const std::vector<uint64_t>& positions);

  CollectCounts counts() const;
  SequenceAccount account() const;

 private:
  void Run();
  bool Drain();  // False: nothing was there.
  void DrainToTheEnd();
  void DecodeOne(std::string_view record);

  std::vector<std::unique_ptr<RingReader>> rings_;
  absl::Duration poll_;
  Reading reading_;
  HandOn hand_on_;
  UniqueFd epoll_;
  UniqueFd stop_event_;
  std::thread thread_;
  Batch pending_;  // Read, not handed on; its positions are empty while nothing waits.
  std::vector<uint64_t> handed_on_;
  size_t pending_records_ = 0;
  mutable Mutex mutex_;
  CollectCounts counts_ ABSL_GUARDED_BY(mutex_);
  SequenceAccount account_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vedette
