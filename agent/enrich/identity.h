// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace vedette {

// Longer names are cut and end in a hash of the whole, so that two long names stay two.
inline constexpr size_t kMaxWorkloadNameBytes = 512;

// A name of at most kMaxWorkloadNameBytes; short ones are unchanged.
std::string BoundedName(std::string name);

// "spiffe://<cluster>/<workload>". SPIFFE allows letters, digits, '.', '-' and '_' in a path; any
// other byte, and '_' itself, becomes '_' and two hex digits, so that two names never give one ID.
std::string SpiffeId(std::string_view cluster, std::string_view workload);

}  // namespace vedette
