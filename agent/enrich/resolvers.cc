// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/resolvers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "agent/base/unique_fd.h"
#include "fmt/format.h"

namespace vedette {
namespace {

constexpr size_t kMaxResolvConfBytes = 64 << 10;
constexpr std::string_view kBlank = " \t\r";

std::string_view NextWord(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

std::optional<IpAddress> ParseIpAddress(std::string_view text) {
  const std::string name(text.substr(0, text.find('%')));
  if (name.find('\0') != std::string::npos) {
    return std::nullopt;
  }
  IpAddress address;
  if (inet_pton(AF_INET6, name.c_str(), address.bytes.data()) == 1) {
    return address;
  }
  in_addr v4 = {};
  if (inet_pton(AF_INET, name.c_str(), &v4) != 1) {
    return std::nullopt;
  }
  address.bytes = {};
  address.bytes[10] = address.bytes[11] = 0xff;
  std::memcpy(address.bytes.data() + 12, &v4, sizeof(v4));
  return address;
}

std::vector<IpAddress> ParseResolvConf(std::string_view text) {
  std::vector<IpAddress> addresses;
  while (!text.empty() && addresses.size() < kMaxResolvers) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (NextWord(line) != "nameserver") {
      continue;
    }
    if (auto address = ParseIpAddress(NextWord(line))) {
      addresses.push_back(*address);
    }
  }
  return addresses;
}

absl::StatusOr<std::vector<IpAddress>> ReadResolvConf(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string text(kMaxResolvConfBytes, '\0');
  const ssize_t got = fd.valid() ? read(fd.get(), text.data(), text.size()) : -1;
  if (got < 0) {
    return absl::UnavailableError(
        fmt::format("cannot read {}: {}; until it can be, no DNS answer is trusted but those of "
                    "resolvers that it named before or that dns.resolvers lists",
                    path, std::strerror(errno)));
  }
  text.resize(static_cast<size_t>(got));
  return ParseResolvConf(text);
}

absl::StatusOr<bool> ResolvConf::Look() {
  struct stat info = {};
  Version version;  // Of a file that is not there.
  if (stat(path_.c_str(), &info) == 0) {
    version = {info.st_dev, info.st_ino, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec,
               info.st_size};
  }
  if (seen_ == version) {
    return false;
  }
  seen_ = version;
  absl::StatusOr<std::vector<IpAddress>> read = ReadResolvConf(path_);
  if (!read.ok()) {
    return read.status();
  }
  addresses_ = *std::move(read);
  return true;
}

}  // namespace vedette
