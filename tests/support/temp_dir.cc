// SPDX-License-Identifier: Apache-2.0
#include "tests/support/temp_dir.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <system_error>

#include "agent/base/unique_fd.h"

namespace vedette::testing {

TempDir::TempDir(std::string_view prefix) {
  std::error_code error;
  path_ = std::filesystem::temp_directory_path(error).string();
  if (error) {
    path_ = "/tmp";
  }
  path_ += "/" + std::string(prefix) + ".XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) {
    // A test cannot go on without its directory, and one that is not its own must not be removed.
    perror(path_.c_str());
    abort();
  }
}

TempDir::~TempDir() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  if (error) {
    fprintf(stderr, "cannot remove %s: %s\n", path_.c_str(), error.message().c_str());
  }
}

std::string TempDir::operator/(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

std::string ReadFile(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string bytes;
  char buffer[4096];
  for (ssize_t n; fd.valid() && (n = read(fd.get(), buffer, sizeof(buffer))) > 0;) {
    bytes.append(buffer, static_cast<size_t>(n));
  }
  return bytes;
}

bool WriteFile(const std::string& path, std::string_view bytes) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd.valid()) {
    return false;
  }
  while (!bytes.empty()) {
    const ssize_t n = write(fd.get(), bytes.data(), bytes.size());
    if (n <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace vedette::testing
