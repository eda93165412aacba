// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "agent/config/keys.h"

namespace vedette {

// The kinds of values that keys have: how each is read, checked and written back.

using Errors = std::vector<ValueError>;

Errors Wrong(const YAML::Node& node, std::string what);

// The scalar of a node, or what is wrong with it. `expected` says how the value is to be written.
Errors ReadScalar(const YAML::Node& node, std::string_view expected, std::string& out);

// Gives an empty string when the text will do, else what is wrong with it.
using Check = std::function<std::string(const std::string&)>;

Errors ReadString(const YAML::Node& node, std::string_view expected, const Check& check,
                  std::string& out);

template <typename T>
using Field = std::function<T&(Config&)>;

struct SizeRange {
  uint64_t min = 0;
  uint64_t max = 0;
  bool power_of_two = false;
};

ConfigKey DurationKey(std::string path, Field<absl::Duration> field, absl::Duration min,
                      absl::Duration max);
ConfigKey SizeKey(std::string path, Field<uint64_t> field, SizeRange range);
ConfigKey CountKey(std::string path, Field<uint32_t> field, uint32_t min, uint32_t max);
ConfigKey StringKey(std::string path, std::string type, Field<std::string> field, Check check);
ConfigKey StringListKey(std::string path, std::string item, Field<std::vector<std::string>> field,
                        Check check);
// A key that takes one of a few words. `words` are in the order of the values 0, 1, …
ConfigKey WordKey(std::string path, std::vector<std::string> words,
                  std::function<void(Config&, size_t)> put,
                  std::function<size_t(const Config&)> take);

}  // namespace vedette
