// SPDX-License-Identifier: Apache-2.0
#include "tests/recordings/recording.h"

#include <cstdint>
#include <cstring>
#include <string_view>

#include "tests/support/temp_dir.h"

namespace vedette::testing {
namespace {

constexpr std::string_view kMagic = "VEDREC1\n";

template <typename T>
bool Take(std::string_view& from, T& to) {
  if (from.size() < sizeof(T)) {
    return false;
  }
  std::memcpy(&to, from.data(), sizeof(T));
  from.remove_prefix(sizeof(T));
  return true;
}

template <typename T>
void Put(T value, std::string& to) {
  to.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

absl::StatusOr<Recording> ReadRecording(const std::string& path) {
  const std::string bytes = ReadFile(path);
  std::string_view rest = bytes;
  int64_t boot_ns = 0;
  if (rest.substr(0, kMagic.size()) != kMagic) {
    return absl::InvalidArgumentError(path + ": no recording");
  }
  rest.remove_prefix(kMagic.size());
  if (!Take(rest, boot_ns)) {
    return absl::InvalidArgumentError(path + ": cut short");
  }
  Recording recording{absl::FromUnixNanos(boot_ns), {}};
  while (!rest.empty()) {
    uint32_t size = 0;
    if (!Take(rest, size) || rest.size() < size) {
      return absl::InvalidArgumentError(path + ": cut short");
    }
    recording.records.emplace_back(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  return recording;
}

absl::Status WriteRecording(const std::string& path, const Recording& recording) {
  std::string bytes(kMagic);
  Put(absl::ToUnixNanos(recording.boot), bytes);
  for (const std::string& record : recording.records) {
    Put(static_cast<uint32_t>(record.size()), bytes);
    bytes += record;
  }
  return WriteFile(path, bytes) ? absl::OkStatus()
                                : absl::PermissionDeniedError(path + ": cannot be written");
}

}  // namespace vedette::testing
