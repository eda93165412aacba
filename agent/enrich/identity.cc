// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/identity.h"

#include "absl/strings/ascii.h"
#include "agent/base/sha256.h"
#include "fmt/format.h"

namespace vedette {
namespace {

constexpr size_t kHashLength = 16;

}  // namespace

std::string BoundedName(std::string name) {
  if (name.size() <= kMaxWorkloadNameBytes) {
    return name;
  }
  const std::string hash = Sha256::HexOf(name).substr(0, kHashLength);
  name.resize(kMaxWorkloadNameBytes - kHashLength - 1);
  return name + "~" + hash;
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
