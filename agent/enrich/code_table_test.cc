// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/code_table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <string>
#include <utility>

#include "agent/enrich/fake_hasher.h"

namespace vedette {
namespace {

Code MakeCode(std::string path, CodeOrigin origin = CodeOrigin::kUnknown, std::string script = "") {
  Code code;
  code.path = std::move(path);
  code.origin = origin;
  code.script = std::move(script);
  return code;
}

CodeKey Key(uint64_t inode) { return {.inode = inode, .size_bytes = 100}; }

class CodeTableTest : public testing::Test {
 protected:
  void Answer(CodeTable& table, HashOutcome outcome, std::string sha256 = "") {
    for (; hasher_.answered < hasher_.asked.size(); ++hasher_.answered) {
      hasher_.results.push_back({hasher_.asked[hasher_.answered].key, outcome, sha256});
    }
    table.TakeHashes(absl::ZeroDuration());
  }
  FakeHasher hasher_;
};

TEST_F(CodeTableTest, AsksOnceForWhatItDoesNotKnow) {
  CodeTable table(&hasher_);
  table.Hash(Key(1), 7, 8);
  EXPECT_TRUE(hasher_.asked.empty()) << "of a program that nobody learned";
  table.Learn(Key(1), MakeCode("/bin/a", CodeOrigin::kHost), "w");
  table.Hash(Key(1), 7, 8);
  table.Hash(Key(1), 9, 8);
  ASSERT_EQ(hasher_.asked.size(), 1u);
  EXPECT_EQ(hasher_.asked[0].key, Key(1));
  EXPECT_EQ(hasher_.asked[0].tgid, 7u);
  EXPECT_EQ(hasher_.asked[0].neighbour_tgid, 8u);
  EXPECT_EQ(hasher_.asked[0].path, "/bin/a");
  EXPECT_TRUE(table.IsBeingHashed(Key(1)));
  Answer(table, HashOutcome::kHashed, "aa");
  EXPECT_FALSE(table.IsBeingHashed(Key(1)));
  EXPECT_EQ(table.Find(Key(1))->sha256, "aa");
  table.Hash(Key(1), 7, 8);
  EXPECT_EQ(hasher_.asked.size(), 1u);
  EXPECT_EQ(table.hashed(), 1u);
}

TEST_F(CodeTableTest, TheFirstProgramWithoutAHashIsNamedInTheLog) {
  testing::internal::CaptureStdout();
  auto log = spdlog::stdout_logger_st("code_table_test");
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(log);
  CodeTable table(&hasher_);
  for (const uint64_t inode : {1, 2}) {
    table.Learn(Key(inode), MakeCode(fmt::format("/opt/huge{}", inode), CodeOrigin::kHost), "w");
    table.Hash(Key(inode), 7, 8);
    Answer(table, HashOutcome::kTooLarge);
  }
  spdlog::set_default_logger(before);
  spdlog::drop("code_table_test");
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_NE(said.find("code: a program is too large to be hashed, it has no hash: /opt/huge1 (the "
                      "first; counted as too_large in `vedette doctor`)"),
            std::string::npos)
      << said;
  EXPECT_EQ(said.find("/opt/huge2"), std::string::npos) << said;
}

TEST_F(CodeTableTest, WhatAnEarlierAgentKnewStandsWhereNothingIsKnown) {
  CodeTable table(&hasher_);
  Code known = MakeCode("/bin/a");
  known.sha256 = "aa";
  table.Restore(Key(1), known, "w");
  ASSERT_NE(table.Find(Key(1)), nullptr);
  EXPECT_EQ(table.Find(Key(1))->path, "/bin/a");
  EXPECT_EQ(table.Find(Key(1))->sha256, "aa");
  table.Hash(Key(1), 7, 8);
  EXPECT_TRUE(hasher_.asked.empty()) << "it is hashed";
  table.Learn(Key(2), MakeCode("/bin/b"), "w");
  table.Restore(Key(2), known, "w");
  EXPECT_EQ(table.Find(Key(2))->path, "/bin/b");
  table.Restore(CodeKey(), known, "w");
  EXPECT_EQ(table.Find(CodeKey()), nullptr);
}

TEST_F(CodeTableTest, EachFailureHasItsReasonAndAttemptsAreBounded) {
  const struct {
    HashOutcome outcome;
    const char* reason;
    uint64_t asked;  // In ten executions.
  } kCases[] = {{HashOutcome::kGone, "gone", 3},
                {HashOutcome::kChanged, "changed", 3},
                {HashOutcome::kUnreadable, "unreadable", 3},
                {HashOutcome::kTooLarge, "too_large", 1},
                {HashOutcome::kUntrusted, "untrusted_fs", 1},
                {HashOutcome::kStalled, "stalled", 10},
                {HashOutcome::kUnavailable, "unavailable", 10}};
  CodeTable table(&hasher_);
  uint64_t inode = 1;
  for (const auto& c : kCases) {
    const CodeKey key = Key(++inode);
    table.Learn(key, MakeCode("/x", CodeOrigin::kHost), "w");
    for (int i = 0; i < 10; ++i) {
      table.Hash(key, 1, 0);
      Answer(table, c.outcome);
      EXPECT_FALSE(table.IsBeingHashed(key));
    }
    EXPECT_EQ(table.reasons().count(c.reason), c.asked) << c.reason;
    EXPECT_EQ(table.Find(key)->sha256, "");
  }
}

TEST_F(CodeTableTest, UntrustedFilesystemsAreNotTouchedAndMemoryHasNoPath) {
  CodeTable table(&hasher_);
  table.Learn(Key(1), MakeCode("/mnt/x", CodeOrigin::kUntrustedFs), "w");
  table.Hash(Key(1), 1, 2);
  EXPECT_TRUE(hasher_.asked.empty());
  EXPECT_EQ(table.reasons().count("untrusted_fs"), 1u);
  table.Learn(Key(2), MakeCode("memfd:x", CodeOrigin::kMemfd), "w");
  table.Hash(Key(2), 1, 2);
  ASSERT_EQ(hasher_.asked.size(), 1u);
  EXPECT_EQ(hasher_.asked[0].path, "");
  EXPECT_TRUE(hasher_.asked[0].in_memory);
  table.Learn(Key(4), MakeCode("elsewhere:/bin/y", CodeOrigin::kHost), "w");
  table.Hash(Key(4), 1, 2);
  EXPECT_EQ(hasher_.asked.back().path, "/bin/y");
  table.Learn(Key(3), MakeCode("/gone", CodeOrigin::kDeleted), "w");
  table.Hash(Key(3), 1, 2);
  EXPECT_EQ(hasher_.asked.back().path, "");
  EXPECT_FALSE(hasher_.asked.back().in_memory);
}

TEST_F(CodeTableTest, WithoutAHasherNothingIsHashed) {
  CodeTable table(nullptr);
  table.Learn(Key(1), MakeCode("/bin/a", CodeOrigin::kHost), "w");
  table.Hash(Key(1), 1, 0);
  table.TakeHashes(absl::ZeroDuration());
  EXPECT_EQ(table.Find(Key(1))->sha256, "");
  EXPECT_EQ(table.reasons().count("no_hasher"), 1u);
}

TEST_F(CodeTableTest, AFullQueueIsCountedAndTriedAgain) {
  hasher_.room = 0;
  CodeTable table(&hasher_);
  table.Learn(Key(1), MakeCode("/bin/a", CodeOrigin::kHost), "w");
  table.Hash(Key(1), 1, 0);
  EXPECT_FALSE(table.IsBeingHashed(Key(1)));
  EXPECT_EQ(table.reasons().count("queue_full"), 1u);
  hasher_.room = 1;
  table.Hash(Key(1), 1, 0);
  EXPECT_TRUE(table.IsBeingHashed(Key(1)));
}

TEST_F(CodeTableTest, PendingIsWorkedOffInBoundedSteps) {
  CodeTable table(&hasher_, {.pending = 3});
  for (uint64_t i = 1; i <= 4; ++i) {
    table.Learn(Key(i), MakeCode("/x", CodeOrigin::kHost), "w");
    table.HashLater(Key(i), 1);
  }
  EXPECT_EQ(table.reasons().count("queue_full"), 1u);
  EXPECT_EQ(table.HashPending(0), 2u);  // At least one file, so that it ends.
  EXPECT_EQ(table.HashPending(1 << 20), 0u);
  EXPECT_EQ(hasher_.asked.size(), 3u);
}

TEST_F(CodeTableTest, IsBoundedAndIgnoresTheUnknownKey) {
  CodeTable table(&hasher_, {.entries = 10});
  table.Learn({}, MakeCode("/kthread"), "w");
  EXPECT_EQ(table.size(), 0u);
  for (uint64_t i = 1; i <= 1000; ++i) {
    table.Learn({.inode = i}, MakeCode("/x"), "w");
  }
  EXPECT_EQ(table.size(), 10u);
  EXPECT_EQ(table.evictions(), 990u);
  EXPECT_EQ(table.Find({.inode = 1}), nullptr);
}

TEST_F(CodeTableTest, AWorkloadWithManyProgramsForgetsOnlyItsOwn) {
  CodeTable table(&hasher_, {.entries = 30, .per_workload = 10});
  table.Learn({.inode = 5000}, MakeCode("/usr/bin/quiet"), "quiet");
  table.Learn({.inode = 5001}, MakeCode("/bin/sh"), "loud");
  for (uint64_t i = 1; i <= 1000; ++i) {
    table.Learn({.inode = i}, MakeCode("/x"), "loud");
    table.Find({.inode = 5001});  // Others run it too.
  }
  EXPECT_EQ(table.size(), 11u);
  EXPECT_EQ(table.Find({.inode = 5000})->path, "/usr/bin/quiet");
  EXPECT_EQ(table.Find({.inode = 5001})->path, "/bin/sh");
  EXPECT_EQ(table.reasons().count("workload_full"), 991u);
}

TEST(MarkedPathTest, ACutPathEqualsNoWholePath) {
  EXPECT_EQ(MarkedPath("/usr/bin/x", false), "/usr/bin/x");
  EXPECT_EQ(MarkedPath("/usr/bin/x", true), ".../usr/bin/x");
  EXPECT_EQ(MarkedPath("bin/x", true), ".../bin/x");
}

TEST(PlacedPathTest, APathThatEndsElsewhereEqualsNoPathOfTheContainer) {
  EXPECT_EQ(PlacedPath("/usr/bin/x", false), "/usr/bin/x");
  EXPECT_EQ(PlacedPath("/usr/bin/x", true), "elsewhere:/usr/bin/x");
  EXPECT_EQ(PlacedPath(".../x", true), "elsewhere:.../x");
  EXPECT_EQ(PlacedPath("", true), "");
}

TEST_F(CodeTableTest, ACopyOfARuntimeIsCalledByItsPathAndNeverHashed) {
  CodeTable table(&hasher_);
  const CodeKey runc = {.device = 1, .inode = 2, .change_time_ns = 3, .size_bytes = 4};
  CodeKey copy = runc;
  copy.flags = 1;
  EXPECT_EQ(table.Find(copy), nullptr);
  table.KnowRuntime(runc, "/usr/sbin/runc");
  // Also where its execution was not seen, and where it was, without a path.
  ASSERT_NE(table.Find(copy), nullptr);
  EXPECT_EQ(table.Find(copy)->path, "elsewhere:/usr/sbin/runc");
  table.Learn(copy, Code(), "w");
  EXPECT_EQ(table.Find(copy)->path, "elsewhere:/usr/sbin/runc");
  table.Hash(copy, 7, 0);
  EXPECT_FALSE(table.IsBeingHashed(copy));
  EXPECT_EQ(table.Find(runc), nullptr);  // The runtime itself is learned as all are.
  CodeKey other = copy;
  other.inode = 9;
  EXPECT_EQ(table.Find(other), nullptr);
}

}  // namespace
}  // namespace vedette
