// SPDX-License-Identifier: Apache-2.0
#include "agent/base/text.h"

#include <cstddef>
#include <cstdint>

namespace vedette {
namespace {

struct Decoded {
  uint32_t code_point = 0;
  size_t size = 0;  // 0: not UTF-8.
};

Decoded Decode(std::string_view s) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(s[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) {
    return {first, 1};
  }
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || s.size() < size) {
    return {};
  }
  uint32_t code_point = first & (0x7f >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) {
      return {};
    }
    code_point = code_point << 6 | (byte(i) & 0x3f);
  }
  const bool overlong = (size == 3 && code_point < 0x800) || (size == 4 && code_point < 0x10000);
  const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  return overlong || surrogate || code_point > 0x10ffff ? Decoded{} : Decoded{code_point, size};
}

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
    const Decoded decoded = Decode(bytes);
    const size_t size = decoded.size == 0 ? 1 : decoded.size;
    if (decoded.size != 0 && IsHarmless(decoded.code_point)) {
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
