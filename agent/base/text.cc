// SPDX-License-Identifier: Apache-2.0
#include "agent/base/text.h"

#include <cstddef>
#include <cstdint>

#include "agent/base/utf8.h"

namespace vedette {
namespace {

bool IsHarmless(uint32_t c) {
  const bool control = c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029;
  const bool direction = c == 0x061c || c == 0x200e || c == 0x200f ||
                         (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
  return !control && !direction;
}

}  // namespace

std::string PrintableUtf8(std::string_view bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const CodePoint first = FirstCodePoint(bytes);
    const size_t size = first.size == 0 ? 1 : first.size;
    if (first.size != 0 && IsHarmless(first.value)) {
      out.append(bytes.substr(0, size));
    } else {
      for (const char c : bytes.substr(0, size)) {
        const auto b = static_cast<uint8_t>(c);
        out += {'\\', 'x', kHex[b >> 4], kHex[b & 0xf]};
      }
    }
    bytes.remove_prefix(size);
  }
  return out;
}

}  // namespace vedette
