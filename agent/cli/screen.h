// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "agent/cli/cli.h"

namespace vedette {

// A terminal that a command draws anew every second. What was there before is pushed into the
// terminal's memory of lines, not wiped. One thread.
class Screen {
 public:
  explicit Screen(const CliIo& io) : io_(io) {}

  // How large it is now; a terminal that does not say is taken for 80 by 24.
  ScreenSize size() const;
  // Draws `text` below a line that says what this is. Lines that are too long are not wrapped.
  void Draw(std::string_view title, const std::string& text);

 private:
  const CliIo& io_;
  bool drawn_ = false;
};

}  // namespace vedette
