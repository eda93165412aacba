// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "agent/enrich/enriched_event.h"
#include "agent/enrich/lru_map.h"
#include "agent/enrich/reasons.h"
#include "agent/event/cgroup.h"

namespace vedette {

// What the kernel's cgroup map is to say of a cgroup. Applying it twice does no harm.
struct Binding {
  uint64_t cgroup_id = 0;
  uint64_t workload_number = 0;
  bool inherit_below = false;  // New cgroups below belong to the same workload.
  bool operator==(const Binding&) const = default;
};

// Cgroup id → instance and workload; name → number. Owned by the pipeline thread. Learns from
// CgroupEvents alone: it reads no file and writes no map.
class WorkloadTable {
 public:
  struct Limits {
    size_t cgroups = 32768;      // That are there.
    size_t per_workload = 4096;  // Beyond it, the kernel's number alone attributes.
    size_t removed = 4096;       // Gone, and kept for late events.
    size_t idle_names = 16384;   // Without any cgroup, kept so that the name gets its number back.
  };
  struct Entry {
    InstanceInfo instance;
    std::string workload;      // The name.
    bool is_instance = false;  // As CgroupName::is_instance.
    bool removed = false;
  };
  // A number that this boot has not seen; 0 when there is none. Asked for only when the kernel gave
  // none or gave one that belongs to another name.
  using NumberSource = std::function<uint64_t()>;

  // `cluster` has passed CheckTrustDomain.
  WorkloadTable(std::string cluster, NumberSource new_number, Limits limits);
  WorkloadTable(std::string cluster, NumberSource new_number)
      : WorkloadTable(std::move(cluster), std::move(new_number), Limits()) {}

  // What the caller must tell the kernel, if anything.
  std::optional<Binding> Apply(const CgroupEvent& event);

  const Entry* FindCgroup(uint64_t cgroup_id) const;
  const WorkloadInfo* FindName(const std::string& name) const;
  const WorkloadInfo* FindNumber(uint64_t number) const;
  bool IsRunning(const std::string& name) const;  // A cgroup of the workload is there.

  size_t cgroup_count() const { return live_; }
  size_t name_count() const { return names_.size(); }
  const Reasons& reasons() const { return reasons_; }

 private:
  struct Name {
    WorkloadInfo info;
    size_t cgroups = 0;  // Those kept for late events included.
    size_t live = 0;
  };

  std::optional<Binding> BindingFor(const CgroupEvent& event, const std::string& name,
                                    bool is_instance) const;
  const WorkloadInfo& Acquire(const std::string& name, uint64_t offered_number);
  void Release(const std::string& name);
  void Remove(uint64_t cgroup_id);
  uint64_t NumberFor(uint64_t offered);

  const std::string cluster_;
  const NumberSource new_number_;
  const Limits limits_;
  size_t live_ = 0;
  std::unordered_map<uint64_t, Entry> cgroups_;
  LruMap<uint64_t, char> removed_;  // In the order of removal; a use does not prolong the grace.
  std::unordered_map<std::string, Name> names_;
  LruMap<std::string, char> idle_;
  std::unordered_map<uint64_t, std::string> names_by_number_;
  Reasons reasons_;
};

}  // namespace vedette
