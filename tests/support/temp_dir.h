// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "tests/support/wait_for.h"

namespace vedette::testing {

// A directory of its own below $TMPDIR, removed with all that is in it. One thread.
class TempDir {
 public:
  explicit TempDir(std::string_view prefix = "vedette");
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const;

 private:
  std::string path_;
};

// The bytes of a file; empty when it cannot be read.
std::string ReadFile(const std::string& path);
// False: `errno` says why. Nothing is created along the way.
bool WriteFile(const std::string& path, std::string_view bytes);

}  // namespace vedette::testing
