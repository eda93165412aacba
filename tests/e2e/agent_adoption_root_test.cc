// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/adoption.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>

#include "agent/base/unique_fd.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/kinds.h"
#include "tests/e2e/acts.h"
#include "tests/kernel/probe_fixture.h"
#include "tests/support/agent/agent_process.h"

namespace vedette::testing {
namespace {

class AdoptionTest : public KernelTest {
 protected:
  // What nobody has judged, of one workload.
  std::vector<Event> Swept(uint64_t workload_number) {
    std::vector<Event> swept =
        cache().Sweep(/*also_reported=*/true, [](const CacheSlot&) { return false; });
    std::erase_if(swept, [=](const Event& event) {
      return event.header.slot.workload_number != workload_number;
    });
    return swept;
  }
};

TEST_F(AdoptionTest, WhatHasItsRecordInTheRingsIsNotJudgedByTheCacheAsWell) {
  Attach();
  const ScopedCgroup cgroup = WatchedCgroup();
  const auto run = cgroup.Run({Actor(), "spawn:1"}, kDefaultBound);
  ASSERT_TRUE(run.ok()) << run.status();
  const uint64_t workload = WorkloadOf(cgroup.id());
  const Decoder decoder(BootTime());
  absl::StatusOr<Rings> rings = OpenRings(probes());
  ASSERT_TRUE(rings.ok()) << rings.status();

  std::vector<Event> swept = Swept(workload);
  ASSERT_FALSE(swept.empty());
  DropWhatIsOnItsWay(decoder, *rings, swept);
  EXPECT_TRUE(swept.empty()) << swept.size();

  // The same when the records are gone: now only the cache tells.
  swept = Swept(workload);
  DropWhatIsOnItsWay(decoder, *rings, swept);
  EXPECT_FALSE(swept.empty());
}

// Records that are about no behaviour have no slot, and neither has the news of a loss.
TEST_F(AdoptionTest, ALossIsNotTakenForARecordThatHasNoSlotEither) {
  Attach();
  {
    const ScopedCgroup cgroup = WatchedCgroup();
    const uint64_t id = cgroup.id();
    ASSERT_EQ(bpf_map_delete_elem(probes().MapFd("vd_instances"), &id), 0);
  }  // Its removal is told, with no workload.
  const Decoder decoder(BootTime());
  absl::StatusOr<Rings> rings = OpenRings(probes());
  ASSERT_TRUE(rings.ok()) << rings.status();
  std::vector<Event> swept = {{EventHeader(), OverflowEvent{.workload_number = 1, .lost = 3}}};
  DropWhatIsOnItsWay(decoder, *rings, swept);
  EXPECT_EQ(swept.size(), 1u);
}

TEST_F(AdoptionTest, RecordsThatCannotBeDecodedAreCounted) {
  Attach();
  const ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_TRUE(cgroup.Run({Actor(), "spawn:3"}).ok());
  probes().Detach();
  absl::StatusOr<Rings> rings = OpenRings(probes());
  ASSERT_TRUE(rings.ok()) << rings.status();
  const Decoder decoder(BootTime());
  uint64_t records = 0;
  const RingLeftovers left =
      ReadLeftovers(*rings, {}, [&](std::string_view record, std::vector<Event>& events) {
        return ++records % 2 == 0 ? absl::InvalidArgumentError("from a kernel of the future")
                                  : decoder.Decode(record, events);
      });
  ASSERT_GT(records, 3u);
  EXPECT_EQ(left.counts.received, records);
  EXPECT_EQ(left.counts.undecodable, records / 2);
  EXPECT_EQ(left.events.size(), records - records / 2);
  EXPECT_EQ(left.positions.size(), rings->size());
}

class AgentLostNoveltyTest : public ::testing::Test {
 protected:
  UniqueFd Map(const std::string& name) const {
    for (const std::string& pin : agent_.Pins()) {
      if (pin.ends_with("/maps/" + name)) {
        return UniqueFd(bpf_obj_get(pin.c_str()));
      }
    }
    return UniqueFd();
  }
  // As the kernel's programs count it: news that found neither room nor memory.
  void Lose(uint64_t cgroup_id, uint32_t count) {
    wire_instance instance = {};
    ASSERT_EQ(bpf_map_lookup_elem(Map("vd_instances").get(), &cgroup_id, &instance), 0);
    const uint64_t number = instance.workload;
    wire_workload workload = {};
    const UniqueFd workloads = Map("vd_workloads");
    ASSERT_EQ(bpf_map_lookup_elem(workloads.get(), &number, &workload), 0);
    workload.lost[WIRE_CACHE_CODE] += count;
    ASSERT_EQ(bpf_map_update_elem(workloads.get(), &number, &workload, BPF_EXIST), 0);
    const UniqueFd errors = Map("vd_errors");
    const uint32_t reason = WIRE_ERROR_NOVELTY_LOST;
    std::vector<uint64_t> counts(static_cast<size_t>(libbpf_num_possible_cpus()));
    ASSERT_EQ(bpf_map_lookup_elem(errors.get(), &reason, counts.data()), 0);
    counts[0] += count;
    ASSERT_EQ(bpf_map_update_elem(errors.get(), &reason, counts.data(), BPF_EXIST), 0);
  }
  uint64_t Told(const std::string& workload) const {
    uint64_t told = 0;
    for (const nlohmann::json& finding : agent_.Findings(workload)) {
      told += finding["kind"] == "lost-novelty" ? finding["count"].get<uint64_t>() : 0;
    }
    return told;
  }
  AgentProcess agent_;
};

TEST_F(AgentLostNoveltyTest, WhatAnAgentThatWasKilledHasToldOfLossesIsNotToldAgain) {
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  const auto cgroup = ScopedCgroup::Create();
  ASSERT_TRUE(cgroup.ok()) << cgroup.status();
  ASSERT_TRUE(cgroup->Run({Actor(), "nothing:known"}).ok());
  const std::string workload = WorkloadOf(*cgroup);
  ASSERT_TRUE(WaitFor([&] { return !agent_.Profile(workload).empty(); }, kAgentBound));
  ASSERT_NO_FATAL_FAILURE(Lose(cgroup->id(), 5));
  ASSERT_TRUE(WaitFor([&] { return Told(workload) == 1; }, kAgentBound));
  agent_.Kill();
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  EXPECT_EQ(Told(workload), 1u);
  // What is lost from now on is.
  ASSERT_NO_FATAL_FAILURE(Lose(cgroup->id(), 2));
  EXPECT_TRUE(WaitFor([&] { return Told(workload) == 2; }, kAgentBound)) << Told(workload);
}

}  // namespace
}  // namespace vedette::testing
