// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "agent/enrich/lru_map.h"
#include "agent/event/flow.h"

namespace vedette {

// That a workload asked for `name` and was given `address`; holds until `expires`.
struct DnsName {
  std::string workload;
  IpAddress address;
  std::string name;
  absl::Time expires;
};

// The names by which each workload asked for addresses. Owned by the pipeline thread. Each workload
// has its own bounded share. Remembers what the store does not hold yet; DnsNameStore writes it.
class DnsNames {
 public:
  struct Limits {
    size_t workloads = 4096;
    size_t addresses = 1024;  // Per workload.
  };
  // A change for the store: the name as it is now, or that it is gone.
  using Visit = std::function<void(const DnsName& name, bool is_gone)>;

  explicit DnsNames(Limits limits) : limits_(limits), shares_(limits.workloads) {}

  // True: the address had no name for this workload, or another one.
  bool Put(const DnsName& name, absl::Time now);
  // Empty when there is none that still holds.
  std::string Of(const std::string& workload, const IpAddress& address, absl::Time now);
  // Has any address that `matches` a name for this workload?
  bool HasAny(const std::string& workload, const std::function<bool(const IpAddress&)>& matches,
              absl::Time now) const;
  // Lets go of what no longer holds.
  void Expire(absl::Time now);
  // The clock was set: all hold as long as they would have.
  void Move(absl::Duration by);

  // From the store, where it expires at `stored_expires`.
  void Restore(const DnsName& name, absl::Time stored_expires);
  void VisitChanges(const Visit& visit) const;
  void Saved();  // All changes are in the store.
  bool has_changes() const { return !changed_.empty() || !gone_.empty(); }

 private:
  using Key = std::pair<std::string, IpAddress>;
  struct Named {
    std::string name;
    absl::Time expires;
    absl::Time stored_expires = absl::InfinitePast();  // That: it is not in the store.
  };
  using Share = LruMap<IpAddress, Named>;

  Share& ShareOf(const std::string& workload);
  void Drop(const std::string& workload, const IpAddress& address, const Named& named);

  const Limits limits_;
  LruMap<std::string, std::unique_ptr<Share>> shares_;
  absl::flat_hash_set<Key> changed_;
  absl::flat_hash_set<Key> gone_;  // In the store and no longer here.
};

}  // namespace vedette
