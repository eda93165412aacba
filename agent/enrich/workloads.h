// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/enrich/cgroup_path.h"
#include "agent/enrich/enriched_event.h"
#include "agent/enrich/lru_map.h"
#include "agent/enrich/reasons.h"
#include "agent/enrich/runtime_metadata.h"
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
// CgroupEvents and, where a path has only a container's id, from the namer: it reads no file and
// writes no map itself.
class WorkloadTable {
 public:
  struct Limits {
    size_t cgroups = 32768;      // That are there.
    size_t per_workload = 4096;  // Beyond it, the kernel's number alone attributes.
    size_t removed = 4096;       // Gone, and kept for late events.
    size_t idle_names = 16384;   // Without any cgroup, kept so that the name gets its number back.
    size_t unnamed = 1024;       // Containers that are asked for again.
    int tries = 10;              // How often.
    size_t passing_numbers = 4096;  // That a cgroup had before it got its workload's.
  };
  struct Entry {
    InstanceInfo instance;
    std::string workload;      // The name.
    bool is_instance = false;  // As CgroupName::is_instance.
    bool removed = false;
    std::string container;  // Its name by its id, where it is called by another one, or will be.
  };
  // A number that this boot has not seen; 0 when there is none. Asked for only when the kernel gave
  // none or gave one that belongs to another name.
  using NumberSource = std::function<uint64_t()>;
  // What the runtime wrote about a container; NotFound: nothing (yet). See RuntimeMetadata::Find.
  using Namer = std::function<absl::StatusOr<ContainerIdentity>(const CgroupName& cgroup,
                                                                std::string_view path)>;

  // `cluster` has passed CheckTrustDomain.
  WorkloadTable(std::string cluster, NumberSource new_number, Limits limits);
  WorkloadTable(std::string cluster, NumberSource new_number)
      : WorkloadTable(std::move(cluster), std::move(new_number), Limits()) {}
  // Without one, containers are called by their ids.
  void SetNamer(Namer namer) { namer_ = std::move(namer); }

  // What the caller must tell the kernel, if anything.
  std::optional<Binding> Apply(const CgroupEvent& event);

  // Asks once more for the names of containers that had none; to be called about once a second.
  // What the caller must tell the kernel of those that have one now.
  std::vector<Binding> NameLate();

  const Entry* FindCgroup(uint64_t cgroup_id) const;
  const WorkloadInfo* FindName(const std::string& name) const;
  const WorkloadInfo* FindNumber(uint64_t number) const;  // Also one that a cgroup had in passing.
  bool IsRunning(const std::string& name) const;          // A cgroup of the workload is there.
  std::vector<uint64_t> LiveCgroups() const;

  size_t cgroup_count() const { return live_; }
  size_t name_count() const { return names_.size(); }
  size_t unnamed_count() const { return unnamed_.size(); }
  const Reasons& reasons() const { return reasons_; }

 private:
  // A container whose path has only its id, while any cgroup of it is there.
  struct Container {
    CgroupName cgroup;  // Of the cgroup that was seen first.
    std::string path;
    std::optional<ContainerIdentity> identity;
    size_t cgroups = 0;
    int tries = 0;
  };
  struct Name {
    WorkloadInfo info;
    size_t cgroups = 0;  // Those kept for late events included.
    size_t live = 0;
  };

  std::optional<Binding> BindingFor(const CgroupEvent& event, const std::string& name,
                                    bool is_instance) const;
  const WorkloadInfo& Acquire(const std::string& name, uint64_t offered_number);
  void Release(const std::string& name);
  Entry MakeEntry(const CgroupEvent& event);
  void Identify(CgroupName parsed, const CgroupEvent& event, Entry& entry);
  bool Ask(Container& container);
  void Rename(const std::string& container, const ContainerIdentity& identity,
              std::vector<Binding>& bindings);
  void ForgetUnused(const std::string& container);
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
  Namer namer_;
  std::unordered_map<std::string, Container> containers_;  // By the name that holds the id.
  std::set<std::string> unnamed_;
  // Numbers that the kernel gave to a further cgroup of a workload, until it was told the right
  // one: what was done under it is the workload's all the same. → The name.
  LruMap<uint64_t, std::string> passing_numbers_;
  Reasons reasons_;
};

}  // namespace vedette
