// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vedette {

// Scalars as people write them. Errors say what was expected and how to write it, without a place.

// "24h", "50ms", "1h30m"; units ms, s, m, h, d. Never negative.
absl::StatusOr<absl::Duration> ParseConfigDuration(std::string_view text);
std::string FormatConfigDuration(absl::Duration duration);

// "256MiB"; units B, KiB, MiB, GiB.
absl::StatusOr<uint64_t> ParseConfigSize(std::string_view text);
std::string FormatConfigSize(uint64_t bytes);

struct HostPort {
  std::string host;  // Without brackets.
  uint16_t port = 0;
};
// "127.0.0.1:9477", "[::1]:9477", "broker.example:9092".
absl::StatusOr<HostPort> ParseHostPort(std::string_view text);

bool IsIpAddress(const std::string& text);

// The word of `candidates` that is nearest to `word`; empty when none is near enough to suggest.
std::string NearestWord(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace vedette
