// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace vedette {

// The kernel's name of a piece of code: the real inode below overlayfs. Made by BPF code alone;
// user space compares it and never computes it. Valid within one boot.
struct CodeKey {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t change_time_ns = 0;
  uint64_t size_bytes = 0;
  uint32_t generation = 0;
  uint32_t flags = 0;

  auto operator<=>(const CodeKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const CodeKey& k) {
    return H::combine(std::move(h), k.device, k.inode, k.change_time_ns, k.size_bytes, k.generation,
                      k.flags);
  }
};

// One execution of one program: unique within a boot. `start_ns` is nanoseconds since boot.
struct ExecId {
  uint64_t start_ns = 0;
  uint32_t tgid = 0;

  bool unknown() const { return start_ns == 0; }
  auto operator<=>(const ExecId&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const ExecId& id) {
    return H::combine(std::move(h), id.start_ns, id.tgid);
  }
};

// Where code came from. kHost: a file of the host's own root. kImage and kWritableLayer: the lower
// and upper layer of a container's overlay.
enum class CodeOrigin { kUnknown, kHost, kImage, kWritableLayer, kMemfd, kDeleted, kUntrustedFs };

struct Ancestor {
  ExecId id;
  CodeKey code;
  std::string comm;  // Bytes as the kernel holds them, at most 15.
};

struct Credentials {
  uint32_t uid = 0, gid = 0, euid = 0, egid = 0;
  uint64_t cap_permitted = 0;
  uint64_t cap_effective = 0;
  bool operator==(const Credentials&) const = default;
};

// Inode numbers of the namespaces.
struct Namespaces {
  uint32_t pid = 0, mnt = 0, net = 0, user = 0;
};

// Who acted, as the kernel knew it at the act.
struct ProcessContext {
  ExecId id;
  ExecId parent;  // Unknown where the parent died before the agent first started.
  uint32_t tgid = 0;
  uint32_t tgid_in_namespace = 0;
  uint32_t parent_tgid = 0;
  std::string comm;
  Credentials credentials;
  Namespaces namespaces;
  uint32_t tty = 0;                 // Device number, 0 for none.
  uint64_t cgroup_id = 0;           // Of the cgroup at the act (v2).
  uint64_t home_cgroup_id = 0;      // Of the cgroup whose workload governs the task.
  uint64_t workload_number = 0;     // The kernel's number of that workload; 0: not known.
  CodeKey code;                     // Unknown (all zero) for kernel threads.
  std::vector<Ancestor> ancestors;  // Nearest first, at most 8.
};

}  // namespace vedette
