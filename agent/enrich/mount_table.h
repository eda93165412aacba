// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vedette {

// Types of filesystems, from the tables of mounts as the kernel prints them: that asks no server of
// any filesystem anything. Read anew for each program, because numbers are given out again.
class MountTable {
 public:
  // As text of /proc/PID/mountinfo.
  explicit MountTable(std::vector<std::string> tables) : tables_(std::move(tables)) {}
  // What process `tgid`, this process and the first process see.
  static MountTable Read(uint32_t tgid);
  // What this process alone sees.
  static MountTable ReadOwn();

  // Nothing: not listed. `device` as the kernel's key has it: major number from bit 20 on.
  std::optional<std::string> TypeOfDevice(uint64_t device) const;
  std::optional<std::string> TypeOfMount(uint64_t id) const;
  // Of what is mounted at `path` or nearest above it, by its text: no link in it is followed.
  std::optional<std::string> TypeOfPath(std::string_view path) const;

 private:
  std::vector<std::string> tables_;
};

// A process answers for what such a filesystem holds: it may lie, and it may never answer.
bool IsServedByProcess(std::string_view type);

}  // namespace vedette
