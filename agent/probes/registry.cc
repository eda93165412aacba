// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/registry.h"

namespace vedette {
namespace {

constexpr ProbeInfo kProbes[] = {
    {"cgroup", "cgroups made and removed, processes moved between them",
     "new services are known only after a restart of the agent"},
    {"process", "new processes, programs executed, exits, changes of credentials",
     "no execution is seen"},
    {"connect", "connections that are begun, TCP and UDP", "no outbound connection is seen"},
    {"tcp", "TCP: established, failed, accepted, closed, listening",
     "no inbound connection and no listening port is seen, flows have no totals"},
    {"udp", "UDP datagrams, bound UDP ports, DNS answers",
     "no UDP flow is seen, peers have no DNS names"},
    {kPrivilegeProbe, "modules loaded, io_urings created, signals to other workloads",
     "no module load, io_uring or signal is seen"},
    {kCapabilityProbe, "capabilities used, once per workload", "no use of a capability is seen"},
    {kFilesProbe, "files made, opened for writing, and listed ones opened for reading",
     "no act on files is seen"},
};

}  // namespace

absl::Span<const ProbeInfo> AllProbes() { return kProbes; }

}  // namespace vedette
