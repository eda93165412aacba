// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vedette {

// Writes one JSON document, front to back, into one string; made for the path every finding takes.
// Output is ASCII: whatever a terminal could obey or a reader could refuse is \uXXXX. The caller
// keeps objects and arrays balanced. One thread.
class JsonWriter {
 public:
  JsonWriter& BeginObject();
  JsonWriter& BeginObject(std::string_view key) { return Key(key).BeginObject(); }
  JsonWriter& EndObject();
  JsonWriter& BeginArray(std::string_view key);
  JsonWriter& EndArray();
  JsonWriter& Key(std::string_view key);

  // Text of a protobuf `string`: UTF-8 as it is; what is not UTF-8 as with Bytes.
  JsonWriter& Text(std::string_view value);
  JsonWriter& Text(std::string_view key, std::string_view value) { return Key(key).Text(value); }
  // Bytes of the kernel, as TextFromBytes of agent/base/utf8.h shows them.
  JsonWriter& Bytes(std::string_view value);
  JsonWriter& Bytes(std::string_view key, std::string_view value) { return Key(key).Bytes(value); }
  JsonWriter& Int(std::string_view key, int64_t value);
  JsonWriter& Unsigned(std::string_view key, uint64_t value);
  JsonWriter& Double(std::string_view key, double value);  // Not a number or infinite: null.
  JsonWriter& Bool(std::string_view key, bool value);

  // Ends the document; the writer is empty then.
  std::string Take();

 private:
  void Separate();
  void AppendQuoted(std::string_view utf8);
  std::string out_;
};

}  // namespace vedette
