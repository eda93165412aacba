// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/pin_dir.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "agent/base/status.h"
#include "agent/base/text.h"
#include "agent/probes/probe_set.h"

namespace vedette {
namespace {

namespace fs = std::filesystem;

bool IsRootOfFilesystem(const std::string& dir) {
  struct stat own, parent;
  return stat(dir.c_str(), &own) == 0 && stat((dir + "/..").c_str(), &parent) == 0 &&
         (own.st_dev != parent.st_dev || own.st_ino == parent.st_ino);
}

bool IsBuildName(std::string_view name) {
  return name.size() == 2 * kBuildDigestBytes &&
         name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

absl::StatusOr<std::vector<fs::path>> EntriesOf(const fs::path& dir) {
  std::vector<fs::path> entries;
  std::error_code error;
  fs::directory_iterator entry(dir, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    entries.push_back(entry->path());
  }
  if (error) {
    return absl::PermissionDeniedError(
        fmt::format("{}: cannot be read: {}", dir.string(), error.message()));
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool IsDirectory(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(fs::symlink_status(path, error));
}

absl::Status NotOurs(const std::string& dir, const fs::path& entry) {
  return absl::FailedPreconditionError(fmt::format(
      "{}: holds {}, which no agent made, and an agent removes what is left in its directory; set "
      "bpf.pin_dir to a directory of its own",
      dir, PrintableUtf8(entry.lexically_relative(dir).string())));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FindPinnedBuilds(const std::string& dir) {
  if (IsRootOfFilesystem(dir)) {
    return absl::FailedPreconditionError(
        fmt::format("{}: is the root of a filesystem, where other programs pin, too; set "
                    "bpf.pin_dir to a directory of its own below it",
                    dir));
  }
  std::vector<std::string> builds;
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<fs::path> entries, EntriesOf(dir));
  for (const fs::path& entry : entries) {
    if (!IsBuildName(entry.filename().string()) || !IsDirectory(entry)) {
      return NotOurs(dir, entry);
    }
    VEDETTE_ASSIGN_OR_RETURN(const std::vector<fs::path> parts, EntriesOf(entry));
    for (const fs::path& part : parts) {
      if ((part.filename() != "maps" && part.filename() != "links") || !IsDirectory(part)) {
        return NotOurs(dir, part);
      }
    }
    builds.push_back(entry.string());
  }
  return builds;
}

}  // namespace vedette
