// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/config/config.h"
#include "agent/enrich/workloads.h"

namespace vedette {

// What the configuration means to the stages. Any thread.

// A ring's size: a power of two, at least a page, not less than what was asked for.
uint32_t RingBytes(const Config& config);

// Names containers by what their runtimes wrote.
WorkloadTable::Namer MakeNamer(const Config& config);

// Paths, and names of directories, whose files stand each for itself.
std::vector<std::string> SensitiveFiles(const Config& config);

}  // namespace vedette
