// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "agent/enrich/enriched_event.h"
#include "agent/enrich/reasons.h"

namespace vedette {

// "10.1.2.0/24", "2001:db8:0:1::/64", or "loopback", "link-local", "multicast", "broadcast". The
// clouds' metadata address is a network of its own, "169.254.169.254/32": it gives out credentials.
std::string NetworkOf(const IpAddress& address);

// (network namespace, address, port) → workload that listens there. Owned by the pipeline thread.
// A peer is found only on this host's own addresses in the caller's own network namespace: in
// another one, anybody who may make a namespace may listen on any address, and so lend his name to
// a foreign peer.
class ListenerTable {
 public:
  struct Limits {
    size_t total = 8192;
    size_t per_workload = 256;  // A workload beyond it forgets its own oldest.
  };

  explicit ListenerTable(Limits limits) : limits_(limits), reasons_("listeners") {}
  ListenerTable() : ListenerTable(Limits()) {}

  void Listen(const std::string& workload, const FlowEvent& flow);
  void Close(const FlowEvent& flow);  // Forgets the listener if that is the socket.

  // The workload at the far end of an outbound flow; empty when it is not known to be on this node.
  std::string PeerOf(const FlowEvent& flow) const;

  size_t size() const { return listeners_.size(); }
  const Reasons& reasons() const { return reasons_; }

 private:
  struct Key {
    uint32_t net_namespace = 0;
    uint8_t protocol = 0;
    Endpoint local;
    bool operator==(const Key&) const = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& k) {
      return H::combine(std::move(h), k.net_namespace, k.protocol, k.local.address, k.local.port);
    }
  };
  struct Listener {
    std::string workload;
    uint64_t socket_cookie = 0;
  };

  static Key KeyOf(const FlowEvent& flow, const Endpoint& local);
  void Forget(const Key& key);

  const Limits limits_;
  absl::flat_hash_map<Key, Listener> listeners_;
  absl::flat_hash_map<std::string, std::deque<Key>> by_workload_;  // Oldest first.
  Reasons reasons_;
};

}  // namespace vedette
