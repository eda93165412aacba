// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "agent/event/event.h"

namespace vedette {

// Checks that no record is lost in silence: every record of a CPU and lane has a number, and so has
// every one that the kernel had to drop. One thread; the owner copies it out.
class SequenceAccount {
 public:
  struct Line {
    uint64_t first = 0;  // Number of the first record that was received.
    uint64_t next = 0;   // One more than the highest.
    uint64_t received = 0;
    // Numbers in between that did not arrive. Records of one CPU can pass each other on their way,
    // so this is right once the ring is drained.
    uint64_t missing() const { return next - first - received; }
  };

  void Received(const EventHeader& header);

  // What is missing beyond `dropped`, the records that the kernel says it dropped since `first`.
  static uint64_t Gap(const Line& line, uint64_t dropped) {
    return line.missing() > dropped ? line.missing() - dropped : 0;
  }

  // Key: cpu << 32 | lane.
  const absl::flat_hash_map<uint64_t, Line>& lines() const { return lines_; }

 private:
  absl::flat_hash_map<uint64_t, Line> lines_;
};

}  // namespace vedette
