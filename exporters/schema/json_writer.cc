// SPDX-License-Identifier: Apache-2.0
#include "exporters/schema/json_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "agent/base/utf8.h"

namespace vedette {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr uint32_t kReplacement = 0xfffd;  // For what is no UTF-8.

void AppendUnit(uint32_t unit, std::string* out) {
  *out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) {
    *out += kHex[(unit >> shift) & 0xf];
  }
}

void AppendCodePoint(uint32_t code_point, std::string* out) {
  if (code_point < 0x10000) {
    AppendUnit(code_point, out);
    return;
  }
  code_point -= 0x10000;
  AppendUnit(0xd800 + (code_point >> 10), out);
  AppendUnit(0xdc00 + (code_point & 0x3ff), out);
}

}  // namespace

void JsonWriter::Separate() {
  if (!out_.empty() && out_.back() != '{' && out_.back() != '[' && out_.back() != ':') {
    out_ += ',';
  }
}

JsonWriter& JsonWriter::BeginObject() {
  Separate();
  out_ += '{';
  return *this;
}

JsonWriter& JsonWriter::EndObject() {
  out_ += '}';
  return *this;
}

JsonWriter& JsonWriter::BeginArray(std::string_view key) {
  Key(key);
  out_ += '[';
  return *this;
}

JsonWriter& JsonWriter::EndArray() {
  out_ += ']';
  return *this;
}

JsonWriter& JsonWriter::Key(std::string_view key) {
  Separate();
  if (IsValidUtf8(key)) {
    AppendQuoted(key);
  } else {
    AppendQuoted(TextFromBytes(key));
  }
  out_ += ':';
  return *this;
}

JsonWriter& JsonWriter::Text(std::string_view value) {
  if (!IsValidUtf8(value)) {
    return Bytes(value);
  }
  Separate();
  AppendQuoted(value);
  return *this;
}

JsonWriter& JsonWriter::Bytes(std::string_view value) {
  Separate();
  AppendQuoted(TextFromBytes(value));
  return *this;
}

JsonWriter& JsonWriter::Int(std::string_view key, int64_t value) {
  Key(key);
  fmt::format_to(std::back_inserter(out_), "{}", value);
  return *this;
}

JsonWriter& JsonWriter::Unsigned(std::string_view key, uint64_t value) {
  Key(key);
  fmt::format_to(std::back_inserter(out_), "{}", value);
  return *this;
}

JsonWriter& JsonWriter::Double(std::string_view key, double value) {
  Key(key);
  if (std::isfinite(value)) {
    fmt::format_to(std::back_inserter(out_), "{}", value);
  } else {
    out_ += "null";
  }
  return *this;
}

JsonWriter& JsonWriter::Bool(std::string_view key, bool value) {
  Key(key);
  out_ += value ? "true" : "false";
  return *this;
}

std::string JsonWriter::Take() { return std::exchange(out_, std::string()); }

void JsonWriter::AppendQuoted(std::string_view utf8) {
  out_ += '"';
  while (!utf8.empty()) {
    const char c = utf8.front();
    if (static_cast<uint8_t>(c) >= 0x80) {
      const CodePoint first = FirstCodePoint(utf8);
      AppendCodePoint(first.size == 0 ? kReplacement : first.value, &out_);
      utf8.remove_prefix(std::max<size_t>(first.size, 1));
      continue;
    }
    if (c == '"' || c == '\\') {
      out_ += '\\';
      out_ += c;
    } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) {
      AppendUnit(static_cast<uint8_t>(c), &out_);
    } else {
      out_ += c;
    }
    utf8.remove_prefix(1);
  }
  out_ += '"';
}

}  // namespace vedette
