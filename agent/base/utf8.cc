// SPDX-License-Identifier: Apache-2.0
#include "agent/base/utf8.h"

#include <cstddef>
#include <cstdint>

namespace vedette {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr size_t kEscapeSize = 4;
constexpr uint8_t kBackslash = 0x5c;

// Length of the valid UTF-8 sequence at the start of `s`; 0 if there is none. Overlong forms,
// surrogates and code points above U+10FFFF are not valid.
size_t SequenceLength(std::string_view s) {
  const auto byte = [s](size_t i) {
    return i < s.size() ? static_cast<uint8_t>(s[i]) : uint8_t{0};
  };
  const auto in = [&byte](size_t i, uint8_t low, uint8_t high) {
    return byte(i) >= low && byte(i) <= high;
  };
  const uint8_t lead = byte(0);
  if (lead < 0x80) {
    return 1;
  }
  if (lead >= 0xc2 && lead <= 0xdf) {
    return in(1, 0x80, 0xbf) ? 2 : 0;
  }
  if (lead >= 0xe0 && lead <= 0xef) {
    const uint8_t low = lead == 0xe0 ? 0xa0 : 0x80;
    const uint8_t high = lead == 0xed ? 0x9f : 0xbf;
    return in(1, low, high) && in(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const uint8_t low = lead == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xf4 ? 0x8f : 0xbf;
    return in(1, low, high) && in(2, 0x80, 0xbf) && in(3, 0x80, 0xbf) ? 4 : 0;
  }
  return 0;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The byte that an escape at the start of `s` stands for; -1 if there is no escape.
int EscapedByte(std::string_view s) {
  if (s.size() < kEscapeSize || s[0] != '\\' || s[1] != 'x') {
    return -1;
  }
  const int high = HexValue(s[2]);
  const int low = HexValue(s[3]);
  if (high < 0 || low < 0) {
    return -1;
  }
  const int value = high * 16 + low;
  return value >= 0x80 || value == kBackslash ? value : -1;
}

void AppendEscape(uint8_t byte, std::string* out) {
  *out += "\\x";
  *out += kHex[byte >> 4];
  *out += kHex[byte & 0xf];
}

}  // namespace

bool IsValidUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t length = SequenceLength(bytes);
    if (length == 0) {
      return false;
    }
    bytes.remove_prefix(length);
  }
  return true;
}

std::string TextFromBytes(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    size_t length = SequenceLength(bytes);
    if (length == 0 || EscapedByte(bytes) >= 0) {
      AppendEscape(static_cast<uint8_t>(bytes[0]), &text);
      length = 1;
    } else {
      text += bytes.substr(0, length);
    }
    bytes.remove_prefix(length);
  }
  return text;
}

std::string BytesFromText(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  while (!text.empty()) {
    const int escaped = EscapedByte(text);
    bytes += escaped >= 0 ? static_cast<char>(escaped) : text[0];
    text.remove_prefix(escaped >= 0 ? kEscapeSize : 1);
  }
  return bytes;
}

}  // namespace vedette
