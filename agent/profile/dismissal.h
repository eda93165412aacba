// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace vedette {

// A person's word that a deviation is none: who, when and why. Strings are bytes.
struct Dismissal {
  std::string finding;  // The uid of the finding that was dismissed.
  std::string user;     // Of whoever asked, by the credentials of the connection.
  uint32_t uid = 0;
  absl::Time at;
  std::string reason;

  bool operator==(const Dismissal&) const = default;
};

}  // namespace vedette
