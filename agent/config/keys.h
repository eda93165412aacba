// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/config/config.h"

namespace vedette {

// A mistake inside a value, at the node that holds it.
struct ValueError {
  YAML::Mark mark;
  std::string what;
};

// One key that holds a value. Sections are the prefixes of the paths.
struct ConfigKey {
  std::string path;
  std::string type;
  // Checks the node's value and puts it into the configuration; for `sinks[]…` into the last sink.
  std::function<std::vector<ValueError>(const YAML::Node&, Config&)> set;
  // Writes the value back; for `sinks[]…` that of the last sink.
  std::function<std::string(const Config&)> get;
  std::string fallback;     // Where the default is not simply what get() gives for Config().
  bool structured = false;  // A list or a map, not a scalar.
};

// Every key there is; the only list of them.
const std::vector<ConfigKey>& AllConfigKeys();

}  // namespace vedette
