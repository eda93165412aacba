// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bpf/wire/base.h"

namespace vedette::testing {

// Records of a real run, as they stood in the rings. In a file: the magic "VEDREC1\n", the time of
// the boot in nanoseconds of the epoch (8 bytes), then each record with its length before it
// (4 bytes); little-endian.
struct Recording {
  absl::Time boot;
  std::vector<std::string> records;
};

absl::StatusOr<Recording> ReadRecording(const std::string& path);
absl::Status WriteRecording(const std::string& path, const Recording& recording);

// The same, with zstd around the whole.
absl::StatusOr<Recording> ReadCompressedRecording(const std::string& path);
absl::Status WriteCompressedRecording(const std::string& path, const Recording& recording);

wire_header HeaderOf(const std::string& record);
// A record's room for a string holds, after the string, what stood in the ring before.
void ClearRooms(std::string& record);

}  // namespace vedette::testing
