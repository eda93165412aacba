// SPDX-License-Identifier: Apache-2.0
#include "agent/config/config.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "agent/base/text.h"
#include "agent/config/keys.h"
#include "agent/config/read_file.h"
#include "agent/config/values.h"

namespace vedette {
namespace {

constexpr char kSinksPath[] = "sinks";
constexpr char kSinkItemPath[] = "sinks[]";
constexpr size_t kMaxSinks = 32;  // Each is a thread and a share of the spool.
constexpr size_t kMaxErrorBytes = 600;

// One line that no value in it can break, hide or make endless; both of its ends say something.
std::string Readable(const std::string& error) {
  if (error.size() <= kMaxErrorBytes) {
    return PrintableUtf8(error);
  }
  return PrintableUtf8(error.substr(0, kMaxErrorBytes / 2)) + "…" +
         PrintableUtf8(error.substr(error.size() - kMaxErrorBytes / 2));
}

std::string Join(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

// The names that may stand below `path`, in the order of the table; empty when it is no section.
std::vector<std::string> ChildrenOf(const std::string& path) {
  std::vector<std::string> names;
  std::string prefix = path.empty() ? "" : path + ".";
  for (const ConfigKey& key : AllConfigKeys()) {
    if (key.path.compare(0, prefix.size(), prefix) != 0) {
      continue;
    }
    std::string name = key.path.substr(prefix.size());
    name = name.substr(0, name.find_first_of(".["));
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(name);
    }
  }
  return names;
}

const ConfigKey* FindKey(std::string_view path) {
  for (const ConfigKey& key : AllConfigKeys()) {
    if (key.path == path) {
      return &key;
    }
  }
  return nullptr;
}

// Walks one YAML tree along the table of keys and collects what is wrong. Lives for one load.
class Reader {
 public:
  Reader(Config& config, std::vector<std::string>& errors) : config_(config), errors_(errors) {}

  // Where the tree comes from: a file, whose errors get line and column, or a --set.
  void FromFile(std::string file) { origin_ = std::move(file), has_marks_ = true; }
  void FromSet(const std::string& key) { origin_ = "--set " + key, has_marks_ = false; }

  void Error(const YAML::Mark& mark, const std::string& what) {
    errors_.push_back(fmt::format("{}: {}", Place(mark), what));
  }

  // `path` names `node` in the table of keys.
  void Visit(const std::string& path, const YAML::Node& node) {
    if (const ConfigKey* key = FindKey(path)) {
      for (const ValueError& error : key->set(node, config_)) {
        Error(error.mark, Subject(path) + error.what);
      }
    } else if (path == kSinksPath) {
      VisitSinks(node);
    } else {
      VisitSection(path, node);
    }
  }

 private:
  std::string Place(const YAML::Mark& mark) const {
    return has_marks_ && !mark.is_null()
               ? fmt::format("{}:{}:{}", origin_, mark.line + 1, mark.column + 1)
               : origin_;
  }

  // A --set already names its key in the place.
  std::string Subject(const std::string& path) const {
    return !has_marks_ && origin_ == "--set " + path ? "" : path + ": ";
  }

  void VisitSection(const std::string& path, const YAML::Node& node) {
    if (node.IsNull()) {
      return;  // "store:" with nothing below it says nothing.
    }
    std::vector<std::string> known = ChildrenOf(path);
    if (!node.IsMap()) {
      Error(node.Mark(), fmt::format("{}expected a section; write keys below it: {}",
                                     path.empty() ? "" : Subject(path), fmt::join(known, ", ")));
      return;
    }
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const YAML::Node& name_node = entry.first;
      if (!name_node.IsScalar()) {
        Error(name_node.Mark(),
              "a key is not a word; write one of " + fmt::format("{}", fmt::join(known, ", ")));
        continue;
      }
      const std::string& name = name_node.Scalar();
      std::string child = Join(path, name);
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        std::string nearest = NearestWord(name, known);
        Error(name_node.Mark(),
              fmt::format("unknown key \"{}\"; {}", child,
                          nearest.empty() ? fmt::format("known here: {}", fmt::join(known, ", "))
                                          : fmt::format("did you mean \"{}\"?", nearest)));
      } else if (!seen.insert(name).second) {
        Error(name_node.Mark(), fmt::format("key \"{}\" is written twice; keep one", child));
      } else {
        Visit(child, entry.second);
      }
    }
  }

