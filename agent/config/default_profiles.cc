// SPDX-License-Identifier: Apache-2.0
#include "agent/config/default_profiles.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "agent/base/status.h"
#include "agent/config/read_file.h"

namespace vedette {
namespace {

constexpr long kMaxStars = 4;
constexpr std::string_view kWorkloadPrefix = "host/";

// Walks the file and collects every mistake with its place.
class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  std::vector<DefaultProfile> Read(const YAML::Node& root) {
    std::vector<DefaultProfile> profiles;
    if (!HasKeys(root, {"version", "profiles"}, {})) {
      return profiles;
    }
    if (!root["version"].IsScalar() || root["version"].Scalar() != "1") {
      Error(root["version"], "the version is not known; write version: 1");
    }
    std::set<std::string> names;
    ForEach(root["profiles"], "profiles", kMaxDefaultProfiles, [&](const YAML::Node& node) {
      profiles.push_back(ReadProfile(node));
      if (!profiles.back().name.empty() && !names.insert(profiles.back().name).second) {
        Error(node, fmt::format("a second profile is called {}; keep one", profiles.back().name));
      }
    });
    return profiles;
  }

  const std::vector<std::string>& errors() const { return errors_; }
  void Error(const YAML::Mark& mark, const std::string& what) {
    errors_.push_back(fmt::format("{}:{}:{}: {}", file_, mark.line + 1, mark.column + 1, what));
  }

 private:
  void Error(const YAML::Node& node, const std::string& what) { Error(node.Mark(), what); }

  // A map with these keys: all of `needed`, some of `others`, and nothing else.
  bool HasKeys(const YAML::Node& node, const std::set<std::string>& needed,
               const std::set<std::string>& others) {
    if (!node.IsMap()) {
      Error(node, fmt::format("is not a map; write {}", fmt::join(needed, ", ")));
      return false;
    }
    bool good = true;
    for (const auto& entry : node) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
      if (needed.count(key) == 0 && others.count(key) == 0) {
        Error(entry.first,
              fmt::format("unknown key \"{}\"; known here: {}{}{}", key, fmt::join(needed, ", "),
                          others.empty() ? "" : ", ", fmt::join(others, ", ")));
        good = false;
      }
    }
    for (const std::string& key : needed) {
      if (!node[key]) {
        Error(node, fmt::format("has no {}; write one", key));
        good = false;
      }
    }
    return good;
  }

  void ForEach(const YAML::Node& list, const std::string& what, size_t most,
               const std::function<void(const YAML::Node&)>& read) {
    if (!list.IsSequence() || list.size() == 0 || list.size() > most) {
      Error(list, fmt::format("{} is not a list of 1 to {}; write [ITEM, …]", what, most));
      return;
    }
    for (const YAML::Node& item : list) {
      read(item);
    }
  }

  std::string Text(const YAML::Node& node, const std::string& what) {
    if (!node.IsScalar() || node.Scalar().empty()) {
      Error(node, fmt::format("{} is empty or no text; write a line", what));
      return "";
    }
    return node.Scalar();
  }

  DefaultProfile ReadProfile(const YAML::Node& node) {
    DefaultProfile profile;
    if (!HasKeys(node, {"name", "about", "rules"}, {})) {
      return profile;
    }
    profile.name = Text(node["name"], "name");
    profile.about = Text(node["about"], "about");
    ForEach(node["rules"], "rules", kMaxDefaultItems,
            [&](const YAML::Node& rule) { profile.rules.push_back(ReadRule(rule)); });
    return profile;
  }

