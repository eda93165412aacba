// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"

namespace vedette {

// Reads a BPF ring buffer without giving its room back: the kernel may reuse what was read only
// after Acknowledge. libbpf's own reader gives room back record by record, before anything is
// stored, so that a kill would lose what it had just read. Layout: the kernel's documentation of
// BPF_MAP_TYPE_RINGBUF (bpf/ringbuf.rst).
//
// Read is for the collect thread; Acknowledge may come from another, one at a time.
class RingReader {
 public:
  // Maps the ring behind `map_fd` of `size_bytes` (a power of two).
  static absl::StatusOr<std::unique_ptr<RingReader>> Open(int map_fd, size_t size_bytes);
  ~RingReader();
  RingReader(const RingReader&) = delete;
  RingReader& operator=(const RingReader&) = delete;

  // Calls `visit` for each record that is complete, at most `most` and none that begins at `end` or
  // after. Returns how many. Stops at a record that a program still writes.
  size_t Read(size_t most, uint64_t end, const std::function<void(std::string_view)>& visit);
  size_t Read(size_t most, const std::function<void(std::string_view)>& visit) {
    return Read(most, produced(), visit);
  }
  // Where the next record of the kernel will begin.
  uint64_t produced() const { return producer_->load(std::memory_order_acquire); }

  // Where reading stands: what to acknowledge when all that was read so far is stored.
  uint64_t position() const { return position_; }
  void Acknowledge(uint64_t position);
  // What lies before `position` was stored by a reader that could not acknowledge it any more. A
  // position that the ring never had is not believed.
  void SkipTo(uint64_t position);

  // Bytes that the kernel cannot use yet: read or not, and not acknowledged.
  uint64_t BytesHeld() const;
  int map_fd() const { return map_fd_; }

 private:
  RingReader(int map_fd, size_t size_bytes, void* consumer, void* producer);

  int map_fd_;
  size_t size_bytes_;
  size_t page_bytes_;
  std::atomic<uint64_t>* consumer_;        // First page; ours to write.
  const std::atomic<uint64_t>* producer_;  // Second page; the data follows, mapped twice in a row.
  const char* data_;
  uint64_t position_;
};

}  // namespace vedette
