// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/unique_fd.h"

struct bpf_link;

namespace vedette {

// How often the kernel did not run a program, since the CPU was running it already and was
// interrupted: acts that no program saw. Those that another program saw are not counted.
struct SkippedRuns {
  std::string probe;
  std::string program;
  uint64_t count = 0;
  bool detached = false;  // It runs no more: somebody else took it from its hook.
};

// What they are called among the kernel's errors.
inline constexpr char kSkippedRuns[] = "skipped_runs";

// Does the kernel, which has filled this many bytes of a program's description, tell the count?
bool TellsSkippedRuns(uint32_t info_bytes);

// Of two programs on one hook of which one does what the other is skipped for, sets the counts to 0
// while both are attached.
void LeaveOutPairs(std::vector<SkippedRuns>& runs);

// Of one probe, or with an empty name of all.
uint64_t SumOfSkippedRuns(const std::vector<SkippedRuns>& runs, std::string_view probe);

// Does it still run where it was attached? Anybody with root can take a program of a cgroup hook
// away while its owner holds the link. True where the kernel does not tell.
bool IsAttached(int link_fd);

// A pinned link, for the caller to destroy. nullptr, and no pin: there is none that is attached.
bpf_link* OpenAttachedLink(const std::string& pin);

// One sentence for each program of which runs were skipped, and for each that was detached.
std::vector<std::string> GapsOfSkippedRuns(const std::vector<SkippedRuns>& runs);

// The programs that run: behind an adopted link it is the one that the killed agent loaded. Belongs
// to the set of probes and has its thread.
class AttachedPrograms {
 public:
  void Note(const std::string& probe, const std::string& program, const bpf_link* link);
  void Clear() { programs_.clear(); }
  std::vector<SkippedRuns> Read() const;

 private:
  struct Program {
    std::string probe, name;
    UniqueFd fd, link;
  };
  std::vector<Program> programs_;
};

}  // namespace vedette
