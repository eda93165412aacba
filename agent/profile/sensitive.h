// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vedette {

// Is a path at or below one of these? An item with a leading slash is a path, another one the name
// of a directory or file anywhere (".ssh"). Any thread.
bool IsSensitive(std::string_view path, const std::vector<std::string>& items);

// Could a name of this shape be that text? A '*' stands for at least one byte, a
// '?' for one, and neither for a slash.
bool HasShape(std::string_view text, std::string_view shape);

}  // namespace vedette
