// SPDX-License-Identifier: Apache-2.0
#include "agent/collect/collector.h"

#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

class CollectorTest : public KernelTest {};

TEST_F(CollectorTest, ARecordThatCannotBeDecodedIsDroppedByNameAndIsNoGap) {
  Attach();
  const ScopedCgroup cgroup = WatchedCgroup();
  const Decoder decoder(BootTime());
  std::vector<std::unique_ptr<RingReader>> rings;
  for (const char* name : {"vd_ring_code", "vd_ring_flow", "vd_ring_tap"}) {
    auto ring = RingReader::Open(probes().MapFd(name), probes().MaxEntries(name));
    ASSERT_TRUE(ring.ok()) << ring.status();
    rings.push_back(*std::move(ring));
  }
  uint64_t turn = 0;
  Collector collector(std::move(rings), absl::Milliseconds(10),
                      {[&](std::string_view record) { return decoder.Header(record); },
                       [&](std::string_view record, std::vector<Event>& events) {
                         return ++turn % 2 == 0
                                    ? absl::InvalidArgumentError("every second one is refused")
                                    : decoder.Decode(record, events);
                       }},
                      [](Batch&) { return true; });
  ASSERT_TRUE(collector.Start().ok());
  const auto run = cgroup.Run({Actor(), "spawn:20"}, kDefaultBound);
  ASSERT_TRUE(run.ok()) << run.status();
  ASSERT_TRUE(WaitFor([&] { return collector.counts().undecodable >= 10; }));
  collector.Stop();

  const CollectCounts counts = collector.counts();
  EXPECT_EQ(counts.received, counts.delivered + counts.undecodable);
  const SequenceAccount account = collector.account();
  ASSERT_FALSE(account.lines().empty());
  for (const auto& [lane, line] : account.lines()) {
    EXPECT_EQ(line.missing(), 0u) << "lane " << lane;
  }
}

}  // namespace
}  // namespace vedette::testing
