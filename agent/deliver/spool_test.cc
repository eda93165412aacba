// SPDX-License-Identifier: Apache-2.0
#include "agent/deliver/spool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/events/sample_events.h"

namespace vedette {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class SpoolTest : public testing::Test {
 protected:
  SpoolTest() {
    std::string name = testing::TempDir() + "/spool_test.XXXXXX";
    dir_ = mkdtemp(name.data());
    db_ = SqliteDatabase::Open(path()).value();
  }
  ~SpoolTest() override {
    db_.reset();
    std::filesystem::remove_all(dir_);
  }
  std::string path() const { return dir_ + "/vedette.db"; }

  std::unique_ptr<SpoolWriter> Open(std::vector<std::string> sinks, uint64_t max_bytes = 1 << 20) {
    auto writer = SpoolWriter::Open(*db_, {std::move(sinks), max_bytes});
    EXPECT_TRUE(writer.ok()) << writer.status();
    return *std::move(writer);
  }
  void Append(SpoolWriter* writer, const std::string& uid,
              pb::Severity severity = pb::SEVERITY_LOW) {
    pb::Event event;
    event.set_uid(uid);
    event.mutable_finding()->set_severity(severity);
    event.mutable_finding()->set_sentence(std::string(900, 'x'));
    ASSERT_TRUE(db_->Begin().ok());
    const absl::Status status = writer->Append(event);
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_TRUE(db_->Commit().ok());
  }
  std::unique_ptr<SpoolReader> Reader(const std::string& sink) {
    return SpoolReader::Open(path(), sink).value();
  }
  static std::vector<std::string> Uids(const std::vector<SpoolRow>& rows) {
    std::vector<std::string> uids;
    for (const SpoolRow& row : rows) {
      uids.push_back(row.event.uid());
    }
    return uids;
  }
  int64_t RowsLeft() {
    auto count = db_->Prepare("SELECT count(*) FROM spool").value();
    EXPECT_TRUE(count.Step().value());
    return count.Int64(0);
  }

