// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/enrich/dns_message.h"
#include "agent/enrich/dns_names.h"
#include "agent/enrich/lru_map.h"
#include "agent/enrich/reasons.h"
#include "agent/enrich/resolvers.h"
#include "agent/event/dns.h"

namespace vedette {

// Answers hold at least this long: programs go on using an address after its time to live.
inline constexpr absl::Duration kMinDnsTtl = absl::Minutes(10);
inline constexpr absl::Duration kMaxDnsTtl = absl::Hours(24);
inline constexpr absl::Duration kDnsQueryLifetime = absl::Seconds(30);

// Which name each workload asked for to get an address. Owned by the pipeline thread. Believes only
// an answer to a query that it saw leave, on the same socket, to a resolver that the node trusts.
// Each workload has its own bounded share, so that one that floods forgets only its own names. Does
// not see DNS over TCP, TLS or HTTPS, nor names resolved for a workload by another process.
class DnsTracker {
 public:
  struct Limits {
    size_t workloads = 4096;
    size_t queries = 256;     // Outstanding, per workload.
    size_t addresses = 1024;  // Per workload.
  };

  explicit DnsTracker(Limits limits);
  DnsTracker() : DnsTracker(Limits()) {}

  void SetResolvers(const std::vector<IpAddress>& addresses) { trusted_.Set(addresses); }

  // `workload` is the name of the workload that owns the socket.
  // Returns the addresses that got a name which they did not have for this workload.
  std::vector<IpAddress> Observe(const std::string& workload, const DnsEvent& event,
                                 absl::Time time);

  // The name this workload asked for; empty when there is none that still holds.
  std::string NameOf(const std::string& workload, const IpAddress& address, absl::Time time) {
    return names_.Of(workload, address, time);
  }
  DnsNames& names() { return names_; }

  uint64_t accepted() const { return accepted_; }
  // Refusals: "untrusted_resolver", "malformed", "unsolicited", "mismatch".
  const Reasons& reasons() const { return reasons_; }

 private:
  struct QueryKey {
    uint64_t socket_cookie = 0;
    Endpoint resolver;
    uint16_t id = 0;
    bool operator==(const QueryKey&) const = default;
    template <typename H>
    friend H AbslHashValue(H h, const QueryKey& k) {
      return H::combine(std::move(h), k.socket_cookie, k.resolver.address, k.resolver.port, k.id);
    }
  };
  struct Query {
    DnsQuestion question;
    Endpoint local;
    absl::Time expires;
  };
  using Queries = LruMap<QueryKey, Query>;

  Queries& QueriesOf(const std::string& workload);
  std::vector<IpAddress> Answer(const std::string& workload, const DnsMessage& message,
                                absl::Time time);

  const Limits limits_;
  TrustedResolvers trusted_;
  LruMap<std::string, std::unique_ptr<Queries>> queries_;
  DnsNames names_;
  uint64_t accepted_ = 0;
  Reasons reasons_;
};

}  // namespace vedette
