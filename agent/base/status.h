// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vedette {

// The message as a standard view; lives as long as the status.
inline std::string_view Message(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

}  // namespace vedette

// Returns the error of `expr` from the enclosing function; goes on when it is OK.
#define VEDETTE_RETURN_IF_ERROR(expr)                   \
  do {                                                  \
    if (absl::Status status_ = (expr); !status_.ok()) { \
      return status_;                                   \
    }                                                   \
  } while (false)

#define VEDETTE_CONCAT_INNER(a, b) a##b
#define VEDETTE_CONCAT(a, b) VEDETTE_CONCAT_INNER(a, b)

// VEDETTE_ASSIGN_OR_RETURN(auto x, F()): moves the value of a StatusOr into x, or returns its
// error.
#define VEDETTE_ASSIGN_OR_RETURN(lhs, expr) \
  VEDETTE_ASSIGN_OR_RETURN_IMPL(VEDETTE_CONCAT(status_or_, __LINE__), lhs, expr)
#define VEDETTE_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                                  \
  if (!tmp.ok()) {                                    \
    return tmp.status();                              \
  }                                                   \
  lhs = std::move(tmp).value()
