// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/workloads.h"

#include <utility>

#include "agent/base/status.h"
#include "agent/enrich/identity.h"
#include "fmt/format.h"

namespace vedette {

WorkloadTable::WorkloadTable(std::string cluster, NumberSource new_number, Limits limits)
    : cluster_(std::move(cluster)),
      new_number_(std::move(new_number)),
      limits_(limits),
      removed_(limits.removed),
      idle_(limits.idle_names),
      passing_numbers_(limits.passing_numbers),
      reasons_("workloads") {}

std::optional<Binding> WorkloadTable::Apply(const CgroupEvent& event) {
  const bool gone = event.change == CgroupEvent::Change::kRemoved;
  auto known = cgroups_.find(event.cgroup_id);
  if (known == cgroups_.end()) {
    if (live_ >= limits_.cgroups) {
      reasons_.Count("cgroup_table_full", "too many cgroups at once, a new one is not attributed");
      return std::nullopt;
    }
    Entry entry = MakeEntry(event);
    auto name = names_.find(entry.workload);
    if (name != names_.end() && name->second.cgroups >= limits_.per_workload) {
      reasons_.Count("workload_full", "a workload has too many cgroups, a new one has no path");
      ForgetUnused(entry.container);
      return gone ? std::nullopt : BindingFor(event, entry.workload, entry.is_instance);
    }
    Acquire(entry.workload, event.workload_number);
    if (!entry.container.empty()) {
      ++containers_.at(entry.container).cgroups;
    }
    known = cgroups_.emplace(event.cgroup_id, std::move(entry)).first;
    ++live_;
  }
  if (gone) {
    Remove(event.cgroup_id);
    return std::nullopt;
  }
  return BindingFor(event, known->second.workload, known->second.is_instance);
}

WorkloadTable::Entry WorkloadTable::MakeEntry(const CgroupEvent& event) {
  CgroupName parsed = ParseCgroupPath(event.path);
  Entry entry;
  entry.workload = BoundedName(parsed.workload);
  entry.is_instance = parsed.is_instance;
  entry.instance = {.cgroup_id = event.cgroup_id,
                    .cgroup_path = event.path,
                    .container_id = parsed.container_id,
                    .runtime = parsed.runtime};
  if (namer_ && IsNamedById(parsed)) {
    Identify(std::move(parsed), event, entry);
  }
  return entry;
}

void WorkloadTable::Identify(CgroupName parsed, const CgroupEvent& event, Entry& entry) {
  entry.container = entry.workload;
  auto [found, is_new] = containers_.try_emplace(entry.container);
  Container& container = found->second;
  if (is_new) {
    container.cgroup = std::move(parsed);
    container.path = event.path;
    if (!Ask(container)) {
      if (unnamed_.size() < limits_.unnamed) {
        unnamed_.insert(entry.container);
      } else {
        reasons_.Count("unnamed_full",
                       "too many containers have no name at once, a new one keeps its id");
      }
    }
  }
  if (container.identity) {
    entry.workload = container.identity->workload;
    entry.instance.runtime = container.identity->runtime;
  }
}

bool WorkloadTable::Ask(Container& container) {
  absl::StatusOr<ContainerIdentity> identity = namer_(container.cgroup, container.path);
  if (identity.ok()) {
    identity->workload = BoundedName(std::move(identity->workload));
    container.identity = *std::move(identity);
    return true;
  }
  if (!absl::IsNotFound(identity.status()) && container.tries == 0) {
    reasons_.Count("metadata_unreadable",
                   fmt::format("what a runtime wrote about a container cannot be used: {}",
                               Message(identity.status())));
  }
  ++container.tries;
  return false;
}

std::vector<Binding> WorkloadTable::NameLate() {
  std::vector<Binding> bindings;
  for (auto at = unnamed_.begin(); at != unnamed_.end();) {
    Container& container = containers_.at(*at);
    if (Ask(container)) {
      reasons_.Count("named_late",
                     "a container's name was not there when it started: what it did until then "
                     "was learned under its id");
      Rename(*at, *container.identity, bindings);
    } else if (container.tries > limits_.tries) {
      reasons_.Count("no_metadata",
                     fmt::format("no runtime says how container {} is called: it keeps its id, so "
                                 "the next one of its kind will be another workload",
                                 container.cgroup.container_id));
    } else {
      ++at;
      continue;
    }
    at = unnamed_.erase(at);
  }
  return bindings;
}

void WorkloadTable::Rename(const std::string& container, const ContainerIdentity& identity,
                           std::vector<Binding>& bindings) {
  for (auto& [id, entry] : cgroups_) {
    if (entry.container != container || entry.workload == identity.workload) {
      continue;
    }
    const std::string old = std::exchange(entry.workload, identity.workload);
    entry.instance.runtime = identity.runtime;
    const uint64_t number = Acquire(identity.workload, 0).number;
    names_.at(entry.removed ? identity.workload : old).live--;
    Release(old);
    if (!entry.removed && number != 0) {
      bindings.push_back({id, number, entry.is_instance});
    }
  }
}

// A container that ended before its name was there keeps its id.
void WorkloadTable::ForgetUnused(const std::string& container) {
  auto found = containers_.find(container);
  if (found == containers_.end() || found->second.cgroups > 0) {
    return;
  }
  if (unnamed_.erase(container) > 0) {
    reasons_.Count("no_metadata", "a container ended before a runtime said how it is called");
  }
  containers_.erase(found);
}

std::optional<Binding> WorkloadTable::BindingFor(const CgroupEvent& event, const std::string& name,
                                                 bool is_instance) const {
  const uint64_t number = names_.at(name).info.number;
  if (number == 0 || (number == event.workload_number && !is_instance)) {
    return std::nullopt;
  }
  return Binding{event.cgroup_id, number, is_instance};
}

const WorkloadInfo& WorkloadTable::Acquire(const std::string& name, uint64_t offered_number) {
  auto [found, is_new] = names_.try_emplace(name);
  Name& entry = found->second;
  if (is_new) {
    entry.info.name = name;
    entry.info.identity = SpiffeId(cluster_, name);
  }
  if (entry.info.number == 0) {
    entry.info.number = NumberFor(offered_number);
    if (entry.info.number != 0) {
      names_by_number_[entry.info.number] = name;
    }
  }
  if (offered_number != 0 && !names_by_number_.contains(offered_number)) {
    passing_numbers_.Put(offered_number, name);
  }
  ++entry.live;
  if (entry.cgroups++ == 0) {
    idle_.Erase(name);
  }
  return entry.info;
}

uint64_t WorkloadTable::NumberFor(uint64_t offered) {
  if (offered != 0 && !names_by_number_.contains(offered)) {
    return offered;
  }
  const uint64_t number = new_number_ ? new_number_() : 0;
  if (number == 0 || names_by_number_.contains(number)) {
    reasons_.Count("no_number",
                   "a workload got no number of its own, so the kernel's cache does not serve it");
    return 0;
  }
  return number;
}

void WorkloadTable::Remove(uint64_t cgroup_id) {
  Entry& entry = cgroups_.at(cgroup_id);
  if (entry.removed) {
    return;
  }
  entry.removed = true;
  --names_.at(entry.workload).live;
  --live_;
  if (auto container = containers_.find(entry.container); container != containers_.end()) {
    --container->second.cgroups;
    ForgetUnused(entry.container);
  }
  removed_.Put(cgroup_id, 0, [this](const uint64_t& oldest, char&) {
    auto found = cgroups_.find(oldest);
    Release(found->second.workload);
    cgroups_.erase(found);
  });
}

void WorkloadTable::Release(const std::string& name) {
  Name& entry = names_.at(name);
  if (--entry.cgroups > 0) {
    return;
  }
  idle_.Put(name, 0, [this](const std::string& oldest, char&) {
    auto found = names_.find(oldest);
    names_by_number_.erase(found->second.info.number);
    names_.erase(found);
  });
}

const WorkloadTable::Entry* WorkloadTable::FindCgroup(uint64_t cgroup_id) const {
  auto found = cgroups_.find(cgroup_id);
  return found == cgroups_.end() ? nullptr : &found->second;
}

const WorkloadInfo* WorkloadTable::FindName(const std::string& name) const {
  auto found = names_.find(name);
  return found == names_.end() ? nullptr : &found->second.info;
}

std::vector<uint64_t> WorkloadTable::LiveCgroups() const {
  std::vector<uint64_t> ids;
  ids.reserve(live_);
  for (const auto& [id, entry] : cgroups_) {
    if (!entry.removed) {
      ids.push_back(id);
    }
  }
  return ids;
}

bool WorkloadTable::IsRunning(const std::string& name) const {
  auto found = names_.find(name);
  return found != names_.end() && found->second.live > 0;
}

const WorkloadInfo* WorkloadTable::FindNumber(uint64_t number) const {
  if (auto found = names_by_number_.find(number); found != names_by_number_.end()) {
    return FindName(found->second);
  }
  const std::string* passing = passing_numbers_.Peek(number);
  return passing == nullptr ? nullptr : FindName(*passing);
}

}  // namespace vedette
