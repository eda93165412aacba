// SPDX-License-Identifier: Apache-2.0
// A full ring loses the records of cgroups as well: who lives in them is known all the same.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "agent/enrich/enriched_event.h"
#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;
using ::testing::IsEmpty;

constexpr absl::Duration kWalkBound = absl::Seconds(40);
constexpr int kPrograms = 300;  // A ring of 64 KiB holds the records of far fewer.

class AgentLostCgroupsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < kPrograms; ++i) {
      ASSERT_TRUE(WriteProgram(Program(i), std::to_string(i)));
    }
    agent_.SetConfig("collect: { ring_size: 64KiB }");
    ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  }
  std::string Program(int i) const { return programs_ / fmt::format("program-{:04}", i); }
  uint64_t DroppedCodeRecords() const {
    uint64_t dropped = 0;
    for (const Json& row : agent_.Doctor().value("ledger", Json::array())) {
      if (row["stage"] == "kernel" && row["counter"].get<std::string>().ends_with("/code")) {
        dropped += row["dropped"].value("ring-full", uint64_t{0});
      }
    }
    return dropped;
  }

  AgentProcess agent_;
  TempDir programs_{"vedette-programs"};
};

TEST_F(AgentLostCgroupsTest, AWorkloadThatWasMadeWhileTheRingWasFullIsKnownAndItsActsAreItsOwn) {
  const auto storm = ScopedCgroup::Create();
  ASSERT_TRUE(storm.ok()) << storm.status();
  // So that its path is known, whatever becomes of later records.
  ASSERT_TRUE(storm->Run({Program(0)}).ok());
  ASSERT_TRUE(WaitFor(
      [&] {
        return !AgentProcess::Entries(agent_.Profile(WorkloadOf(*storm)), "behaviours", "exec",
                                      Program(0))
                    .empty();
      },
      kWalkBound));
  agent_.Signal(SIGSTOP);
  ASSERT_TRUE(
      storm->Run({"sh", "-c", fmt::format("for p in {}/*; do $p; done", programs_.path())}).ok());
  const auto late = ScopedCgroup::Create();
  ASSERT_TRUE(late.ok()) << late.status();
  const auto ran = late->Run({Program(0)});
  agent_.Signal(SIGCONT);
  ASSERT_TRUE(ran.ok()) << ran.status();

  EXPECT_TRUE(WaitFor(
      [&] {
        return !AgentProcess::Entries(agent_.Profile(WorkloadOf(*late)), "behaviours", "exec",
                                      Program(0))
                    .empty();
      },
      kWalkBound))
      << agent_.Profile(WorkloadOf(*late)).dump() << agent_.Log();
  EXPECT_GT(DroppedCodeRecords(), 0u) << "the ring was not full, so that nothing was tested";
  EXPECT_THAT(agent_.Profile(kUnattributed), IsEmpty());

  // It goes on as any other: what comes next is told with its workload.
  ASSERT_TRUE(late->Run({Program(1)}).ok());
  EXPECT_TRUE(WaitFor(
      [&] {
        return !AgentProcess::Entries(agent_.Profile(WorkloadOf(*late)), "behaviours", "exec",
                                      Program(1))
                    .empty();
      },
      kWalkBound));
}

}  // namespace
}  // namespace vedette::testing
