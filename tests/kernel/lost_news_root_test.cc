// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "agent/base/unique_fd.h"
#include "agent/probes/kernel_hooks.h"
#include "bpf/wire/cache.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

// News that find no room in a ring.
class LostNewsTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
    }
  }

  std::string Script(const std::string& path) {
    EXPECT_TRUE(WriteFile(path, "#!/bin/sh\nexit 0\n"));
    EXPECT_EQ(chmod(path.c_str(), 0755), 0);
    return path;
  }

  void SetFlags(const EventHeader& header, uint32_t flags) {
    const wire_cache_key key = {header.slot.workload_number, header.slot.generation};
    uint32_t id = 0;
    ASSERT_EQ(bpf_map_lookup_elem(probes().MapFd("vd_code_cache"), &key, &id), 0);
    const UniqueFd inner(bpf_map_get_fd_by_id(id));
    wire_verdict verdict = {};
    ASSERT_EQ(bpf_map_lookup_elem(inner.get(), header.cache_key.data(), &verdict), 0);
    verdict.flags = flags;
    ASSERT_EQ(bpf_map_update_elem(inner.get(), header.cache_key.data(), &verdict, BPF_EXIST), 0);
  }

  std::vector<Event> Sweep() {
    return cache().Sweep(/*also_reported=*/false, [](const CacheSlot&) { return false; });
  }

  TempDir dir_;
};

// Whose ring of the code lane nobody reads, and others have filled.
class FullRingTest : public LostNewsTest {
 protected:
  void Fill() {
    ScopedCgroup filler = WatchedCgroup();
    ASSERT_TRUE(cache().SetTap(WorkloadOf(filler.id()), false).ok());
    std::filesystem::create_directory(dir_ / "many");
    for (int i = 0; i < 100; ++i) {
      std::filesystem::copy_file(Actor(), dir_ / ("many/" + std::to_string(i)));
    }
    const uint64_t before = ErrorCount("ring_full");
    ASSERT_TRUE(WaitFor([&] {
      for (const auto& entry : std::filesystem::directory_iterator(dir_ / "many")) {
        std::error_code error;
        std::filesystem::last_write_time(entry, std::filesystem::file_time_type::clock::now(),
                                         error);
      }
      filler.Run({Actor(), "spawn-each:" + dir_ / "many"}).IgnoreError();
      return ErrorCount("ring_full") > before;
    }));
  }
};

TEST_F(FullRingTest, ASweptExecHasTheNameOfItsScript) {
  ScopedCgroup cgroup = WatchedCgroup();
  Fill();
  const std::string script = Script(dir_ / "script");
  ASSERT_EQ(cgroup.Run({script})->exit_code, 0);
  size_t found = 0;
  for (const Event& event : Sweep()) {
    const auto* exec = std::get_if<ExecEvent>(&event.body);
    found += exec != nullptr && exec->script == script;
    EXPECT_TRUE(exec == nullptr || exec->script.empty() || exec->script == script) << exec->script;
  }
  EXPECT_EQ(found, 1u);
  EXPECT_TRUE(Sweep().empty());
}

TEST_F(FullRingTest, ASweptSignalSaysWhatItsKeyHolds) {
  ScopedCgroup cgroup = WatchedCgroup();
  ScopedCgroup other = WatchedCgroup();
  absl::StatusOr<Child> target = other.Spawn({Actor(), "wait"});
  ASSERT_TRUE(target.ok() && target->ReadLine().ok());
  Fill();
  ASSERT_EQ(cgroup.Run({Actor(), fmt::format("kill:{}:9", target->pid())})->exit_code, 0);
  std::vector<PrivilegeEvent> swept;
  for (const Event& event : Sweep()) {
    if (const auto* act = std::get_if<PrivilegeEvent>(&event.body)) {
      swept.push_back(*act);
      EXPECT_EQ(event.header.reason, Reason::kSwept);
    }
  }
  ASSERT_EQ(swept.size(), 1u);
  EXPECT_EQ(swept[0].act, PrivilegeAct::kSignal);
  EXPECT_EQ(swept[0].signal, 9u);
  EXPECT_EQ(swept[0].target_workload_number, WorkloadOf(other.id()));
  EXPECT_EQ(swept[0].process.workload_number, WorkloadOf(cgroup.id()));
  EXPECT_NE(swept[0].process.code, CodeKey());
}

class FullRingOfCapabilitiesTest : public FullRingTest {
 protected:
  void Change(ProbeOptions& options) override { options.capabilities = true; }
  void SetUp() override {
    if (ProgramsWithoutHook().contains("capability_used")) {
      GTEST_SKIP() << "needs cap_capable";
    }
    FullRingTest::SetUp();
  }
};

TEST_F(FullRingOfCapabilitiesTest, AUseThatFoundNoRoomIsToldByTheSweep) {
  constexpr uint32_t kNetRaw = 13;
  ScopedCgroup cgroup = WatchedCgroup();
  Fill();
  ASSERT_EQ(cgroup.Run({Actor(), "raw-socket:2"})->exit_code, 0);
  size_t found = 0;
  for (const Event& event : Sweep()) {
    const auto* act = std::get_if<PrivilegeEvent>(&event.body);
    found += act != nullptr && act->act == PrivilegeAct::kCapability &&
             act->capability == kNetRaw && act->process.workload_number == WorkloadOf(cgroup.id());
  }
  EXPECT_EQ(found, 1u);
}

