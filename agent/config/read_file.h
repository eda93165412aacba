// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vedette {

// The bytes of a file that a person wrote, at most 1 MiB. InvalidArgument: it cannot be read, and
// `where` says where a readable one is to be named; or it is larger, and `question` asks whether it
// is the right one. Any thread.
absl::StatusOr<std::string> ReadWrittenFile(const std::string& file, std::string_view where,
                                            std::string_view question);

}  // namespace vedette
