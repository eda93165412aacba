// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/wire_reader.h"

#include <algorithm>

#include "bpf/wire/exec.h"

namespace vedette {

CodeKey CodeFromWire(const wire_code& code) {
  return {code.device,     code.inode,      code.change_time_ns,
          code.size_bytes, code.generation, code.flags};
}

ExecId ExecIdFromWire(const wire_exec_id& id) { return {id.start_ns, id.tgid}; }

Credentials CredentialsFromWire(const wire_credentials& c) {
  return {c.uid, c.gid, c.euid, c.egid, c.cap_permitted, c.cap_effective};
}

std::string CommFromWire(const __u8 (&comm)[WIRE_COMM_BYTES]) {
  const char* begin = reinterpret_cast<const char*>(comm);
  return std::string(begin, strnlen(begin, WIRE_COMM_BYTES));
}

ProcessContext ProcessFromWire(const wire_process& p) {
  ProcessContext process;
  process.id = ExecIdFromWire(p.id);
  process.parent = ExecIdFromWire(p.parent);
  process.tgid = p.tgid;
  process.tgid_in_namespace = p.tgid_in_namespace;
  process.parent_tgid = p.parent_tgid;
  process.comm = CommFromWire(p.comm);
  process.credentials = CredentialsFromWire(p.credentials);
  process.namespaces = {p.ns_pid, p.ns_mnt, p.ns_net, p.ns_user};
  process.tty = p.tty;
  process.cgroup_id = p.cgroup_id;
  process.home_cgroup_id = p.home_cgroup_id;
  process.workload_number = p.workload;
  process.code = CodeFromWire(p.code);
  const uint32_t count = std::min<uint32_t>(p.ancestor_count, WIRE_ANCESTORS);
  for (uint32_t i = 0; i < count; ++i) {
    const wire_ancestor& a = p.ancestors[(p.ancestor_head + i) % WIRE_ANCESTORS];
    process.ancestors.push_back({ExecIdFromWire(a.id), CodeFromWire(a.code), CommFromWire(a.comm)});
  }
  return process;
}

Endpoint EndpointFromWire(const wire_endpoint& e) {
  Endpoint endpoint;
  std::copy(std::begin(e.address), std::end(e.address), endpoint.address.bytes.begin());
  endpoint.port = e.port;
  return endpoint;
}

CodeOrigin OriginFromWire(uint8_t origin) {
  switch (origin) {
    case WIRE_ORIGIN_HOST:
      return CodeOrigin::kHost;
    case WIRE_ORIGIN_IMAGE:
      return CodeOrigin::kImage;
    case WIRE_ORIGIN_WRITABLE_LAYER:
      return CodeOrigin::kWritableLayer;
    case WIRE_ORIGIN_MEMFD:
      return CodeOrigin::kMemfd;
    case WIRE_ORIGIN_DELETED:
      return CodeOrigin::kDeleted;
    case WIRE_ORIGIN_UNTRUSTED_FS:
      return CodeOrigin::kUntrustedFs;
    default:
      return CodeOrigin::kUnknown;
  }
}

std::vector<std::string> SplitArguments(std::string_view bytes) {
  std::vector<std::string> arguments;
  while (!bytes.empty()) {
    const size_t end = std::min(bytes.find('\0'), bytes.size());
    arguments.emplace_back(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  return arguments;
}

}  // namespace vedette
