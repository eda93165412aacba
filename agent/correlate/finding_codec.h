// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "agent/correlate/finding.h"

namespace vedette {

// A finding as bytes for the store, without loss: strings are bytes. Of `flow` the network fields
// are kept, not its process, which the finding has itself. `change` and what a person said of it
// are not kept.
std::string EncodeFinding(const Finding& finding);
absl::StatusOr<Finding> DecodeFinding(std::string_view bytes);  // DataLoss: not such bytes.

}  // namespace vedette
