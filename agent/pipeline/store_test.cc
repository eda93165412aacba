// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agent/base/status.h"
#include "agent/deliver/spool.h"
#include "agent/pipeline/store_bound.h"
#include "agent/profile/profile_test_events.h"

namespace vedette {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using ::testing::StartsWith;

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    std::string name = testing::TempDir() + "/store_test.XXXXXX";
    dir_ = mkdtemp(name.data());
    profile_options_.max_deviations = 1'000'000;
  }
  ~StoreTest() override {
    CloseAll();
    fs::remove_all(dir_);
  }
  std::string path() const { return dir_ + "/vedette.db"; }

  void Open(StoreState state = StoreState::kUnknown) {
    CloseAll();
    absl::StatusOr<OpenedStore> store = OpenStore(dir_, clock_.Now(), state);
    ASSERT_TRUE(store.ok()) << store.status();
    lock_ = std::move(store->lock);
    db_ = std::move(store->db);
    damage_ = store->damage;
    profiles_ = Profiles::Load(db_.get(), &clock_, profile_options_).value();
    correlator_ = Correlator::Load(db_.get(), &clock_, {.per_hour = 1'000'000}).value();
    spool_ = SpoolWriter::Open(*db_, {{"sink"}, 64 << 20, {}}).value();
  }
  void CloseAll() {
    spool_.reset();
    correlator_.reset();
    profiles_.reset();
    db_.reset();
    lock_.Reset();
  }
  void Commit(StoreBound* bound = nullptr) {
    ASSERT_TRUE(db_->Begin().ok());
    if (bound != nullptr) {
      const absl::Status step = bound->Step(*correlator_, *profiles_);
      ASSERT_TRUE(step.ok()) << step;
    }
    ASSERT_TRUE(profiles_->Write().ok());
    ASSERT_TRUE(correlator_->Write().ok());
    ASSERT_TRUE(db_->Commit().ok());
    profiles_->Committed();
    correlator_->Committed();
    if (bound != nullptr) {
      bound->Committed();
    }
  }
  void Act(const std::string& program) {
    events_.time = clock_.Now();
    correlator_->Correlate(profiles_->Judge(events_.Exec(program)));
  }
  // Learns one program, freezes, and makes `count` findings of about `size` bytes.
  void MakeFindings(int count, size_t size, int first = 0) {
    Act("/bin/known");
    ASSERT_TRUE(profiles_->Freeze({}, "root").ok());
    for (int i = first; i < first + count; ++i) {
      Act(fmt::format("/bin/{:06}{}", i, std::string(size, 'x')));
      if (i % 100 == 99) {
        Commit();
      }
    }
    Commit();
  }
  void Spool(int count) {
    pb::Event event;
    event.mutable_finding()->set_sentence(std::string(900, 'y'));
    for (int i = 0; i < count; ++i) {
      event.set_uid(std::to_string(i));
      ASSERT_TRUE(spool_->Append(event).ok());
    }
  }
  void Overwrite(int64_t offset, size_t bytes) {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offset);
    file << std::string(bytes, '\x5a');
  }
  uint64_t DirBytes() const {
    uint64_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(dir_)) {
      bytes += entry.file_size();
    }
    return bytes;
  }

  std::string dir_, damage_;
  TestEvents events_;
  ManualClock clock_{absl::FromUnixSeconds(1'700'000'000)};
  ProfilesOptions profile_options_;
  UniqueFd lock_;
  std::unique_ptr<SqliteDatabase> db_;
  std::unique_ptr<Profiles> profiles_;
  std::unique_ptr<Correlator> correlator_;
  std::unique_ptr<SpoolWriter> spool_;
};

TEST_F(StoreTest, AWholeStoreIsOpenedAsItIs) {
  Open();
  MakeFindings(5, 10);
  Spool(3);
  Open();
  EXPECT_EQ(damage_, "");
  EXPECT_EQ(correlator_->size(), 5u);
  EXPECT_THAT(DamagedCopies(path()), IsEmpty());
}

TEST_F(StoreTest, AStoreIsForOneAgentAtATime) {
  Open();
  const absl::StatusOr<OpenedStore> second = OpenStore(dir_, clock_.Now(), StoreState::kUnknown);
  ASSERT_TRUE(absl::IsAlreadyExists(second.status())) << second.status();
  EXPECT_EQ(Message(second.status()),
            dir_ + ": another agent uses this store; stop it, or give this one its own store.dir");
  // Least of all may it set aside what the other one writes to.
  const absl::StatusOr<OpenedStore> anew = OpenStore(dir_, clock_.Now(), StoreState::kDamaged);
  EXPECT_TRUE(absl::IsAlreadyExists(anew.status())) << anew.status();
  EXPECT_THAT(DamagedCopies(path()), IsEmpty());
  CloseAll();
  EXPECT_TRUE(OpenStore(dir_, clock_.Now(), StoreState::kUnknown).ok());
}

TEST_F(StoreTest, AFileThatIsNoDatabaseIsSetAside) {
  std::ofstream(path()) << std::string(10000, 'x');
  Open();
  EXPECT_THAT(damage_, HasSubstr("was damaged and is set aside as " + path() + ".damaged-2023"));
  ASSERT_THAT(DamagedCopies(path()), SizeIs(1));
  EXPECT_EQ(fs::file_size(DamagedCopies(path())[0]), 10000u);
  EXPECT_EQ(profiles_->size(), 0u);
  Open();
  EXPECT_EQ(damage_, "");
}

TEST_F(StoreTest, ATruncatedFileLosesWhatWasCutAndSaysSo) {
  Open();
  MakeFindings(400, 300);
  Spool(50);
  CloseAll();
  fs::resize_file(path(), fs::file_size(path()) / 2 / 4096 * 4096);
  Open();
  EXPECT_THAT(damage_, HasSubstr("set aside"));
  EXPECT_THAT(DamagedCopies(path()), SizeIs(1));
  MakeFindings(3, 5, 1000);
  Open();
  EXPECT_EQ(damage_, "");
}

TEST_F(StoreTest, WhatIsWholeBesideOverwrittenPagesIsKept) {
  Open();
  MakeFindings(400, 300);
  Spool(200);
  CloseAll();
  const auto pages = static_cast<int64_t>(fs::file_size(path()) / 4096);
  for (int64_t page = pages / 2; page < pages / 2 + 3; ++page) {
    Overwrite(page * 4096, 4096);
  }
  Open();
  EXPECT_THAT(damage_, HasSubstr("could be read and are kept"));
  uint64_t waiting = 0, lost = 0;
  const std::vector<SinkAccount> accounts = ReadSpoolAccounts(*db_).value();
  for (const SinkAccount& account : accounts) {
    EXPECT_EQ(account.received, 200u);
    waiting = account.lag();
    lost = account.dropped.contains(kDropDamaged) ? account.dropped.at(kDropDamaged) : 0;
  }
  EXPECT_EQ(waiting + lost, 200u);
  EXPECT_GT(correlator_->size() + waiting, 400u);
  EXPECT_LE(correlator_->size() + waiting, 600u);
  EXPECT_EQ(profiles_->List().at(0).state, ProfileState::kFrozen);
  Spool(1);
  auto newest = db_->Prepare("SELECT max(sequence) FROM spool").value();
  ASSERT_TRUE(newest.Step().value());
  EXPECT_EQ(newest.Int64(0), 201) << "numbers of the spool go on";
}

TEST_F(StoreTest, DamageMetInTheRunIsSetAsideAlthoughTheCheckFindsNothing) {
  Open();
  MakeFindings(5, 10);
  Open(StoreState::kDamaged);
  EXPECT_THAT(damage_, HasSubstr("5 findings and 0 records"));
  EXPECT_EQ(correlator_->size(), 5u);
  Open(StoreState::kUnusable);
  EXPECT_THAT(damage_, HasSubstr("nothing of it could be used"));
  EXPECT_EQ(correlator_->size(), 0u);
  EXPECT_THAT(DamagedCopies(path()), SizeIs(::testing::Ge(2u)));
}

TEST_F(StoreTest, TroubleIsOneSentenceThatSaysWhatToDo) {
  EXPECT_THAT(StoreTrouble(absl::ResourceExhaustedError("x"), "/p"),
              HasSubstr("/p: the disk is full: make room"));
  EXPECT_THAT(StoreTrouble(absl::PermissionDeniedError("x"), "/p"), HasSubstr("read-only"));
  EXPECT_THAT(StoreTrouble(absl::DataLossError("x"), "/p"), HasSubstr("damaged"));
}

TEST_F(StoreTest, FindingsLeaveWhenTheyAreOldAndAStepAtATime) {
  Open();
  MakeFindings(300, 10);
  clock_.Advance(absl::Hours(24 * 20));
  MakeFindings(10, 10, 1000);
  StoreBound bound(db_.get(), &clock_, {});
  Commit(&bound);
  EXPECT_EQ(correlator_->size(), 310u);
  clock_.Advance(absl::Hours(24 * 11));
  Commit(&bound);
  EXPECT_TRUE(bound.more());
  Commit(&bound);
  EXPECT_FALSE(bound.more());
  EXPECT_EQ(correlator_->size(), 10u);
  EXPECT_EQ(bound.removed().aged_findings, 300u);
  EXPECT_EQ(bound.removed().shed_findings, 0u);
  Open();
  EXPECT_EQ(correlator_->size(), 10u);
}

TEST_F(StoreTest, AStepThatWasNotCommittedIsNotMadeTwice) {
  Open();
  MakeFindings(600, 10);
  clock_.Advance(absl::Hours(24 * 31));
  StoreBound bound(db_.get(), &clock_, {});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(db_->Begin().ok());
    ASSERT_TRUE(bound.Step(*correlator_, *profiles_).ok());
    db_->Rollback();
  }
  EXPECT_EQ(bound.removed().aged_findings, 256u);
}

