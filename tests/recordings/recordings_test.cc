// SPDX-License-Identifier: Apache-2.0
// Replays what was recorded in a running kernel. To record anew, as root, and then to write what is
// expected:
//   VEDETTE_RECORD=1 build/dev/kernel_recordings_root_test
//   VEDETTE_REGENERATE=1 build/dev/recordings_test
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "tests/recordings/recording.h"
#include "tests/recordings/replay.h"
#include "tests/support/temp_dir.h"

namespace vedette::testing {
namespace {

constexpr uint64_t kMaxBytes = 200000;

class RecordingsTest : public ::testing::TestWithParam<std::string> {
 protected:
  static std::string File(std::string_view name) {
    return "tests/recordings/" + GetParam() + "/" + std::string(name);
  }
  void SetUp() override {
    absl::StatusOr<Recording> recording = ReadRecording(File("ring.bin"));
    ASSERT_TRUE(recording.ok()) << recording.status();
    recording_ = *std::move(recording);
  }

  Recording recording_;
};

TEST_P(RecordingsTest, ReplaysToWhatIsExpected) {
  Replay replay(recording_.boot);
  std::string lines;
  for (const std::string& record : recording_.records) {
    for (const std::string& line : replay.Feed(record)) {
      lines += line + "\n";
    }
  }
  EXPECT_EQ(replay.refused(), 0u);
  if (getenv("VEDETTE_REGENERATE") != nullptr) {
    ASSERT_TRUE(WriteFile(File("events.golden"), lines));
    return;
  }
  EXPECT_EQ(lines, ReadFile(File("events.golden")))
      << "if this is meant: VEDETTE_REGENERATE=1 build/dev/recordings_test";
}

TEST_P(RecordingsTest, IsSmall) {
  EXPECT_GT(recording_.records.size(), 2u);
  EXPECT_LT(ReadFile(File("ring.bin")).size(), kMaxBytes);
}

TEST_P(RecordingsTest, RecordsThatAreCutShortAreRefusedOrRead) {
  Replay replay(recording_.boot);
  size_t fed = 0;
  for (const std::string& record : recording_.records) {
    for (size_t size = 0; size < record.size(); size += size < 64 ? 1 : 61) {
      // A copy of its own, so that a read beyond it is found.
      replay.Feed(std::string(record.substr(0, size)));
      ++fed;
    }
  }
  EXPECT_EQ(replay.refused(), fed);
}

TEST_P(RecordingsTest, RecordsWithFlippedBitsDoNoHarm) {
  constexpr int kRounds = 40;
  std::mt19937 random(20260101);
  Replay replay(recording_.boot);
  for (int round = 0; round < kRounds; ++round) {
    for (const std::string& record : recording_.records) {
      std::string broken = record;
      // Headers and lengths are what decoding goes by: half of the flips hit the first 64 bytes.
      for (int flip = 0; flip < 8; ++flip) {
        const size_t range = flip % 2 == 0 ? 64 : broken.size();
        broken[random() % range] ^= static_cast<char>(1u << random() % 8);
      }
      replay.Feed(broken);
    }
  }
  EXPECT_GT(replay.refused(), 0u);
}

INSTANTIATE_TEST_SUITE_P(All, RecordingsTest,
                         ::testing::Values("exec_exit", "tcp_flow", "udp_dns", "cgroup",
                                           "privilege", "files"),
                         [](const auto& info) { return info.param; });

TEST(RecordingTest, WhatIsNoRecordingIsRefused) {
  TempDir dir;
  EXPECT_FALSE(ReadRecording(dir / "missing").ok());
  ASSERT_TRUE(WriteFile(dir / "other", "VEDREC1"));
  EXPECT_FALSE(ReadRecording(dir / "other").ok());
  Recording recording{absl::FromUnixSeconds(5), {"one", "", std::string("t\0wo", 4)}};
  ASSERT_TRUE(WriteRecording(dir / "good", recording).ok());
  absl::StatusOr<Recording> back = ReadRecording(dir / "good");
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->boot, recording.boot);
  EXPECT_EQ(back->records, recording.records);
  const std::string bytes = ReadFile(dir / "good");
  ASSERT_TRUE(WriteFile(dir / "cut", bytes.substr(0, bytes.size() - 1)));
  EXPECT_FALSE(ReadRecording(dir / "cut").ok());
}

TEST(RecordingTest, ACompressedOneComesBackOrIsRefused) {
  TempDir dir;
  const Recording recording{absl::FromUnixSeconds(5), {"one", "", std::string(100000, 'x')}};
  ASSERT_TRUE(WriteCompressedRecording(dir / "good", recording).ok());
  const std::string bytes = ReadFile(dir / "good");
  EXPECT_LT(bytes.size(), 1000u);
  absl::StatusOr<Recording> back = ReadCompressedRecording(dir / "good");
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->records, recording.records);
  EXPECT_FALSE(ReadCompressedRecording(dir / "missing").ok());
  for (const size_t size : {size_t{1}, bytes.size() / 2, bytes.size() - 1}) {
    ASSERT_TRUE(WriteFile(dir / "cut", bytes.substr(0, size)));
    EXPECT_FALSE(ReadCompressedRecording(dir / "cut").ok()) << size;
  }
  ASSERT_TRUE(WriteRecording(dir / "plain", recording).ok());
  EXPECT_FALSE(ReadCompressedRecording(dir / "plain").ok());
}

}  // namespace
}  // namespace vedette::testing
