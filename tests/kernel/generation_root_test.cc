// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <netinet/in.h>

#include <string>
#include <string_view>

#include "agent/base/unique_fd.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/kinds.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

// The maps of a workload are those of one generation; see docs/adr/0011.
class GenerationTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
    }
  }

  // The same program each time, so the same behaviour; a tap tells it also when it is known.
  EventHeader Execute(const ScopedCgroup& cgroup) {
    const std::string marker = "nothing:" + std::to_string(++executions_);
    EXPECT_EQ(cgroup.Run({Actor(), marker})->exit_code, 0);
    auto exec = AwaitExec(marker);
    EXPECT_TRUE(exec) << marker;
    return exec ? exec->header : EventHeader();
  }

  // As when the last cgroup of a workload goes and another comes: the number stays, and its maps
  // are made anew.
  void MakeAnew(const ScopedCgroup& cgroup) {
    const uint64_t number = WorkloadOf(cgroup.id());
    cache().NoteCgroup(cgroup.id(), number);
    ASSERT_EQ(cache().ForgetCgroup(cgroup.id()), number);
    ASSERT_TRUE(cache().DropUnused(number));
    absl::StatusOr<uint64_t> bound = cache().BindCgroup({cgroup.id(), number, false, false, false});
    ASSERT_TRUE(bound.ok()) << bound.status();
    ASSERT_EQ(*bound, number);
  }

  // 0: there is no such entry.
  uint32_t Novelty(const EventHeader& header) {
    const wire_cache_key key = {header.slot.workload_number, header.slot.generation};
    uint32_t id = 0;
    wire_verdict verdict = {};
    if (bpf_map_lookup_elem(probes().MapFd("vd_code_cache"), &key, &id) == 0) {
      const UniqueFd inner(bpf_map_get_fd_by_id(id));
      bpf_map_lookup_elem(inner.get(), header.cache_key.data(), &verdict);
    }
    return verdict.novelty;
  }

  void Remove(std::string_view map, const CacheSlot& slot) {
    const wire_cache_key key = {slot.workload_number, slot.generation};
    ASSERT_EQ(bpf_map_delete_elem(probes().MapFd(map), &key), 0) << map;
  }

 private:
  int executions_ = 0;
};

TEST_F(GenerationTest, AFillForAnOlderGenerationIsDropped) {
  const ScopedCgroup cgroup = WatchedCgroup();
  const EventHeader older = Execute(cgroup);
  ASSERT_EQ(older.reason, Reason::kNews);
  MakeAnew(cgroup);
  const EventHeader newer = Execute(cgroup);
  // What was told is told again: it is new to this generation.
  ASSERT_EQ(newer.reason, Reason::kNews);
  ASSERT_EQ(newer.slot.workload_number, older.slot.workload_number);
  ASSERT_EQ(newer.cache_key, older.cache_key);
  ASSERT_GT(newer.slot.generation, older.slot.generation);
  ASSERT_EQ(Novelty(newer), static_cast<uint32_t>(WIRE_NOVELTY_REPORTED));

  EXPECT_TRUE(cache().MarkKnown(older.slot, older.cache_key).ok());
  EXPECT_EQ(Novelty(newer), static_cast<uint32_t>(WIRE_NOVELTY_REPORTED));
  EXPECT_TRUE(cache().TellAgain(older.slot, older.cache_key).ok());
  EXPECT_EQ(Novelty(newer), static_cast<uint32_t>(WIRE_NOVELTY_REPORTED));
  EXPECT_TRUE(cache().Forget({older.slot}).ok());
  EXPECT_EQ(Novelty(newer), static_cast<uint32_t>(WIRE_NOVELTY_REPORTED));

  EXPECT_TRUE(cache().MarkKnown(newer.slot, newer.cache_key).ok());
  EXPECT_EQ(Novelty(newer), static_cast<uint32_t>(WIRE_NOVELTY_KNOWN));
  const EventHeader known = Execute(cgroup);
  EXPECT_EQ(known.reason, Reason::kTap);
  EXPECT_EQ(known.slot, newer.slot);
}

