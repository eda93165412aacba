// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spdlog/formatter.h>

#include <memory>

#include "agent/config/config.h"

namespace vedette {

// How a line of the agent's log is written. A message may hold what others chose, such as the path
// of a program: in either format it can neither end its line nor add a field to it.
std::unique_ptr<spdlog::formatter> MakeLogFormatter(LogFormat format);

}  // namespace vedette
