// SPDX-License-Identifier: Apache-2.0
#include "agent/config/key_kinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "agent/config/values.h"

namespace vedette {
namespace {

// The getters read through the same accessor as the setters write, on a copy.
template <typename T>
T Read(const Field<T>& field, const Config& config) {
  Config copy = config;
  return field(copy);
}

}  // namespace

Errors Wrong(const YAML::Node& node, std::string what) { return {{node.Mark(), std::move(what)}}; }

Errors ReadScalar(const YAML::Node& node, std::string_view expected, std::string& out) {
  if (node.IsNull() || (node.IsScalar() && node.Scalar().empty())) {
    return Wrong(node, fmt::format("has no value; write {}", expected));
  }
  if (!node.IsScalar()) {
    return Wrong(node, fmt::format("is a {}; write {}", node.IsMap() ? "map" : "list", expected));
  }
  out = node.Scalar();
  return {};
}

ConfigKey DurationKey(std::string path, Field<absl::Duration> field, absl::Duration min,
                      absl::Duration max) {
  auto set = [=](const YAML::Node& node, Config& config) -> Errors {
    std::string text;
    if (Errors errors = ReadScalar(node, "a duration such as 24h or 50ms", text); !errors.empty()) {
      return errors;
    }
    absl::StatusOr<absl::Duration> value = ParseConfigDuration(text);
    if (!value.ok()) {
      return Wrong(node, std::string(value.status().message()));
    }
    if (*value < min || *value > max) {
      return Wrong(node, fmt::format("{} is out of range; write {} to {}", text,
                                     FormatConfigDuration(min), FormatConfigDuration(max)));
    }
    field(config) = *value;
    return {};
  };
  auto get = [=](const Config& config) { return FormatConfigDuration(Read(field, config)); };
  return {std::move(path), "duration", set, get, "", false};
}

ConfigKey SizeKey(std::string path, Field<uint64_t> field, SizeRange range) {
  auto set = [=](const YAML::Node& node, Config& config) -> Errors {
    std::string text;
    if (Errors errors = ReadScalar(node, "a size such as 256MiB", text); !errors.empty()) {
      return errors;
    }
    absl::StatusOr<uint64_t> value = ParseConfigSize(text);
    if (!value.ok()) {
      return Wrong(node, std::string(value.status().message()));
    }
    bool fits = *value >= range.min && *value <= range.max;
    if (!fits || (range.power_of_two && (*value & (*value - 1)) != 0)) {
      return Wrong(node, fmt::format("{} cannot be used; write {}{} to {}", text,
                                     range.power_of_two ? "a power of two from " : "",
                                     FormatConfigSize(range.min), FormatConfigSize(range.max)));
    }
    field(config) = *value;
    return {};
  };
  auto get = [=](const Config& config) { return FormatConfigSize(Read(field, config)); };
  return {std::move(path), "size", set, get, "", false};
}

ConfigKey CountKey(std::string path, Field<uint32_t> field, uint32_t min, uint32_t max) {
  auto set = [=](const YAML::Node& node, Config& config) -> Errors {
    std::string expected = fmt::format("a whole number from {} to {}", min, max);
    std::string text;
    if (Errors errors = ReadScalar(node, expected, text); !errors.empty()) {
      return errors;
    }
    uint32_t value = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc() || end != text.data() + text.size() || value < min || value > max) {
      return Wrong(node, fmt::format("\"{}\" cannot be used; write {}", text, expected));
    }
    field(config) = value;
    return {};
  };
  auto get = [=](const Config& config) { return std::to_string(Read(field, config)); };
  return {std::move(path), "number", set, get, "", false};
}

Errors ReadString(const YAML::Node& node, std::string_view expected, const Check& check,
                  std::string& out) {
  std::string text;
  if (Errors errors = ReadScalar(node, expected, text); !errors.empty()) {
    return errors;
  }
  if (text.find('\0') != std::string::npos) {
    return Wrong(node, fmt::format("holds a NUL byte; write {}", expected));
  }
  if (std::string what = check(text); !what.empty()) {
    bool quoted = what.front() == '"';
    return Wrong(node, quoted ? what : fmt::format("\"{}\" cannot be used; {}", text, what));
  }
  out = std::move(text);
  return {};
}

ConfigKey StringKey(std::string path, std::string type, Field<std::string> field, Check check) {
  auto set = [=](const YAML::Node& node, Config& config) {
    return ReadString(node, "a " + type, check, field(config));
  };
  auto get = [=](const Config& config) { return Read(field, config); };
  return {std::move(path), type, set, get, "", false};
}

ConfigKey StringListKey(std::string path, std::string item, Field<std::vector<std::string>> field,
                        Check check) {
  auto set = [=](const YAML::Node& node, Config& config) -> Errors {
    if (!node.IsSequence()) {
      return Wrong(node, fmt::format("is not a list; write [{}, …]", item));
    }
    Errors errors;
    std::vector<std::string> values;
    for (const YAML::Node& child : node) {
      Errors found = ReadString(child, "a " + item, check, values.emplace_back());
      errors.insert(errors.end(), found.begin(), found.end());
    }
    field(config) = std::move(values);
    return errors;
  };
  auto get = [=](const Config& config) {
    return fmt::format("[{}]", fmt::join(Read(field, config), ", "));
  };
  return {std::move(path), "list of " + item, set, get, "", true};
}

ConfigKey WordKey(std::string path, std::vector<std::string> words,
                  std::function<void(Config&, size_t)> put,
                  std::function<size_t(const Config&)> take) {
  auto set = [=](const YAML::Node& node, Config& config) -> Errors {
    std::string expected = fmt::format("one of {}", fmt::join(words, ", "));
    std::string text;
    if (Errors errors = ReadScalar(node, expected, text); !errors.empty()) {
      return errors;
    }
    auto found = std::find(words.begin(), words.end(), text);
    if (found == words.end()) {
      std::string nearest = NearestWord(text, words);
      std::string hint = nearest.empty() ? "" : fmt::format(" (did you mean {}?)", nearest);
      return Wrong(node, fmt::format("\"{}\" is not known; write {}{}", text, expected, hint));
    }
    put(config, static_cast<size_t>(found - words.begin()));
    return {};
  };
  auto get = [=](const Config& config) { return words[take(config)]; };
  return {std::move(path), fmt::format("{}", fmt::join(words, ", ")), set, get, "", false};
}

}  // namespace vedette
