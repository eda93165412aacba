// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/config/config.h"
#include "agent/deliver/delivery.h"
#include "exporters/jsonl/jsonl_exporter.h"

namespace vedette {

struct Sinks {
  std::vector<NamedExporter> exporters;
  std::vector<JsonlExporter*> files;  // Of `exporters`, to be opened anew after a rotation.
};

// Makes the exporters that the configuration names. Errors name the place in the configuration.
absl::StatusOr<Sinks> MakeSinks(const Config& config);

// How they do, for `doctor`; a sentence of each that does not.
nlohmann::json SinksJson(const std::vector<SinkStats>& sinks, std::vector<std::string>& problems);

}  // namespace vedette
