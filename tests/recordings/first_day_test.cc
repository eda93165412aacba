// SPDX-License-Identifier: Apache-2.0
// The first two days of a host, replayed. To record anew, and then to write what is expected:
//   tests/vm/first_day.py build/dev
//   VEDETTE_REGENERATE=1 build/dev/first_day_test
#include "tests/recordings/first_day.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "agent/correlate/finding_of.h"
#include "tests/support/temp_dir.h"

namespace vedette::testing {
namespace {

constexpr char kFolder[] = "tests/recordings/first_day";
const absl::Time kSecondDay = absl::FromCivil(absl::CivilDay(2026, 3, 2), absl::UTCTimeZone());
constexpr size_t kMaxBytes = 1000000;

std::string Hour(absl::Time time) { return absl::FormatTime("%a %H", time, absl::UTCTimeZone()); }

std::string Describe(const FirstDayResult& result) {
  std::string text =
      fmt::format("{} findings, {} updates of them\n", result.findings.size(), result.updates);
  for (const auto& [time, finding] : result.findings) {
    text += fmt::format("- {} {} ({})\n  {}\n", Hour(time), finding.title,
                        SeverityName(finding.severity), finding.sentence);
  }
  return text;
}

std::string Profiles(const FirstDayResult& result) {
  std::string text;
  for (const ProfileSummary& profile : result.profiles) {
    text += fmt::format("- {}: {}\n", profile.workload, profile.state_text);
  }
  for (const auto& [reason, count] : result.degradations) {
    text += fmt::format("- {}: {}\n", reason, count);
  }
  return text;
}

size_t OfSecondDay(const FirstDayResult& result) {
  return static_cast<size_t>(
      std::count_if(result.findings.begin(), result.findings.end(),
                    [](const auto& found) { return found.first >= kSecondDay; }));
}

class FirstDayTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    absl::StatusOr<FirstDayRecording> read = ReadFirstDay(kFolder);
    ASSERT_TRUE(read.ok()) << read.status();
    recording_ = new FirstDayRecording(*std::move(read));
    by_default_ = new FirstDayResult(ReplayFirstDay(*recording_, {}));
    frozen_ = new FirstDayResult(ReplayFirstDay(*recording_, {.freeze_at = kSecondDay}));
  }
  static void TearDownTestSuite() {
    delete recording_;
    delete by_default_;
    delete frozen_;
  }
  void SetUp() override { ASSERT_TRUE(frozen_ != nullptr); }

  static std::string Table() {
    std::string table =
        "| hour | programs started | flows | learned | findings | findings, if frozen after the "
        "first day |\n|---|---:|---:|---:|---:|---:|\n";
    for (const auto& [time, hour] : by_default_->hours) {
      table += fmt::format("| {} | {} | {} | {} | {} | {} |\n", Hour(time), hour.starts, hour.flows,
                           hour.learned, hour.findings, frozen_->hours[time].findings);
    }
    return table;
  }

  static FirstDayRecording* recording_;
  static FirstDayResult* by_default_;
  static FirstDayResult* frozen_;
};

FirstDayRecording* FirstDayTest::recording_ = nullptr;
FirstDayResult* FirstDayTest::by_default_ = nullptr;
FirstDayResult* FirstDayTest::frozen_ = nullptr;

TEST_F(FirstDayTest, TheTableIsAsDocumented) {
  const std::string all = fmt::format(
      "{}\nBy default: {}\nFrozen after the first day: {}\nProfiles at the end, by default:\n{}",
      Table(), Describe(*by_default_), Describe(*frozen_), Profiles(*by_default_));
  const std::string golden = std::string(kFolder) + "/findings.golden";
  if (getenv("VEDETTE_REGENERATE") != nullptr) {
    ASSERT_TRUE(WriteFile(golden, all));
  }
  EXPECT_EQ(all, ReadFile(golden))
      << "if this is meant: VEDETTE_REGENERATE=1 build/dev/first_day_test";
  EXPECT_THAT(ReadFile("docs/first-day.md"), ::testing::HasSubstr(Table()));
}

TEST_F(FirstDayTest, TheSecondDayHasAtMostOneFinding) {
  EXPECT_LE(OfSecondDay(*by_default_), 1u) << Describe(*by_default_);
}

TEST_F(FirstDayTest, NothingIsLostOnTheWay) {
  EXPECT_EQ(by_default_->refused, 0u);
  EXPECT_EQ(by_default_->hours.size(), 49u) << "with the hour of the start";
}

TEST_F(FirstDayTest, TheRecordingIsSmall) {
  for (const char* name : {"/ring.zst", "/programs.txt", "/hours.txt"}) {
    EXPECT_LT(ReadFile(std::string(kFolder) + name).size(), kMaxBytes) << name;
  }
}

TEST(FirstDayRecordingTest, ARecordIsDatedByTheClockAsItWasSetLast) {
  FirstDayRecording recording;
  const absl::Time noon = absl::FromUnixSeconds(43200);
  recording.clock = {{absl::Seconds(10), noon}, {absl::Seconds(20), noon + absl::Hours(1)}};
  EXPECT_EQ(recording.At(absl::Seconds(9)), noon - absl::Seconds(1));
  EXPECT_EQ(recording.At(absl::Seconds(19)), noon + absl::Seconds(9));
  EXPECT_EQ(recording.At(absl::Seconds(20)), noon + absl::Hours(1));
}

}  // namespace
}  // namespace vedette::testing