TEST_F(StoreTest, TheLeastSevereAndOfTheseTheOldestGoFirst) {
  Open();
  for (int i = 0; i < 4; ++i) {
    MakeFindings(1, 10, i);
    clock_.Advance(absl::Minutes(1));
  }
  ASSERT_TRUE(db_->Exec("UPDATE finding SET severity = 3;"
                        "UPDATE finding SET severity = 1 WHERE uid IN "
                        "(SELECT uid FROM finding ORDER BY last_seen_ns LIMIT 2 OFFSET 1)")
                  .ok());
  const auto oldest = [this] {
    auto row = db_->Prepare("SELECT group_concat(severity) FROM finding").value();
    EXPECT_TRUE(row.Step().value());
    return row.Bytes(0);
  };
  EXPECT_EQ(correlator_->ForgetLeast(2).value(), 2u);
  Commit();
  EXPECT_EQ(oldest(), "3,3");
}

TEST_F(StoreTest, TheDirectoryStaysWithinItsBoundWhateverComes) {
  constexpr uint64_t kMax = 16 << 20;  // The least that can be set.
  profile_options_.is_running = [](const std::string&) { return false; };
  Open();
  StoreBound bound(db_.get(), &clock_, {.max_bytes = kMax});
  std::ofstream(path() + ".damaged-20230101T000000Z") << std::string(1 << 20, 'x');
  uint64_t most = 0;
  for (int round = 0; round < 40; ++round) {
    clock_.Advance(absl::Minutes(1));
    events_.workload = fmt::format("host/{}", round);
    MakeFindings(100, 2000);
    do {
      Commit(&bound);
    } while (bound.more());
    most = std::max(most, DirBytes());
  }
  EXPECT_LE(most, kMax);
  EXPECT_GT(most, kMax / 2);
  EXPECT_GT(bound.removed().shed_findings, 100u);
  EXPECT_GT(profiles_->counters().profiles_shed, 1u);
  EXPECT_EQ(bound.removed().copies, 1u);
  EXPECT_EQ(bound.trouble(), "");
}

