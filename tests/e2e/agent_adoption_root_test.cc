// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/adoption.h"

#include <algorithm>

#include "tests/kernel/probe_fixture.h"

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

}  // namespace
}  // namespace vedette::testing
