// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "absl/types/span.h"

namespace vedette {

// One BPF object that observes.
struct ProbeInfo {
  std::string_view name;      // Of the object: bpf/probes/<name>.bpf.c.
  std::string_view observes;  // For people.
  std::string_view without;   // What is not seen when it does not load.
};

// Those that the configuration can leave out.
inline constexpr std::string_view kPrivilegeProbe = "privilege";
inline constexpr std::string_view kCapabilityProbe = "capability";
// Also an object of its own, for it is large.
inline constexpr std::string_view kFilesProbe = "files";

// The same probe by BPF LSM, in the place of that one where the kernel lets it.
inline constexpr std::string_view kFilesLsmObject = "files_lsm";
// What the names of its programs begin with where there is no BPF LSM.
inline constexpr std::string_view kFilesSyscallPrograms = "files_sys";
// No probe: finds out whether it does.
inline constexpr std::string_view kLsmObject = "lsm";

// All probes, in the order in which they are attached: cgroups first, so that no process is seen in
// a cgroup that is not known. Any thread.
absl::Span<const ProbeInfo> AllProbes();

// The object whose programs are iterators; loaded at every start, attached to nothing.
inline constexpr std::string_view kScanObject = "scan";
inline constexpr ProbeInfo kScan = {
    kScanObject, "processes and sockets that were there before, listeners, flows that last",
    "what ran before the agent is not known, listeners have no names, programs no hashes, and long "
    "flows are counted when they end"};

}  // namespace vedette
