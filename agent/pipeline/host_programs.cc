// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/host_programs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "agent/base/status.h"
#include "agent/base/unique_fd.h"
#include "agent/probes/file_key.h"

namespace vedette {
namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(10);
constexpr size_t kMaxCodes = 16;  // Of one path: upgrades within one run of the agent.

}  // namespace

bool HostPrograms::Is(const CodeKey& code, const std::string& path) {
  Program& program = programs_[path];
  const auto is_known = [&] {
    return std::find(program.codes.begin(), program.codes.end(), code) != program.codes.end();
  };
  if (is_known()) {
    return true;
  }
  const absl::Time now = steady_->Now();
  if (now < program.next_look) {
    return false;
  }
  program.next_look = now + kLookInterval;
  Look(path, program);
  return is_known();
}

void HostPrograms::Look(const std::string& path, Program& program) const {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  struct stat info = {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != 0 ||
      (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return;
  }
  const absl::StatusOr<CodeKey> key = ReadFileKey(*probes_, fd.get());
  if (!key.ok() ||
      std::find(program.codes.begin(), program.codes.end(), *key) != program.codes.end()) {
    return;
  }
  if (program.codes.size() >= kMaxCodes) {
    program.codes.erase(program.codes.begin());
  }
  program.codes.push_back(*key);
}

absl::StatusOr<std::unique_ptr<DefaultCover>> MakeDefaultCover(const std::string& setting,
                                                               HostPrograms& programs) {
  VEDETTE_ASSIGN_OR_RETURN(std::vector<DefaultProfile> profiles, LoadDefaultProfiles(setting));
  return std::make_unique<DefaultCover>(std::move(profiles),
                                        [&programs](const CodeKey& code, const std::string& path) {
                                          return programs.Is(code, path);
                                        });
}

}  // namespace vedette