  DefaultRule ReadRule(const YAML::Node& node) {
    DefaultRule rule;
    if (!HasKeys(node, {"workloads"}, {"by", "below", "expected"})) {
      return rule;
    }
    ForEach(node["workloads"], "workloads", kMaxDefaultItems, [&](const YAML::Node& item) {
      rule.workloads.push_back(Text(item, "a workload"));
      const std::string& name = rule.workloads.back();
      if (!name.empty() && name.compare(0, kWorkloadPrefix.size(), kWorkloadPrefix) != 0) {
        Error(item, fmt::format("\"{}\" does not begin with host/; containers choose their names "
                                "themselves and cannot be covered",
                                name));
      } else if (std::count(name.begin(), name.end(), '*') > kMaxStars) {
        Error(item, fmt::format("\"{}\" has more than {} stars; write fewer", name, kMaxStars));
      }
    });
    for (const auto& [key, paths] : {std::pair("by", &rule.by), {"below", &rule.below}}) {
      if (node[key]) {
        ForEach(node[key], key, kMaxDefaultItems, [&, list = paths](const YAML::Node& item) {
          list->push_back(Text(item, "a path"));
          if (!list->back().empty() && list->back().front() != '/') {
            Error(item, fmt::format("\"{}\" is no absolute path; write one, starting with /",
                                    list->back()));
          }
        });
      }
    }
    if (node["expected"]) {
      ReadExpected(node, rule);
    }
    if (rule.by.empty() && rule.below.empty() && rule.workloads.size() == 1 &&
        rule.workloads[0] == "host/**") {
      Error(node, "covers every workload of the host; name programs in by or below");
    }
    return rule;
  }

  void ReadExpected(const YAML::Node& node, DefaultRule& rule) {
    ForEach(node["expected"], "expected", kMaxDefaultItems, [&](const YAML::Node& item) {
      rule.expected.push_back(Text(item, "an act"));
      const std::string& act = rule.expected.back();
      if (!act.empty() &&
          std::find(kExpectedActs.begin(), kExpectedActs.end(), act) == kExpectedActs.end()) {
        Error(item, fmt::format("\"{}\" cannot be expected; what can: {}", act,
                                fmt::join(kExpectedActs, ", ")));
      }
    });
    if (node["by"] || node["below"]) {
      Error(node["expected"],
            "goes with workloads alone; write a rule of its own for by and below");
    }
  }

  const std::string file_;
  std::vector<std::string> errors_;
};

}  // namespace

absl::StatusOr<std::vector<DefaultProfile>> ParseDefaultProfiles(const std::string& text,
                                                                 const std::string& file) {
  Reader reader(file);
  std::vector<DefaultProfile> profiles;
  try {
    profiles = reader.Read(YAML::Load(text));
  } catch (const YAML::Exception& e) {
    reader.Error(e.mark, fmt::format("not YAML: {}; correct the line", e.msg));
  }
  if (!reader.errors().empty()) {
    return absl::InvalidArgumentError(fmt::format("{}", fmt::join(reader.errors(), "\n")));
  }
  return profiles;
}

absl::StatusOr<std::vector<DefaultProfile>> LoadDefaultProfiles(const std::string& setting) {
  if (setting == "off") {
    return std::vector<DefaultProfile>();
  }
  if (setting == "builtin") {
    return ParseDefaultProfiles(std::string(BuiltinDefaultProfiles()), "default-profiles.yaml");
  }
  VEDETTE_ASSIGN_OR_RETURN(
      const std::string text,
      ReadWrittenFile(setting, "in learning.default_profiles", "are these default profiles?"));
  return ParseDefaultProfiles(text, setting);
}

bool MatchesWorkload(std::string_view pattern, std::string_view name) {
  while (!pattern.empty() && pattern.front() != '*') {
    if (name.empty() || name.front() != pattern.front()) {
      return false;
    }
    pattern.remove_prefix(1);
    name.remove_prefix(1);
  }
  if (pattern.empty()) {
    return name.empty();
  }
  const bool deep = pattern.substr(0, 2) == "**";
  const std::string_view rest = pattern.substr(deep ? 2 : 1);
  for (size_t taken = 0; taken <= name.size(); ++taken) {
    if (MatchesWorkload(rest, name.substr(taken))) {
      return true;
    }
    if (!deep && taken < name.size() && name[taken] == '/') {
      return false;
    }
  }
  return false;
}

}  // namespace vedette
