// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/identity.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "agent/enrich/sha256.h"
#include "fmt/format.h"

namespace vedette {
namespace {

constexpr size_t kMaxTrustDomainBytes = 255;
constexpr size_t kHashLength = 16;

bool AllowedInDomain(char c) {
  return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '.' || c == '-' || c == '_';
}

}  // namespace

std::string BoundedName(std::string name) {
  if (name.size() <= kMaxWorkloadNameBytes) {
    return name;
  }
  const std::string hash = Sha256::HexOf(name).substr(0, kHashLength);
  name.resize(kMaxWorkloadNameBytes - kHashLength - 1);
  return name + "~" + hash;
}

absl::Status CheckTrustDomain(std::string_view cluster) {
  if (!cluster.empty() && cluster.size() <= kMaxTrustDomainBytes &&
      std::all_of(cluster.begin(), cluster.end(), AllowedInDomain)) {
    return absl::OkStatus();
  }
  const std::string shown = absl::CHexEscape(
      absl::string_view(cluster.data(), std::min(cluster.size(), kMaxTrustDomainBytes)));
  return absl::InvalidArgumentError(fmt::format(
      "the cluster's name '{}' cannot be the trust domain of a SPIFFE ID: use 1 to {} of "
      "a-z, 0-9, '.', '-' and '_'",
      shown, kMaxTrustDomainBytes));
}

std::string SpiffeId(std::string_view cluster, std::string_view workload) {
  std::string path;
  for (char c : workload) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '/') {
      path += c;
    } else {
      path += fmt::format("_{:02x}", static_cast<unsigned char>(c));
    }
  }
  while (path.ends_with('/')) {
    path.pop_back();
  }
  return fmt::format("spiffe://{}/{}", cluster, path);
}

}  // namespace vedette
