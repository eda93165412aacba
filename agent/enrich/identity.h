// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace vedette {

// Longer names are cut and end in a hash of the whole, so that two long names stay two.
inline constexpr size_t kMaxWorkloadNameBytes = 512;

// A name of at most kMaxWorkloadNameBytes; short ones are unchanged.
std::string BoundedName(std::string name);

// A cluster's name becomes the trust domain of SPIFFE IDs: 1 to 255 of a-z 0-9 . - _
absl::Status CheckTrustDomain(std::string_view cluster);

// "spiffe://<cluster>/<workload>". SPIFFE allows letters, digits, '.', '-' and '_' in a path; any
// other byte, and '_' itself, becomes '_' and two hex digits, so that two names never give one ID.
std::string SpiffeId(std::string_view cluster, std::string_view workload);

}  // namespace vedette
