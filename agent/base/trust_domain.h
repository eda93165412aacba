// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vedette {

inline constexpr size_t kMaxTrustDomainBytes = 255;

// Whether a name can be the trust domain of SPIFFE IDs: 1 to 255 of a-z 0-9 . - _ (SPIFFE-ID,
// 2.1). Any thread.
bool IsTrustDomain(std::string_view name);

// A host's name as a trust domain: letters in lower case, since the case of host names means
// nothing, other bytes as '-', cut at the bound; "node" for an empty one. Any thread.
std::string TrustDomainOf(std::string_view host);

}  // namespace vedette
