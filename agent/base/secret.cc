// SPDX-License-Identifier: Apache-2.0
#include "agent/base/secret.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "agent/base/status.h"

namespace vedette {
namespace {

// Keys in PEM have some kilobytes; anything larger is the wrong file.
constexpr size_t kMaxSecretBytes = size_t{64} << 10;

absl::StatusOr<std::string> ReadSecretFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxSecretBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (file.gcount() == 0 && errno != 0)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: cannot be read: {}; name a file that the agent can read", path,
                    strerror(errno == 0 ? EIO : errno)));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxSecretBytes) {
    return absl::InvalidArgumentError(
        fmt::format("{}: larger than 64KiB; name the file that holds the secret alone", path));
  }
  for (const char end : {'\n', '\r'}) {
    if (!text.empty() && text.back() == end) {
      text.pop_back();
    }
  }
  if (text.empty()) {
    return absl::InvalidArgumentError(fmt::format("{}: is empty; write the secret into it", path));
  }
  return text;
}

}  // namespace

std::string SecretSourceText(const SecretSource& source) {
  return fmt::format("{{ {}: {} }}", source.from == SecretSource::From::kFile ? "file" : "env",
                     source.name);
}

absl::StatusOr<std::string> ReadSecret(const SecretSource& source) {
  std::string text;
  if (source.from == SecretSource::From::kFile) {
    VEDETTE_ASSIGN_OR_RETURN(text, ReadSecretFile(source.name));
  } else {
    const char* value = std::getenv(source.name.c_str());
    if (value == nullptr || *value == '\0') {
      return absl::InvalidArgumentError(fmt::format(
          "the variable {} of the environment is not set; set it for the agent", source.name));
    }
    text = value;
  }
  if (text.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        fmt::format("{}: holds a NUL byte; write the secret as text", source.name));
  }
  return text;
}

}  // namespace vedette
