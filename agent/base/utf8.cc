// SPDX-License-Identifier: Apache-2.0
#include "agent/base/utf8.h"

namespace vedette {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr size_t kEscapeSize = 4;
constexpr uint8_t kBackslash = 0x5c;

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

CodePoint FirstCodePoint(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) {
    return {first, 1};
  }
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || bytes.size() < size) {
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
  return overlong || surrogate || code_point > 0x10ffff ? CodePoint{} : CodePoint{code_point, size};
}

size_t SizeFromFirstInvalid(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t length = FirstCodePoint(bytes).size;
    if (length == 0) {
      return bytes.size();
    }
    bytes.remove_prefix(length);
  }
  return 0;
}

bool IsValidUtf8(std::string_view bytes) { return SizeFromFirstInvalid(bytes) == 0; }

std::string TextFromBytes(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    size_t length = FirstCodePoint(bytes).size;
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
