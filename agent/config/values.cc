// SPDX-License-Identifier: Apache-2.0
#include "agent/config/values.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <numeric>

#include "absl/status/status.h"
#include "agent/base/status.h"

namespace vedette {
namespace {

struct DurationUnit {
  std::string_view name;
  absl::Duration length;
};

// Longest first, so that a duration prints with the largest unit that divides it.
const std::array<DurationUnit, 5>& DurationUnits() {
  static const std::array<DurationUnit, 5> kUnits = {{{"d", absl::Hours(24)},
                                                      {"h", absl::Hours(1)},
                                                      {"m", absl::Minutes(1)},
                                                      {"s", absl::Seconds(1)},
                                                      {"ms", absl::Milliseconds(1)}}};
  return kUnits;
}

constexpr struct {
  std::string_view name;
  uint64_t bytes;
} kSizeUnits[] = {{"GiB", uint64_t{1} << 30},
                  {"MiB", uint64_t{1} << 20},
                  {"KiB", uint64_t{1} << 10},
                  {"B", uint64_t{1}}};

constexpr double kMaxDurationHours = 24 * 365 * 100;

// Takes a run of characters for which `accept` holds off the front of `text`.
template <typename Accept>
std::string_view TakeWhile(std::string_view& text, Accept accept) {
  size_t length = 0;
  while (length < text.size() && accept(text[length])) {
    ++length;
  }
  std::string_view taken = text.substr(0, length);
  text.remove_prefix(length);
  return taken;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

absl::Status DurationError(std::string_view text) {
  return absl::InvalidArgumentError(fmt::format(
      "\"{}\" is not a duration; write a number and a unit (ms, s, m, h, d), such as 24h or 50ms",
      text));
}

absl::Status SizeError(std::string_view text) {
  return absl::InvalidArgumentError(fmt::format(
      "\"{}\" is not a size; write a whole number and a unit (B, KiB, MiB, GiB), such as 256MiB",
      text));
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

absl::StatusOr<absl::Duration> ParseConfigDuration(std::string_view text) {
  std::string_view rest = text;
  absl::Duration sum;
  do {
    std::string_view number = TakeWhile(rest, [](char c) { return IsDigit(c) || c == '.'; });
    std::string_view unit = TakeWhile(rest, IsLetter);
    double value = 0;
    auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    auto known = std::find_if(DurationUnits().begin(), DurationUnits().end(),
                              [&](const DurationUnit& u) { return u.name == unit; });
    if (error != std::errc() || end != number.data() + number.size() ||
        known == DurationUnits().end()) {
      return DurationError(text);
    }
    sum += value * known->length;
  } while (!rest.empty());
  if (sum > absl::Hours(kMaxDurationHours)) {
    return absl::InvalidArgumentError(fmt::format("\"{}\" is longer than 100 years", text));
  }
  return sum;
}

std::string FormatConfigDuration(absl::Duration duration) {
  // A day is written as 24h: that is how people write learning times.
  for (const DurationUnit& unit : DurationUnits()) {
    if (unit.name != "d" && duration >= unit.length && duration % unit.length == absl::Duration()) {
      return fmt::format("{}{}", duration / unit.length, unit.name);
    }
  }
  return fmt::format("{}ms", absl::ToDoubleMilliseconds(duration));
}

absl::StatusOr<uint64_t> ParseConfigSize(std::string_view text) {
  std::string_view rest = text;
  std::string_view number = TakeWhile(rest, IsDigit);
  uint64_t value = 0;
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size()) {
    return SizeError(text);
  }
  for (const auto& unit : kSizeUnits) {
    if (rest == unit.name) {
      if (value > std::numeric_limits<int64_t>::max() / unit.bytes) {
        return absl::InvalidArgumentError(fmt::format("\"{}\" is larger than a file can be", text));
      }
      return value * unit.bytes;
    }
  }
  return SizeError(text);
}

std::string FormatConfigSize(uint64_t bytes) {
  for (const auto& unit : kSizeUnits) {
    if (bytes >= unit.bytes && bytes % unit.bytes == 0) {
      return fmt::format("{}{}", bytes / unit.bytes, unit.name);
    }
  }
  return "0B";
}

absl::StatusOr<HostPort> ParseHostPort(std::string_view text) {
  absl::Status error = absl::InvalidArgumentError(
      fmt::format("\"{}\" is not an address; write HOST:PORT, such as 127.0.0.1:9477", text));
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return error;
  }
  std::string_view host = text.substr(0, colon);
  std::string_view digits = text.substr(colon + 1);
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  // An IPv6 address without brackets cannot be told from its port.
  if (host.empty() || bracketed != (host.find(':') != std::string_view::npos)) {
    return error;
  }
  unsigned port = 0;
  auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (code != std::errc() || end != digits.data() + digits.size() || port > 65535) {
    return error;
  }
  return HostPort{.host = std::string(host), .port = static_cast<uint16_t>(port)};
}

bool IsIpAddress(const std::string& text) {
  std::array<uint8_t, sizeof(in6_addr)> address;
  return inet_pton(AF_INET, text.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

std::string NearestWord(std::string_view word, const std::vector<std::string>& candidates) {
  std::string nearest;
  // Two slips, or a third of the word: more is not a slip but another word.
  size_t best = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    size_t distance = EditDistance(word, candidate);
    if (distance < best && distance < candidate.size()) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace vedette
