// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vedette {

inline constexpr size_t kFullIdLength = 64;
inline constexpr size_t kUuidLength = 36;

// What names of cgroups, units and containers are made of. All take any bytes.
bool IsHex(std::string_view text);     // Lower case; not empty.
bool IsDigits(std::string_view text);  // Not empty.
bool IsFullId(std::string_view text);  // 64 hex digits, as the runtimes give them to containers.
bool IsUuid(std::string_view text);
// A UUID, or at least 32 hex digits: nobody calls two things so.
bool IsRandom(std::string_view text);

// Names go to text formats and Kafka keys, a cgroup may be called anything but '/' and newline.
// Blanks, '%' and bytes that do not print become '%' and two hex digits.
std::string Printable(std::string_view bytes);

// `name` without the random parts at its end and the '-', '_' or '.' before them: "crio-conmon"
// of "crio-conmon-<64 hex>". "{id}" when nothing else is left.
std::string WithoutRandomEnd(std::string_view name);

}  // namespace vedette
