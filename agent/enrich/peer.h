// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "agent/enrich/enriched_event.h"
#include "agent/enrich/reasons.h"

namespace vedette {

// "10.1.2.0/24", "2001:db8:0:1::/64", or "loopback", "link-local", "multicast", "broadcast". The
// clouds' metadata address is a network of its own, "169.254.169.254/32": it gives out credentials.
std::string NetworkOf(const IpAddress& address);

// A listener that is gone keeps its name for so long, if nobody else listens there.
inline constexpr absl::Duration kListenerGrace = absl::Seconds(10);

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

  // A socket that listens now, and its owner; empty: nobody who is known.
  struct Open {
    std::string workload;
    const FlowEvent* flow = nullptr;
  };

  explicit ListenerTable(Limits limits) : limits_(limits), reasons_("listeners") {}
  ListenerTable() : ListenerTable(Limits()) {}

  // `at`: when it began. A listener that the kernel did not have any more at a later scan does not
  // come back.
  void Listen(const std::string& workload, const FlowEvent& flow, absl::Time at);
  // All that the kernel has at `now`, known listeners too, which send no record. A port where
  // nobody listens any more keeps its name for kListenerGrace: a connection just before may come to
  // be judged only now. A port that workloads share has no name.
  void Scan(const std::vector<Open>& open, absl::Time now);
  void Close(const FlowEvent& flow);  // Forgets the listener if that is the socket.

  // Could the far end of the flow be on this node?
  static bool MayName(const FlowEvent& flow);
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
    absl::Time gone = absl::InfiniteFuture();  // Since when nobody listens there.
  };

  static Key KeyOf(const FlowEvent& flow, const Endpoint& local);
  void Put(const Key& key, Listener listener);
  void Forget(const Key& key);

  const Limits limits_;
  absl::flat_hash_map<Key, Listener> listeners_;
  absl::flat_hash_map<std::string, std::deque<Key>> by_workload_;  // Oldest first.
  absl::Time last_scan_ = absl::InfinitePast();
  Reasons reasons_;
};

}  // namespace vedette