TEST_F(GenerationTest, AClassOfAnOlderGenerationIsNeitherMadeNorTakenFromTheNewer) {
  wire_flow_key peer = {};
  peer.address[10] = peer.address[11] = 0xff;
  peer.address[12] = 192;
  peer.verb = WIRE_VERB_CONNECT;
  peer.prefix = 128;
  const std::string_view key(reinterpret_cast<const char*>(&peer), sizeof(peer));
  const ScopedCgroup cgroup = WatchedCgroup();
  const auto in_force = [&] {
    const uint64_t number = WorkloadOf(cgroup.id());
    wire_workload workload = {};
    EXPECT_EQ(bpf_map_lookup_elem(probes().MapFd("vd_workloads"), &number, &workload), 0);
    return CacheSlot{number, workload.generation, WIRE_CACHE_FLOW, 1};
  };
  const absl::StatusOr<CacheSlot> older = cache().ClassSlot(in_force(), key);
  ASSERT_TRUE(older.ok()) << older.status();
  MakeAnew(cgroup);
  const absl::StatusOr<CacheSlot> newer = cache().ClassSlot(in_force(), key);
  ASSERT_TRUE(newer.ok()) << newer.status();
  EXPECT_TRUE(cache().MarkClassKnown(*older, key).ok());
  // Still planned, as it stands in the store, and not made.
  const absl::StatusOr<CacheSlot> still = cache().ClassSlot(in_force(), key);
  ASSERT_TRUE(still.ok()) << still.status();
  EXPECT_EQ(*still, *newer);
}

TEST_F(GenerationTest, AnActWithoutTheCacheOfItsGenerationIsToldEachTimeAndCounted) {
  const ScopedCgroup cgroup = WatchedCgroup();
  const EventHeader known = Execute(cgroup);
  ASSERT_TRUE(cache().MarkKnown(known.slot, known.cache_key).ok());
  ASSERT_EQ(Execute(cgroup).reason, Reason::kTap);
  Remove("vd_code_cache", known.slot);
  const uint64_t before = ErrorCount("no_cache");
  for (int i = 0; i < 2; ++i) {
    const EventHeader told = Execute(cgroup);
    EXPECT_EQ(told.reason, Reason::kNews);
    EXPECT_EQ(told.slot.workload_number, known.slot.workload_number);
    EXPECT_EQ(told.slot.generation, known.slot.generation);
    EXPECT_EQ(told.slot.slot, 0u);
    // There is no entry that could be known.
    EXPECT_TRUE(cache().MarkKnown(told.slot, told.cache_key).ok());
  }
  EXPECT_GE(ErrorCount("no_cache") - before, 2u);
}

TEST_F(GenerationTest, AFlowWithoutTheCacheOfItsGenerationIsToldEachTimeAndCounted) {
  const ScopedCgroup cgroup = WatchedCgroup();
  const EventHeader exec = Execute(cgroup);
  Remove("vd_flow_cache", exec.slot);
  const uint64_t before = ErrorCount("no_cache");
  ASSERT_EQ(cgroup.Run({Actor(), "udp-connect:9", "udp-connect:9"})->exit_code, 0);
  const auto told = [&] {
    return All<FlowEvent>([&](const FlowEvent& f) {
      return f.stage == FlowStage::kOpen && f.process.home_cgroup_id == cgroup.id();
    });
  };
  ASSERT_TRUE(WaitFor([&] { return told().size() == 2; }));
  for (const Seen<FlowEvent>& flow : told()) {
    EXPECT_EQ(flow.header.reason, Reason::kNews);
    EXPECT_EQ(flow.header.slot.slot, 0u);
  }
  EXPECT_GE(ErrorCount("no_cache") - before, 2u);
}

TEST_F(GenerationTest, AKnownActWithoutTheCountsOfItsGenerationStaysKnownAndIsCounted) {
  const ScopedCgroup cgroup = WatchedCgroup();
  const EventHeader known = Execute(cgroup);
  ASSERT_TRUE(cache().MarkKnown(known.slot, known.cache_key).ok());
  Remove("vd_counts", known.slot);
  const uint64_t before = ErrorCount("no_cache");
  const EventHeader again = Execute(cgroup);
  EXPECT_EQ(again.reason, Reason::kTap);
  EXPECT_EQ(again.slot, known.slot);
  EXPECT_GE(ErrorCount("no_cache") - before, 1u);
}

TEST_F(GenerationTest, AnActOfAWorkloadWithoutAGenerationIsToldAndCounted) {
  const ScopedCgroup cgroup = WatchedCgroup();
  const EventHeader known = Execute(cgroup);
  ASSERT_TRUE(cache().MarkKnown(known.slot, known.cache_key).ok());
  ASSERT_EQ(bpf_map_delete_elem(probes().MapFd("vd_workloads"), &known.slot.workload_number), 0);
  const uint64_t before = ErrorCount("no_workload");
  const EventHeader told = Execute(cgroup);
  EXPECT_EQ(told.reason, Reason::kNews);
  EXPECT_EQ(told.slot.workload_number, known.slot.workload_number);
  EXPECT_EQ(told.slot.generation, 0u);
  EXPECT_EQ(told.slot.slot, 0u);
  EXPECT_GE(ErrorCount("no_workload") - before, 1u);
}

}  // namespace
}  // namespace vedette::testing
