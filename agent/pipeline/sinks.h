// SPDX-License-Identifier: Apache-2.0
#pragma once

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

}  // namespace vedette
