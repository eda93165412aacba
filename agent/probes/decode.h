// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/clock.h"
#include "agent/event/event.h"

namespace vedette {

// Differences below this are the jitter of reading two clocks.
inline constexpr absl::Duration kClockStep = absl::Milliseconds(10);

using RecordWitness = std::function<void(std::string_view record)>;

// Turns records into events. Stateless but for the offset between the kernel's clock and the wall,
// which changes when the wall clock is set; any thread that `redact` may be called in. The only
// place where command lines enter user space: nothing behind it sees what `redact` took out.
class Decoder {
 public:
  // `boot` is the wall-clock time at which the kernel's boot clock was zero.
  // `witness` is shown every record as the kernel wrote it, secrets and all: for recordings.
  explicit Decoder(absl::Time boot, std::function<void(Event&)> redact = {},
                   RecordWitness witness = {})
      : boot_ns_(absl::ToUnixNanos(boot)),
        redact_(std::move(redact)),
        witness_(std::move(witness)) {}

  // The wall clock may have been set since. Less than kClockStep is no change.
  void SetBootTime(absl::Time boot);
  absl::Time boot_time() const { return absl::FromUnixNanos(boot_ns_); }

  // Decodes one record and appends its events: one, or two for a DNS answer, whose query comes
  // first. Errors, with nothing appended: InvalidArgument (cut short, lengths that contradict),
  // Unimplemented (a kind or version that this build does not know).
  absl::Status Decode(std::string_view record, std::vector<Event>& events) const;

  // What every record begins with, whatever follows. InvalidArgument: the record is too short.
  absl::StatusOr<EventHeader> Header(std::string_view record) const;

  // Records that stand one after the other, as iterators give them.
  absl::Status DecodeAll(std::string_view records, std::vector<Event>& events) const;

 private:
  std::atomic<int64_t> boot_ns_;
  std::function<void(Event&)> redact_;
  RecordWitness witness_;
};

// The time of the kernel's boot by this clock, as it is now.
absl::Time BootTime(const Clock& wall = SystemClock());

}  // namespace vedette
