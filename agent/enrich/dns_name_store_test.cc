// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/dns_name_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "agent/enrich/resolvers.h"
#include "fmt/format.h"

namespace vedette {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);
constexpr absl::Duration kGrace = absl::Minutes(10);

IpAddress Ip(const std::string& text) { return ParseIpAddress(text).value(); }

// Names and their store, which can be closed and opened again.
class DnsNameStoreTest : public testing::Test {
 protected:
  DnsNameStoreTest() : dir_(testing::TempDir() + "/dns_names." + std::to_string(getpid())) {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    Reopen(kNow);
  }
  ~DnsNameStoreTest() override {
    store_.reset();
    db_.reset();
    std::filesystem::remove_all(dir_);
  }

  void Reopen(absl::Time now) {
    store_.reset();
    db_.reset();
    names_.emplace(limits_);
    db_ = SqliteDatabase::Open(dir_ + "/vedette.db").value();
    store_ = DnsNameStore::Open(db_.get(), max_rows_).value();
    ASSERT_TRUE(store_->Load(*names_, now, kGrace).ok());
  }
  void Write(absl::Time now) {
    ASSERT_TRUE(db_->Begin().ok());
    ASSERT_TRUE(store_->Write(*names_, now).ok());
  }
  void Commit(absl::Time now) {
    Write(now);
    ASSERT_TRUE(db_->Commit().ok());
    names_->Saved();
    store_->Committed();
  }
  bool Put(const std::string& workload, const std::string& address, const std::string& name,
           absl::Duration holds = absl::Hours(1), absl::Time now = kNow) {
    return names_->Put({workload, Ip(address), name, now + holds}, now);
  }
  std::string Of(const std::string& workload, const std::string& address, absl::Time now = kNow) {
    return names_->Of(workload, Ip(address), now);
  }
  int64_t Rows() {
    auto select = db_->Prepare("SELECT COUNT(*) FROM dns_name").value();
    EXPECT_TRUE(select.Step().value());
    return select.Int64(0);
  }

  std::string dir_;
  DnsNames::Limits limits_;
  size_t max_rows_ = 100;
  std::optional<DnsNames> names_;
  std::unique_ptr<SqliteDatabase> db_;
  std::unique_ptr<DnsNameStore> store_;
};

TEST_F(DnsNameStoreTest, NamesOutliveARestartForTheirWorkloadAlone) {
  EXPECT_TRUE(Put("host/web", "10.0.0.1", "db.test"));
  EXPECT_FALSE(Put("host/web", "10.0.0.1", "db.test"));
  EXPECT_TRUE(Put("host/web", "2001:db8::1", std::string("a\0\xff", 3)));
  Commit(kNow);
  Reopen(kNow);
  EXPECT_EQ(Of("host/web", "10.0.0.1"), "db.test");
  EXPECT_EQ(Of("host/web", "2001:db8::1"), std::string("a\0\xff", 3));
  EXPECT_EQ(Of("host/other", "10.0.0.1"), "");
  EXPECT_FALSE(names_->has_changes());
}

TEST_F(DnsNameStoreTest, WhatWasNotCommittedIsWrittenTheNextTime) {
  Put("host/web", "10.0.0.1", "db.test");
  Commit(kNow);
  Put("host/web", "10.0.0.1", "other.test");
  Put("host/web", "10.0.0.2", "two.test");
  Write(kNow);
  db_->Rollback();
  EXPECT_TRUE(names_->has_changes());
  Commit(kNow);
  Reopen(kNow);
  EXPECT_EQ(Of("host/web", "10.0.0.1"), "other.test");
  EXPECT_EQ(Of("host/web", "10.0.0.2"), "two.test");
  EXPECT_EQ(Rows(), 2);
}

