// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/base/unique_fd.h"

namespace vedette {

// Reads files that others write, below a directory that is trusted. No link is followed and no
// mount is crossed below it, so whoever writes there cannot lead the reader elsewhere or make it
// wait. One thread.
class TrustedDirectory {
 public:
  // NotFound: it is not there, or a part of `path` is no directory.
  static absl::StatusOr<TrustedDirectory> Open(const std::string& path);
  // The same, where a part of `path` belongs to someone who is not trusted: no link in it either.
  static absl::StatusOr<TrustedDirectory> OpenWithoutLinks(const std::string& path);
  // Of a directory below this one.
  absl::StatusOr<TrustedDirectory> OpenBelow(const std::string& relative) const;

  // The whole of a regular file of at most `max_bytes`. NotFound: no such file.
  absl::StatusOr<std::string> Read(const std::string& relative, size_t max_bytes) const;
  // Names in a directory below, at most `max`; empty where it is not there.
  std::vector<std::string> List(const std::string& relative, size_t max) const;
  const std::string& path() const { return path_; }

 private:
  TrustedDirectory(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  std::string path_;
};

}  // namespace vedette