  std::string dir_;
  std::unique_ptr<SqliteDatabase> db_;
};

TEST_F(SpoolTest, EachSinkReadsAllInOrderAndTheLastOneDeletes) {
  auto writer = Open({"a", "b"});
  for (const char* uid : {"1", "2", "3"}) {
    Append(writer.get(), uid);
  }
  auto a = Reader("a"), b = Reader("b");
  const auto rows = a->Read(2, 1 << 20).value();
  EXPECT_THAT(Uids(rows), ElementsAre("1", "2"));
  EXPECT_THAT(Uids(a->Read(2, 1 << 20).value()), ElementsAre("1", "2"));  // Not passed yet.
  ASSERT_TRUE(a->Pass(rows).ok());
  EXPECT_THAT(Uids(a->Read(2, 1 << 20).value()), ElementsAre("3"));
  EXPECT_EQ(RowsLeft(), 3);
  ASSERT_TRUE(b->Pass(b->Read(10, 1 << 20).value()).ok());
  EXPECT_EQ(RowsLeft(), 1);
  const auto accounts = ReadSpoolAccounts(*db_).value();
  ASSERT_EQ(accounts.size(), 2u);
  EXPECT_EQ(accounts[0].sink, "a");
  EXPECT_EQ(accounts[0].received, 3u);
  EXPECT_EQ(accounts[0].delivered, 2u);
  EXPECT_EQ(accounts[0].lag(), 1u);
  EXPECT_EQ(accounts[1].lag(), 0u);
}

TEST_F(SpoolTest, WhatIsRolledBackWasNeverThere) {
  auto writer = Open({"a"});
  ASSERT_TRUE(db_->Begin().ok());
  ASSERT_TRUE(writer->Append(SampleFindings()[0]).ok());
  EXPECT_THAT(Reader("a")->Read(10, 1 << 20).value(), IsEmpty());
  db_->Rollback();
  EXPECT_THAT(Reader("a")->Read(10, 1 << 20).value(), IsEmpty());
  EXPECT_EQ(ReadSpoolAccounts(*db_).value()[0].received, 0u);
}

TEST_F(SpoolTest, BytesSurvive) {
  auto writer = Open({"a"});
  for (const pb::Event& event : SampleFindings()) {
    ASSERT_TRUE(writer->Append(event).ok());
  }
  const auto rows = Reader("a")->Read(100, 1 << 20).value();
  ASSERT_EQ(rows.size(), SampleFindings().size());
  for (size_t i = 0; i < rows.size(); ++i) {
    pb::Event expected = SampleFindings()[i];
    expected.set_sequence(i + 1);  // Its number is all that the spool adds.
    EXPECT_EQ(rows[i].event.SerializeAsString(), expected.SerializeAsString());
  }
}

TEST_F(SpoolTest, ABatchIsBoundedInBytes) {
  auto writer = Open({"a"});
  for (const char* uid : {"1", "2", "3"}) {
    Append(writer.get(), uid);
  }
  EXPECT_EQ(Reader("a")->Read(10, 1).value().size(), 1u);
  EXPECT_EQ(Reader("a")->Read(10, 1500).value().size(), 2u);
}

TEST_F(SpoolTest, ABatchIsBoundedInWhatItTakesAndNotInWhatIsOnTheDisk) {
  constexpr int kEvents = 300;  // The text of the first ones is the dictionary of the others.
  auto writer = Open({"a"});
  for (int i = 0; i < kEvents; ++i) {
    Append(writer.get(), std::to_string(i));
  }
  auto reader = Reader("a");
  ASSERT_TRUE(reader->Pass(reader->Read(kEvents - 10, 1 << 20).value()).ok());
  EXPECT_EQ(reader->Read(10, 2500).value().size(), 3u);
}

TEST_F(SpoolTest, ARestartGoesOnWhereItStopped) {
  auto writer = Open({"a"});
  Append(writer.get(), "1");
  Append(writer.get(), "2");
  auto reader = Reader("a");
  ASSERT_TRUE(reader->Pass(reader->Read(1, 1 << 20).value()).ok());
  reader.reset();
  writer.reset();
  db_ = SqliteDatabase::Open(path()).value();
  writer = Open({"a"});
  EXPECT_THAT(Uids(Reader("a")->Read(10, 1 << 20).value()), ElementsAre("2"));
  EXPECT_EQ(ReadSpoolAccounts(*db_).value()[0].received, 2u);
}

TEST_F(SpoolTest, ANewSinkStartsAtTheEndAndAnOldOneHoldsNothing) {
  auto writer = Open({"a", "b"});
  Append(writer.get(), "1");
  auto a = Reader("a");
  ASSERT_TRUE(a->Pass(a->Read(1, 1 << 20).value()).ok());
  EXPECT_EQ(RowsLeft(), 1);
  writer = Open({"a", "c"});
  EXPECT_EQ(RowsLeft(), 0);
  Append(writer.get(), "2");
  EXPECT_THAT(Uids(Reader("c")->Read(10, 1 << 20).value()), ElementsAre("2"));
  EXPECT_TRUE(absl::IsNotFound(SpoolReader::Open(path(), "b").status()));
  writer = Open({});
  EXPECT_EQ(RowsLeft(), 0);
  Append(writer.get(), "3");
  EXPECT_EQ(RowsLeft(), 0);
}

TEST_F(SpoolTest, AFullSpoolShedsTheLeastSevereAndCountsPerSink) {
  auto writer = Open({"fast", "slow"}, 4 * 1024);
  Append(writer.get(), "low-1", pb::SEVERITY_LOW);
  auto fast = Reader("fast");
  ASSERT_TRUE(fast->Pass(fast->Read(10, 1 << 20).value()).ok());
  Append(writer.get(), "high-1", pb::SEVERITY_HIGH);
  Append(writer.get(), "medium", pb::SEVERITY_MEDIUM);
  Append(writer.get(), "low-2", pb::SEVERITY_LOW);
  Append(writer.get(), "high-2", pb::SEVERITY_HIGH);  // Sheds low-1, which fast has already.
  Append(writer.get(), "high-3", pb::SEVERITY_HIGH);  // Sheds low-2.
  Append(writer.get(), "low-3", pb::SEVERITY_LOW);    // Refused itself.
  EXPECT_THAT(Uids(Reader("slow")->Read(10, 1 << 20).value()),
              ElementsAre("high-1", "medium", "high-2", "high-3"));
  const auto accounts = ReadSpoolAccounts(*db_).value();
  EXPECT_THAT(accounts[0].dropped, ElementsAre(Pair(kDropSpoolFull, 2)));
  EXPECT_THAT(accounts[1].dropped, ElementsAre(Pair(kDropSpoolFull, 3)));
  EXPECT_EQ(accounts[0].received, 7u);
  EXPECT_EQ(accounts[0].lag(), 4u);
  EXPECT_EQ(accounts[1].lag(), 4u);
}

TEST_F(SpoolTest, TheLedgerOutranksEveryFinding) {
  auto writer = Open({"a"}, 2048);
  Append(writer.get(), "1", pb::SEVERITY_CRITICAL);
  Append(writer.get(), "2", pb::SEVERITY_CRITICAL);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(writer->Append(SampleLedgers()[1]).ok());
  }
  const auto rows = Reader("a")->Read(10, 1 << 20).value();
  EXPECT_TRUE(rows.back().event.has_ledger());
  EXPECT_THAT(Uids(rows), ElementsAre("2", "ledger-2", "ledger-2", "ledger-2"));
}