TEST_F(StoreTest, ADatabaseThatWasRemovedIsSaidUntilItIsBack) {
  Open();
  StoreBound bound(db_.get(), &clock_, {});
  Commit(&bound);
  EXPECT_EQ(bound.trouble(), "");
  fs::rename(path(), path() + ".moved");
  Commit(&bound);
  EXPECT_THAT(bound.trouble(), StartsWith(path() + ": was removed or replaced"));
  std::ofstream(path()) << "another file";
  Commit(&bound);
  EXPECT_THAT(bound.trouble(), StartsWith(path() + ": was removed or replaced"));
  fs::rename(path() + ".moved", path());
  Commit(&bound);
  EXPECT_EQ(bound.trouble(), "");
}

TEST_F(StoreTest, AFileAboveALoweredBoundShrinks) {
  Open();
  MakeFindings(2000, 2000);
  ASSERT_TRUE(db_->WriteBack().ok());
  ASSERT_GT(DirBytes(), 8u << 20);
  StoreBound bound(db_.get(), &clock_, {.max_bytes = 4 << 20});
  for (int i = 0; i < 100 && (i == 0 || bound.more()); ++i) {
    clock_.Advance(absl::Seconds(2));
    Commit(&bound);
  }
  ASSERT_TRUE(db_->WriteBack().ok());
  EXPECT_NE(bound.trouble(), "") << "the profile that runs is larger than the bound";
  EXPECT_EQ(correlator_->size(), 0u);
}

}  // namespace
}  // namespace vedette
