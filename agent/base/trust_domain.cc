// SPDX-License-Identifier: Apache-2.0
#include "agent/base/trust_domain.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace vedette {
namespace {

bool IsAllowed(char c) {
  return absl::ascii_islower(static_cast<unsigned char>(c)) ||
         absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_';
}

}  // namespace

bool IsTrustDomain(std::string_view name) {
  return !name.empty() && name.size() <= kMaxTrustDomainBytes &&
         std::all_of(name.begin(), name.end(), IsAllowed);
}

std::string TrustDomainOf(std::string_view host) {
  std::string name(host.substr(0, kMaxTrustDomainBytes));
  for (char& c : name) {
    c = absl::ascii_tolower(static_cast<unsigned char>(c));
    if (!IsAllowed(c)) {
      c = '-';
    }
  }
  return name.empty() ? "node" : name;
}

}  // namespace vedette