TEST_F(DnsNameStoreTest, WhatHeldWhenTheAgentStoppedHoldsAWhileAfterTheStart) {
  Put("host/web", "10.0.0.1", "db.test", absl::Minutes(10));
  Put("host/web", "10.0.0.2", "gone.test", absl::Minutes(3));
  Commit(kNow);
  Commit(kNow + absl::Minutes(5));
  const absl::Time later = kNow + absl::Hours(3);
  Reopen(later);
  EXPECT_EQ(Of("host/web", "10.0.0.1", later), "db.test");
  EXPECT_EQ(Of("host/web", "10.0.0.1", later + kGrace), "db.test");
  EXPECT_EQ(Of("host/web", "10.0.0.1", later + kGrace + absl::Seconds(1)), "");
  EXPECT_EQ(Of("host/web", "10.0.0.2", later), "");
  // Also when that agent is killed soon.
  Commit(later);
  Reopen(later + absl::Minutes(1));
  EXPECT_EQ(Of("host/web", "10.0.0.1", later + absl::Minutes(1)), "db.test");
}

TEST_F(DnsNameStoreTest, AfterALongAbsenceOrAClockThatIsWrongOnlyTheirOwnTimeCounts) {
  Put("host/web", "10.0.0.1", "db.test", absl::Minutes(10));
  Commit(kNow);
  Reopen(kNow + kMaxUnwatched + absl::Minutes(1));
  EXPECT_EQ(Rows(), 0);
  Put("host/web", "10.0.0.1", "db.test", absl::Minutes(10));
  Commit(kNow);
  Reopen(kNow - absl::Hours(48));
  EXPECT_EQ(Of("host/web", "10.0.0.1", kNow - absl::Hours(48)), "");
  EXPECT_EQ(Rows(), 0);
}

TEST_F(DnsNameStoreTest, WhatIsForgottenLeavesTheStore) {
  limits_ = {.workloads = 2, .addresses = 2};
  Reopen(kNow);
  for (const char* workload : {"host/a", "host/b"}) {
    for (int i = 1; i <= 2; ++i) {
      Put(workload, fmt::format("10.0.0.{}", i), "x.test");
    }
  }
  Commit(kNow);
  EXPECT_EQ(Rows(), 4);
  Put("host/b", "10.0.0.3", "y.test");  // Pushes out one of its own …
  Put("host/c", "10.0.0.1", "z.test");  // … and this one a workload, with its names.
  Commit(kNow);
  EXPECT_EQ(Rows(), 3);
  // Pushed out and back before it was written.
  Put("host/b", "10.0.0.1", "back.test");
  Commit(kNow);
  Reopen(kNow);
  EXPECT_EQ(Rows(), 3);
  EXPECT_EQ(Of("host/b", "10.0.0.1"), "back.test");
  EXPECT_EQ(Of("host/b", "10.0.0.2"), "");
  names_->Expire(kNow + absl::Hours(2));
  Commit(kNow);
  EXPECT_EQ(Rows(), 0);
}

TEST_F(DnsNameStoreTest, AFullStoreIsCountedAndTakesAgainWhatFits) {
  max_rows_ = 2;
  Reopen(kNow);
  for (int i = 1; i <= 3; ++i) {
    Put("host/web", fmt::format("10.0.0.{}", i), "x.test");
  }
  Commit(kNow);
  EXPECT_EQ(Rows(), 2);
  EXPECT_EQ(store_->reasons().count("store_full"), 1u);
  EXPECT_EQ(Of("host/web", "10.0.0.3"), "x.test");
  names_->Expire(kNow + absl::Hours(2));
  Commit(kNow);
  Put("host/web", "10.0.0.4", "x.test");
  Commit(kNow);
  EXPECT_EQ(Rows(), 1);
  EXPECT_EQ(store_->reasons().count("store_full"), 1u);
}

TEST_F(DnsNameStoreTest, ANameThatLastsALittleLongerIsNotWrittenEachTime) {
  Put("host/web", "10.0.0.1", "db.test");
  Commit(kNow);
  Put("host/web", "10.0.0.1", "db.test", absl::Hours(1) + absl::Minutes(4));
  EXPECT_FALSE(names_->has_changes());
  Put("host/web", "10.0.0.1", "db.test", absl::Hours(1) + absl::Minutes(6));
  EXPECT_TRUE(names_->has_changes());
}

TEST_F(DnsNameStoreTest, ADamagedStoreIsDataLoss) {
  ASSERT_TRUE(db_->Exec(fmt::format("INSERT INTO dns_name VALUES(x'61', x'0102', x'62', {})",
                                    absl::ToUnixNanos(kNow + absl::Hours(1))))
                  .ok());
  EXPECT_EQ(store_->Load(*names_, kNow, kGrace).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace vedette
