// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/event/event.h"

namespace vedette {

// What is running, in names that outlive a boot. Strings are bytes, not text.
struct Code {
  std::string path;    // Empty: not known. Marked where it is cut or ends at another root.
  std::string sha256;  // Lower-case hex; empty: not hashed (too large, gone, or changed meanwhile).
  CodeOrigin origin = CodeOrigin::kUnknown;
  std::string script;       // Set when `path` is an interpreter that ran a script; unverified name.
  uint32_t filesystem = 0;  // The magic number of the file's superblock; 0: not known.
};

struct ProcessInfo {
  ExecId id;
  std::string exec_id;  // Unique across reboots, printable.
  uint32_t pid = 0;
  std::string comm;
  Code code;
  std::vector<std::string> argv;           // Empty where not recorded.
  bool argv_truncated = false;             // It had more than `argv` says.
  bool unknown = false;                    // Died before the agent first started.
  std::optional<Credentials> credentials;  // Not kept for ancestors.
};

// The workload of an event whose cgroup and number are both unknown; no real workload is called so.
inline constexpr char kUnattributed[] = "unattributed";

// All containers of one role, by its stable name; see design.md, "Words".
struct WorkloadInfo {
  std::string name;      // "host/system.slice/nginx.service", "kubernetes/ns/owner/container", …
  std::string identity;  // SPIFFE ID.
  uint64_t number = 0;   // The kernel's number; 0: none.
  // Else nothing is learned for it: those who are not told apart would allow each other's acts.
  bool attributed() const { return !name.empty() && name != kUnattributed; }
};

struct InstanceInfo {
  uint64_t cgroup_id = 0;
  std::string cgroup_path;
  std::string container_id;  // Empty outside containers.
  std::string runtime;       // "docker", "containerd", "cri-o", "podman", "systemd", "cgroup"
};

// The far end of a flow with the best name there is.
struct PeerInfo {
  Endpoint endpoint;
  std::string dns_name;  // As this workload asked for it.
  std::string workload;  // Of the peer, when it runs on this node.
  std::string network;   // "10.1.2.0/24", "2001:db8::/64", "loopback".
  // The best of the three, prefixed with its kind: "dns:…", "workload:…", "net:…".
  std::string StableName() const;
};

struct EnrichedEvent {
  Event event;
  WorkloadInfo workload;
  InstanceInfo instance;
  ProcessInfo process;                 // Who acted; for an exec the new image.
  std::vector<ProcessInfo> ancestors;  // Nearest first.
  std::optional<Code> parent_code;     // For an exec: the image that called it.
  std::optional<PeerInfo> peer;        // For flows other than listeners.
  std::optional<ProcessInfo> user;     // For flows: who uses the socket, where that is known.
  // For a signal: the workload it was sent to, "unattributed" where that is not known.
  std::string target_workload;
  bool moved_within = false;     // For a move: to a cgroup of the same workload.
  std::vector<IpAddress> named;  // For DNS answers: new names that this workload asked for.
};

}  // namespace vedette
