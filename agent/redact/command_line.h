// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "agent/redact/secrets.h"

namespace vedette {

// Finds secrets by the place they have in a command line: after an option whose name says so, and
// after the short options of programs that are known to take one there (`mysql -pX`, `curl -u
// a:b`). Command lines inside arguments (`sh -c "…"`, `ssh host "…"`) are looked at in the same
// way, some levels deep; what is nested deeper is a secret as a whole, and counted in `too_deep`.
// `secrets` has one item per argument.
void FindSecretsByPlace(absl::Span<const std::string> argv, std::vector<Secrets>& secrets,
                        uint64_t& too_deep);

// Whether an argument is a script for a shell: the one after `-c`, `-lc` and the like.
bool IsScript(absl::Span<const std::string> argv, size_t index);

}  // namespace vedette