TEST_F(SpoolTest, ARowThatWasShedUnderWayAndArrivedIsNotCountedTwice) {
  auto writer = Open({"a"}, 2048);
  Append(writer.get(), "1", pb::SEVERITY_LOW);
  Append(writer.get(), "2", pb::SEVERITY_HIGH);
  auto reader = Reader("a");
  const auto rows = reader->Read(10, 1 << 20).value();
  Append(writer.get(), "3", pb::SEVERITY_HIGH);  // Sheds 1.
  EXPECT_EQ(ReadSpoolAccounts(*db_).value()[0].dropped.at(kDropSpoolFull), 1u);
  ASSERT_TRUE(reader->Pass(rows).ok());
  const SinkAccount account = reader->Account().value();
  EXPECT_EQ(account.delivered, 2u);
  EXPECT_THAT(account.dropped, IsEmpty());
  EXPECT_EQ(account.lag(), 1u);
}

TEST_F(SpoolTest, ADamagedRowComesAlone) {
  auto writer = Open({"a"});
  Append(writer.get(), "1");
  Append(writer.get(), "2");
  Append(writer.get(), "3");
  ASSERT_TRUE(db_->Exec("UPDATE spool SET event = x'ffff' WHERE sequence = 2").ok());
  auto reader = Reader("a");
  auto rows = reader->Read(10, 1 << 20).value();
  EXPECT_THAT(Uids(rows), ElementsAre("1"));
  ASSERT_TRUE(reader->Pass(rows).ok());
  rows = reader->Read(10, 1 << 20).value();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_FALSE(rows[0].readable);
  ASSERT_TRUE(reader->Pass(rows, kDropUnreadable).ok());
  EXPECT_THAT(Uids(reader->Read(10, 1 << 20).value()), ElementsAre("3"));
  EXPECT_EQ(reader->Account().value().dropped.at(kDropUnreadable), 1u);
}

TEST_F(SpoolTest, WhatWaitedForASinkThatIsGoneIsToldToTheOthersOnce) {
  Open({"a", "b"});
  auto writer = Open({"a", "b"});
  Append(writer.get(), "1");
  Append(writer.get(), "2");
  auto a = Reader("a");
  ASSERT_TRUE(a->Pass(a->Read(10, 1 << 20).value()).ok());
  writer.reset();
  SpoolOptions options{{"a"}, 1 << 20, {}};
  std::vector<GivenUpSink> told;
  options.tell_given_up = [&told](const std::vector<GivenUpSink>& gone) {
    told = gone;
    return SampleLedgers()[0];
  };
  writer = SpoolWriter::Open(*db_, options).value();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].sink, "b");
  EXPECT_EQ(told[0].count, 2u);
  EXPECT_EQ(writer->given_up().size(), 1u);
  const auto rows = Reader("a")->Read(10, 1 << 20).value();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_TRUE(rows[0].event.has_ledger());
  told.clear();
  writer = SpoolWriter::Open(*db_, options).value();
  EXPECT_THAT(told, IsEmpty());
  EXPECT_EQ(Reader("a")->Read(10, 1 << 20).value().size(), 1u);
}

TEST_F(SpoolTest, ASinkThatGotAllIsGivenUpWithoutAWord) {
  auto writer = Open({"a", "b"});
  Append(writer.get(), "1");
  auto b = Reader("b");
  ASSERT_TRUE(b->Pass(b->Read(10, 1 << 20).value()).ok());
  writer = Open({"a"});
  EXPECT_THAT(writer->given_up(), IsEmpty());
}

TEST_F(SpoolTest, TheBoundIsOneOfTheDisk) {
  constexpr uint64_t kMax = 4 << 20;
  auto writer = Open({"a"}, kMax);
  pb::Event event;
  for (const size_t size : {100, 1500, 2100, 3000, 5000, 9000}) {
    event.mutable_finding()->set_sentence(std::string(size, 'z'));
    ASSERT_TRUE(db_->Begin().ok());
    for (int i = 0; i < 4000; ++i) {
      ASSERT_TRUE(writer->Append(event).ok());
    }
    ASSERT_TRUE(db_->Commit().ok());
    ASSERT_TRUE(db_->Exec("DELETE FROM spool").ok());
  }
  auto pages = db_->Prepare("PRAGMA page_count").value();
  ASSERT_TRUE(pages.Step().value());
  EXPECT_LE(pages.Int64(0) * 4096, static_cast<int64_t>(kMax) * 5 / 4);
}

}  // namespace
}  // namespace vedette
