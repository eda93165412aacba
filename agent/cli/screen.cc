// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/screen.h"

#include <fmt/format.h>

#include "agent/cli/table.h"

namespace vedette {

ScreenSize Screen::size() const {
  const ScreenSize size = io_.size ? io_.size() : ScreenSize();
  return size.rows > 0 && size.columns > 0 ? size : ScreenSize{.rows = 24, .columns = 80};
}

void Screen::Draw(std::string_view title, const std::string& text) {
  constexpr std::string_view kNoWrap = "\x1b[?7l", kWrap = "\x1b[?7h", kClear = "\x1b[H\x1b[2J";
  const std::string line =
      Paint(fmt::format("vedette top: {}; refreshed each second, Ctrl-C ends it", title),
            Colour::kFaint, true);
  // As one write, so that Ctrl-C does not leave the terminal without wrapping.
  io_.out << fmt::format("{}{}{}{}\n\n{}{}",
                         drawn_ ? std::string() : std::string(size().rows, '\n'), kNoWrap, kClear,
                         line, text, kWrap)
          << std::flush;
  drawn_ = true;
}

}  // namespace vedette
