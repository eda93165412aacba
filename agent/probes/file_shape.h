// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "agent/event/file.h"

namespace vedette {

struct PathShape {
  std::string text;  // Empty: nothing is different each time.
  NamesDiffer sure = NamesDiffer::kUnsure;
};

// A path with '*' and '?' for what is different each time, name by name, as the kernel's programs
// do it for the last two: "/data/req-17/tmpk2x9_a1b.txt" is "/data/req-*/tmp*.txt". Any thread.
PathShape ShapeOfPath(std::string_view path);

}  // namespace vedette
