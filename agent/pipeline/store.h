// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/sqlite.h"

namespace vedette {

// Opens the store below `dir`, which is made when it is not there. A damaged database is set aside
// under a name with the time, said, and a new one begun. Errors name the path and what to do.
absl::StatusOr<std::unique_ptr<SqliteDatabase>> OpenStore(const std::string& dir, absl::Time now);

}  // namespace vedette
