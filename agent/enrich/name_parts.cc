// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/name_parts.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "fmt/format.h"

namespace vedette {
namespace {

constexpr size_t kShortestRandom = 32;

// Where the random part at the end begins; npos where there is none.
size_t RandomEnd(std::string_view name) {
  if (IsRandom(name)) {
    return 0;
  }
  // A UUID holds dashes itself.
  if (name.size() > kUuidLength && IsUuid(name.substr(name.size() - kUuidLength))) {
    const size_t begin = name.size() - kUuidLength;
    return std::string_view("-_.").find(name[begin - 1]) == std::string_view::npos
               ? std::string_view::npos
               : begin;
  }
  const size_t cut = name.find_last_of("-_.");
  return cut != std::string_view::npos && IsRandom(name.substr(cut + 1)) ? cut + 1
                                                                         : std::string_view::npos;
}

}  // namespace

bool IsHex(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

bool IsDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

bool IsFullId(std::string_view text) { return text.size() == kFullIdLength && IsHex(text); }

bool IsUuid(std::string_view text) {
  if (text.size() != kUuidLength) {
    return false;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !IsHex(text.substr(i, 1))) {
      return false;
    }
  }
  return true;
}

bool IsRandom(std::string_view text) {
  return IsUuid(text) || (text.size() >= kShortestRandom && IsHex(text));
}

std::string Printable(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (char c : bytes) {
    if (absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != '%') {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string WithoutRandomEnd(std::string_view name) {
  while (true) {
    const size_t begin = RandomEnd(name);
    if (begin == std::string_view::npos) {
      return std::string(name);
    }
    if (begin <= 1) {
      return "{id}";
    }
    name = name.substr(0, begin - 1);
  }
}

}  // namespace vedette