  void VisitSinks(const YAML::Node& node) {
    if (!node.IsSequence()) {
      Error(node.Mark(),
            fmt::format("{}expected a list; write - jsonl: {{ path: FILE }}", Subject(kSinksPath)));
      return;
    }
    if (node.size() > kMaxSinks) {
      Error(node.Mark(), fmt::format("{}has {} sinks; write at most {}", Subject(kSinksPath),
                                     node.size(), kMaxSinks));
      return;
    }
    config_.sinks.clear();
    for (const YAML::Node& item : node) {
      VisitSink(item);
    }
  }

  void VisitSink(const YAML::Node& item) {
    if (!item.IsMap() || item.size() != 1) {
      Error(item.Mark(), fmt::format("{}a sink has one key; write one of {}", Subject(kSinksPath),
                                     fmt::join(ChildrenOf(kSinkItemPath), ", ")));
      return;
    }
    std::string kind = item.begin()->first.IsScalar() ? item.begin()->first.Scalar() : "";
    SinkConfig sink;
    sink.origin = Place(item.Mark());
    if (kind == "kafka") {
      sink.sink = KafkaSinkConfig{};
    }
    config_.sinks.push_back(sink);
    const size_t errors = errors_.size();
    VisitSection(kSinkItemPath, item);
    const auto* kafka = std::get_if<KafkaSinkConfig>(&config_.sinks.back().sink);
    // Brokers that were written wrongly have been told already.
    const YAML::Node options = item.begin()->second;
    const bool told = errors_.size() > errors && options.IsMap() && options["brokers"];
    if (kafka != nullptr && kafka->brokers.empty() && !told) {
      Error(item.Mark(), "sinks[].kafka.brokers: has no broker; write [HOST:PORT, …]");
    }
  }

  Config& config_;
  std::vector<std::string>& errors_;
  std::string origin_;
  bool has_marks_ = false;
};

// What YAML does not allow, and yaml-cpp calls by other names.
bool IndentedByTab(const std::string& text, int line) {
  size_t at = 0;
  for (; line > 0 && at < text.size(); --line) {
    at = std::min(text.find('\n', at), text.size() - 1) + 1;
  }
  const size_t end = text.find_first_not_of(" \t", at);
  return line == 0 && text.substr(at, end - at).find('\t') != std::string::npos;
}

void ReadConfigFile(const std::string& file, Reader& reader, std::vector<std::string>& errors) {
  absl::StatusOr<std::string> text =
      ReadWrittenFile(file, "with --config", "is this the configuration file?");
  if (!text.ok()) {
    errors.emplace_back(text.status().message());
    return;
  }
  reader.FromFile(file);
  try {
    std::vector<YAML::Node> documents = YAML::LoadAll(*text);
    if (documents.size() > 1) {
      reader.Error(documents[1].Mark(), "a second YAML document begins; keep one in the file");
    } else if (!documents.empty()) {
      reader.Visit("", documents[0]);
    }
  } catch (const YAML::Exception& e) {
    reader.Error(e.mark, IndentedByTab(*text, e.mark.line)
                             ? "not YAML: a tab indents this line; write blanks"
                             : fmt::format("not YAML: {}; correct the line", e.msg));
  }
}

