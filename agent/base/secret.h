// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace vedette {

// Where a value comes from that may stand in no configuration, log or error.
struct SecretSource {
  enum class From { kFile, kEnv };
  From from = From::kFile;
  std::string name;  // The path, or the name of the variable.

  bool operator==(const SecretSource&) const = default;
};

// As a configuration writes it: "{ file: /run/secrets/kafka }".
std::string SecretSourceText(const SecretSource& source);

// Reads it anew. A file's last line end is no part of the secret. InvalidArgument: one sentence
// that names the source, never its content.
absl::StatusOr<std::string> ReadSecret(const SecretSource& source);

}  // namespace vedette
