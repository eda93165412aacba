// SPDX-License-Identifier: Apache-2.0
#include "agent/config/read_file.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <fstream>

#include "agent/base/utf8.h"

namespace vedette {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;

// The parser takes a NUL byte for the end of the file, and changes bytes that are no UTF-8.
absl::Status CheckIsText(const std::string& file, std::string_view text) {
  size_t at = text.find('\0');
  std::string_view what = "holds a NUL byte, behind which nothing would be read";
  if (at == std::string_view::npos) {
    at = text.size() - SizeFromFirstInvalid(text);
    what = "is not UTF-8";
  }
  if (at == text.size()) {
    return absl::OkStatus();
  }
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n');
  return absl::InvalidArgumentError(
      fmt::format("{}:{}: {}; write the file anew, as text in UTF-8", file, line, what));
}

}  // namespace

absl::StatusOr<std::string> ReadWrittenFile(const std::string& file, std::string_view where,
                                            std::string_view question) {
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  std::string text(kMaxFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (in.gcount() == 0 && errno != 0)) {
    return absl::InvalidArgumentError(fmt::format("{}: cannot be read: {}; name a readable file {}",
                                                  file, strerror(errno == 0 ? EIO : errno), where));
  }
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > kMaxFileBytes) {
    return absl::InvalidArgumentError(fmt::format("{}: larger than 1MiB; {}", file, question));
  }
  if (absl::Status status = CheckIsText(file, text); !status.ok()) {
    return status;
  }
  return text;
}

}  // namespace vedette
