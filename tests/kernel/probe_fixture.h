// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "agent/cache/verdict_cache.h"
#include "agent/collect/ring_reader.h"
#include "agent/event/event.h"
#include "agent/probes/decode.h"
#include "agent/probes/probe_set.h"
#include "tests/support/runc_container.h"
#include "tests/support/scoped_cgroup.h"
#include "tests/support/temp_dir.h"

namespace vedette::testing {

// One event with its body already taken out.
template <typename Body>
struct Seen {
  EventHeader header;
  Body body;
};

// The probes in the running kernel, with pins of their own, and the events that they send. SetUp
// loads and binds the root cgroup; a test attaches when it wants to be watched. One thread.
class KernelTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  // Called before the probes are loaded.
  virtual void Change(ProbeOptions&) {}
  virtual void ChangeCache(VerdictCacheOptions&) {}

  // Without a wait for anything else: what the kernel has told until now.
  template <typename Body>
  std::vector<Seen<Body>> All(const std::function<bool(const Body&)>& matches) {
    ReadRings();
    std::vector<Seen<Body>> all;
    for (const Event& event : events_) {
      if (const Body* body = std::get_if<Body>(&event.body); body != nullptr && matches(*body)) {
        all.push_back({event.header, *body});
      }
    }
    return all;
  }

  // As when the agent is killed and started again: pins stay, nothing is attached anew.
  void KillAndLoad();

  // Attaches, and expects every probe to be well.
  void Attach();

  // A cgroup or container made while the probes are attached, and a tap on it: all that is done in
  // it is told.
  ScopedCgroup WatchedCgroup(std::string_view suffix = "");
  std::unique_ptr<RuncContainer> WatchedContainer(const RuncOptions& options = {});
  // For a cgroup that was there before; returns its workload's number.
  uint64_t Watch(const ScopedCgroup& cgroup);
  void Tap(uint64_t workload_number);
  uint64_t WorkloadOf(uint64_t cgroup_id);

  // Waits for an event of this kind that matches, among all since the last Forget.
  template <typename Body>
  std::optional<Seen<Body>> Await(const std::function<bool(const Body&)>& matches,
                                  absl::Duration bound = kDefaultBound) {
    std::optional<Seen<Body>> found;
    WaitFor(
        [&] {
          ReadRings();
          found = Find<Body>(matches);
          return found.has_value();
        },
        bound);
    return found;
  }

  template <typename Body>
  std::optional<Seen<Body>> Find(const std::function<bool(const Body&)>& matches) const {
    for (const Event& event : events_) {
      if (const Body* body = std::get_if<Body>(&event.body); body != nullptr && matches(*body)) {
        return Seen<Body>{event.header, *body};
      }
    }
    return std::nullopt;
  }

  template <typename Body>
  size_t Count(const std::function<bool(const Body&)>& matches) const {
    size_t count = 0;
    for (const Event& event : events_) {
      const Body* body = std::get_if<Body>(&event.body);
      count += body != nullptr && matches(*body);
    }
    return count;
  }

  // Waits for the exec whose first argument after the program's name is `marker`.
  std::optional<Seen<ExecEvent>> AwaitExec(std::string_view marker);
  std::optional<Seen<ExitEvent>> AwaitExit(const ExecId& id);
  std::optional<Seen<FlowEvent>> AwaitFlow(FlowStage stage, uint64_t home_cgroup_id,
                                           const std::function<bool(const FlowEvent&)>& matches);
  std::vector<Event> RunIterator(std::string_view program, int map_fd = -1);

  void ReadRings();
  void Forget() { events_.clear(); }
  uint64_t ErrorCount(std::string_view reason) const;

  ProbeSet& probes() { return *probes_; }
  VerdictCache& cache() { return *cache_; }
  const ProbeOptions& options() const { return options_; }
  ProbeOptions& ChangeOptions() { return options_; }  // For the next KillAndLoad.
  const std::vector<Event>& events() const { return events_; }
  const std::vector<std::string>& records() const { return records_; }
  uint64_t root_id() const { return root_id_; }

  // As if the agent were killed: pins and programs stay, for a successor.
  void KillAgent();

 private:
  void Load();
  void BindRoot();
  std::string RefusedProbe() const;  // By this kernel; empty: none.

  ProbeOptions options_;
  std::unique_ptr<ProbeSet> probes_;
  std::unique_ptr<VerdictCache> cache_;
  std::unique_ptr<Decoder> decoder_;
  std::vector<std::unique_ptr<RingReader>> rings_;
  std::vector<Event> events_;
  std::vector<std::string> records_;
  uint64_t root_id_ = 0;
};

// The path of the actor.
inline std::string Actor() { return VEDETTE_ACTOR_PATH; }

// The inode number of a namespace of a process: NamespaceId(getpid(), "net").
uint32_t NamespaceId(pid_t pid, std::string_view name);

// Nanoseconds since boot, as programs count them.
uint64_t BootNow();

// "127.0.0.1" or "::1".
IpAddress Ip(std::string_view text);

// What the child printed as "NAME=NUMBER".
long NumberIn(std::string_view text, std::string_view name);

}  // namespace vedette::testing
