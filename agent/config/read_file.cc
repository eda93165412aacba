// SPDX-License-Identifier: Apache-2.0
#include "agent/config/read_file.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>

#include <fstream>

namespace vedette {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;

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
  return text;
}

}  // namespace vedette