TEST_F(FullRingTest, TheNameOfAScriptIsKeptUntilItsEntryIsKnown) {
  ScopedCgroup cgroup = WatchedCgroup();
  Fill();
  const std::string script = Script(dir_ / "script");
  ASSERT_EQ(cgroup.Run({script})->exit_code, 0);
  const auto names = [&] {
    size_t count = 0;
    uint64_t hash = 0;
    for (const uint64_t* at = nullptr;
         bpf_map_get_next_key(probes().MapFd("vd_lost_scripts"), at, &hash) == 0; at = &hash) {
      ++count;
    }
    return count;
  };
  std::optional<EventHeader> swept;
  for (const Event& event : Sweep()) {
    const auto* exec = std::get_if<ExecEvent>(&event.body);
    if (exec != nullptr && exec->script == script) {
      swept = event.header;
    }
  }
  ASSERT_TRUE(swept);
  EXPECT_EQ(names(), 1u);
  // An agent that was killed before its commit finds it again.
  size_t again = 0;
  for (const Event& event : cache().Sweep(true, [](const CacheSlot&) { return false; })) {
    const auto* exec = std::get_if<ExecEvent>(&event.body);
    again += exec != nullptr && exec->script == script;
  }
  EXPECT_EQ(again, 1u);
  // Swept twice, it is judged once: the second is a follow-up.
  ASSERT_TRUE(cache().MarkKnown(swept->slot, swept->cache_key).ok());
  EXPECT_EQ(names(), 0u);
}

TEST_F(FullRingTest, AScriptWhoseNameIsLostTooIsNoKnownScript) {
  ScopedCgroup cgroup = WatchedCgroup();
  Fill();
  ASSERT_EQ(cgroup.Run({Script(dir_ / "script")})->exit_code, 0);
  const int names = probes().MapFd("vd_lost_scripts");
  uint64_t hash = 0;
  ASSERT_EQ(bpf_map_get_next_key(names, nullptr, &hash), 0);
  ASSERT_EQ(bpf_map_delete_elem(names, &hash), 0);
  size_t found = 0;
  for (const Event& event : Sweep()) {
    const auto* exec = std::get_if<ExecEvent>(&event.body);
    found += exec != nullptr && exec->script.starts_with("(name lost: ");
  }
  EXPECT_EQ(found, 1u);
}

TEST_F(FullRingTest, NewsThatCanBeNeitherToldNorKeptAreCountedAndSwept) {
  ScopedCgroup cgroup = WatchedCgroup();
  const uint64_t number = WorkloadOf(cgroup.id());
  Fill();
  Sweep();
  wire_workload workload = {};
  ASSERT_EQ(bpf_map_lookup_elem(probes().MapFd("vd_workloads"), &number, &workload), 0);
  // Without its map no entry can be made, as when the kernel has no memory for one.
  const wire_cache_key key = {number, workload.generation};
  ASSERT_EQ(bpf_map_delete_elem(probes().MapFd("vd_code_cache"), &key), 0);
  ASSERT_EQ(cgroup.Run({Actor(), "nothing:lost"})->exit_code, 0);
  EXPECT_GT(ErrorCount("novelty_lost"), 0u);
  uint64_t lost = 0;
  for (const Event& event : Sweep()) {
    const auto* overflow = std::get_if<OverflowEvent>(&event.body);
    if (overflow != nullptr && overflow->workload_number == number) {
      EXPECT_EQ(overflow->cache, 0u);
      lost += overflow->lost;
    }
  }
  EXPECT_GE(lost, 1u);
  // Told once.
  for (const Event& event : Sweep()) {
    EXPECT_FALSE(std::holds_alternative<OverflowEvent>(event.body));
  }
}

TEST_F(FullRingTest, NothingIsWalkedWhereNothingWasLost) {
  ScopedCgroup cgroup = WatchedCgroup();
  const auto of_cgroup = [&](const std::vector<Event>& events) {
    return std::count_if(events.begin(), events.end(), [&](const Event& event) {
      return event.header.slot.workload_number == WorkloadOf(cgroup.id());
    });
  };
  Sweep();
  Sweep();
  // As if its record had been lost, but nobody counted that.
  ASSERT_EQ(cgroup.Run({Actor(), "nothing:unreported"})->exit_code, 0);
  auto exec = AwaitExec("nothing:unreported");
  ASSERT_TRUE(exec);
  ASSERT_TRUE(cache().TellAgain(exec->header.slot, exec->header.cache_key).ok());
  SetFlags(exec->header, 0);
  EXPECT_EQ(of_cgroup(Sweep()), 0);
  Fill();
  EXPECT_EQ(of_cgroup(Sweep()), 1);
  // And once more, for an entry that was being made meanwhile.
  ASSERT_TRUE(cache().TellAgain(exec->header.slot, exec->header.cache_key).ok());
  SetFlags(exec->header, 0);
  EXPECT_EQ(of_cgroup(Sweep()), 1);
  EXPECT_EQ(of_cgroup(Sweep()), 0);
}

TEST_F(LostNewsTest, ScriptsAreToldApartByTheirWholeName) {
  ScopedCgroup cgroup = WatchedCgroup();
  std::string folder = dir_.path();
  for (int i = 0; i < 4; ++i) {
    folder += "/" + std::string(200, 'd');
  }
  std::filesystem::create_directories(folder);
  const std::string one = Script(folder + "/one");
  const std::string two = Script(folder + "/two");
  ASSERT_EQ(cgroup.Run({one})->exit_code, 0);
  ASSERT_EQ(cgroup.Run({two})->exit_code, 0);
  auto first = Await<ExecEvent>([&](const ExecEvent& e) { return e.script == one; });
  auto second = Await<ExecEvent>([&](const ExecEvent& e) { return e.script == two; });
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(first->body.script_truncated);
  EXPECT_EQ(second->header.reason, Reason::kNews);
  EXPECT_NE(first->header.slot, second->header.slot);
}

}  // namespace
}  // namespace vedette::testing
