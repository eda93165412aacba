// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace vedette {

// A path with '*' for what is different each time, name by name, as the kernel's programs do it for
// the last one: "/data/req-17/tmpk2x9_a1b.txt" is "/data/req-*/tmp*.txt". Empty: nothing is
// different. Any thread.
std::string ShapeOfPath(std::string_view path);

}  // namespace vedette