void ApplySet(const std::string& assignment, Reader& reader, std::vector<std::string>& errors) {
  size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    errors.push_back(fmt::format("--set {}: no value; write KEY=VALUE", assignment));
    return;
  }
  std::string path = assignment.substr(0, equals);
  std::string text = assignment.substr(equals + 1);
  reader.FromSet(path);
  try {
    const ConfigKey* key = FindKey(path);
    if (key != nullptr && path.find("[]") == std::string::npos) {
      // A scalar is taken as it stands, so that nobody has to quote twice.
      reader.Visit(path, key->structured ? YAML::Load(text) : YAML::Node(text));
    } else if (path == kSinksPath || (!ChildrenOf(path).empty() && path != kSinkItemPath)) {
      reader.Visit(path, YAML::Load(text));
    } else {
      std::vector<std::string> known = {kSinksPath};
      for (const ConfigKeyInfo& info : ConfigKeys()) {
        if (info.path.find("[]") == std::string::npos) {
          known.push_back(info.path);
        }
      }
      std::string nearest = NearestWord(path, known);
      reader.Error(YAML::Mark::null_mark(),
                   nearest.empty() ? "unknown key; docs/configuration.md lists them all"
                                   : fmt::format("unknown key; did you mean \"{}\"?", nearest));
    }
  } catch (const YAML::Exception& e) {
    // The value is not repeated: it may hold a password.
    reader.Error(e.mark, fmt::format("the value is not YAML: {}; correct it", e.msg));
  }
}

// Two sinks that write to one place would spoil each other's output.
void CheckSinksDiffer(const Config& config, std::vector<std::string>& errors) {
  std::set<std::string> paths;
  std::set<std::string> names;
  for (const SinkConfig& sink : config.sinks) {
    const auto* jsonl = std::get_if<JsonlSinkConfig>(&sink.sink);
    if (jsonl != nullptr && !paths.insert(jsonl->path).second) {
      errors.push_back(
          fmt::format("{}: a second sink writes to {}; keep one", sink.origin, jsonl->path));
    } else if (!names.insert(SinkName(sink)).second) {
      errors.push_back(
          fmt::format("{}: a second sink is called {}, and what waits for a sink is kept under its "
                      "name; give this one a name of its own",
                      sink.origin, SinkName(sink)));
    }
  }
}

// A configuration that has one sink of the kind that `path` speaks of, for reading defaults.
Config DefaultsFor(const std::string& path) {
  Config config;
  if (path.compare(0, 13, "sinks[].kafka") == 0) {
    config.sinks[0].sink = KafkaSinkConfig{};
  }
  return config;
}

}  // namespace

std::string SinkName(const SinkConfig& sink) {
  if (const auto* jsonl = std::get_if<JsonlSinkConfig>(&sink.sink)) {
    return jsonl->name.empty() ? "jsonl" : jsonl->name;
  }
  const auto& kafka = std::get<KafkaSinkConfig>(sink.sink);
  return kafka.name.empty() ? "kafka:" + kafka.topic : kafka.name;
}

std::vector<ConfigKeyInfo> ConfigKeys() {
  std::vector<ConfigKeyInfo> infos;
  for (const ConfigKey& key : AllConfigKeys()) {
    infos.push_back(
        {key.path, key.type, key.fallback.empty() ? key.get(DefaultsFor(key.path)) : key.fallback});
  }
  return infos;
}

std::optional<std::string> ConfigValue(const Config& config, std::string_view path) {
  const ConfigKey* key = FindKey(path);
  if (key == nullptr || path.find("[]") != std::string_view::npos) {
    return std::nullopt;
  }
  return key->get(config);
}

absl::StatusOr<Config> LoadConfig(const std::string& file, absl::Span<const std::string> sets) {
  Config config;
  std::vector<std::string> errors;
  Reader reader(config, errors);
  if (!file.empty()) {
    ReadConfigFile(file, reader, errors);
  }
  for (const std::string& set : sets) {
    ApplySet(set, reader, errors);
  }
  if (errors.empty()) {
    CheckSinksDiffer(config, errors);
  }
  if (!errors.empty()) {
    std::transform(errors.begin(), errors.end(), errors.begin(), Readable);
    return absl::InvalidArgumentError(fmt::format("{}", fmt::join(errors, "\n")));
  }
  return config;
}

}  // namespace vedette
