// SPDX-License-Identifier: Apache-2.0
#include "agent/deliver/delivery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <thread>

#include "absl/time/clock.h"
#include "agent/base/mutex.h"
#include "exporters/jsonl/jsonl_exporter.h"

namespace vedette {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr absl::Duration kBound = absl::Seconds(20);

// A far side that the test scripts; it outlives the exporter that speaks to it. Thread-safe.
class FarSide {
 public:
  absl::Status Take(const std::vector<pb::Event>& batch) {
    MutexLock lock(&mutex_);
    ++tries_;
    if (!status_.ok()) {
      return status_;
    }
    for (const pb::Event& event : batch) {
      if (poison_.count(event.uid()) > 0) {
        return absl::InvalidArgumentError("too large");
      }
    }
    for (const pb::Event& event : batch) {
      taken_.push_back(event.uid());
    }
    return absl::OkStatus();
  }
  void Answer(absl::Status status) {
    MutexLock lock(&mutex_);
    status_ = std::move(status);
  }
  void Poison(const std::string& uid) {
    MutexLock lock(&mutex_);
    poison_.insert(uid);
  }
  bool WaitFor(const std::function<bool(const FarSide&)>& condition) {
    MutexLock lock(&mutex_);
    const auto met = [this, &condition] { return condition(*this); };
    return mutex_.AwaitWithTimeout(met, kBound);
  }
  bool WaitForTaken(size_t count) {
    return WaitFor([count](const FarSide& far) { return far.taken_.size() >= count; });
  }
  bool WaitForTries(int count) {
    return WaitFor([count](const FarSide& far) { return far.tries_ >= count; });
  }
  std::vector<std::string> taken() const {
    MutexLock lock(&mutex_);
    return taken_;
  }

 private:
  mutable Mutex mutex_;
  absl::Status status_;
  std::set<std::string> poison_;
  std::vector<std::string> taken_;
  int tries_ = 0;
};

class FakeExporter final : public Exporter {
 public:
  explicit FakeExporter(FarSide* far) : far_(far) {}
  std::string_view name() const override { return "fake"; }
  void Export(std::vector<pb::Event> batch, Done done) override { done(far_->Take(batch)); }
  absl::Status Shutdown(Deadline) override { return absl::OkStatus(); }

 private:
  FarSide* const far_;
};

// Keeps every batch until it is shut down, as a broker that hangs would.
class HangingExporter final : public Exporter {
 public:
  std::string_view name() const override { return "hanging"; }
  void Export(std::vector<pb::Event>, Done done) override { waiting_.push_back(std::move(done)); }
  absl::Status Shutdown(Deadline) override {
    for (Done& done : std::exchange(waiting_, {})) {
      done(absl::UnavailableError("hangs"));
    }
    return absl::OkStatus();
  }

 private:
  std::vector<Done> waiting_;
};

class DeliveryTest : public testing::Test {
 protected:
  DeliveryTest() {
    std::string name = testing::TempDir() + "/delivery_test.XXXXXX";
    dir_ = mkdtemp(name.data());
    db_ = SqliteDatabase::Open(dir_ + "/vedette.db").value();
    options_.initial_backoff = absl::Milliseconds(1);
    options_.max_backoff = absl::Milliseconds(10);
  }
  ~DeliveryTest() override {
    delivery_.reset();
    db_.reset();
    std::filesystem::remove_all(dir_);
  }

  void Start(std::vector<NamedExporter> sinks) {
    auto delivery = Delivery::Start(*db_, std::move(sinks), options_);
    ASSERT_TRUE(delivery.ok()) << delivery.status();
    delivery_ = *std::move(delivery);
  }
  void StartFake() {
    std::vector<NamedExporter> sinks;
    sinks.push_back({"fake", std::make_unique<FakeExporter>(&far_)});
    Start(std::move(sinks));
  }
  void Append(int first, int count) {
    ASSERT_TRUE(db_->Begin().ok());
    for (int i = first; i < first + count; ++i) {
      pb::Event event;
      event.set_uid(std::to_string(i));
      event.mutable_finding()->set_severity(pb::SEVERITY_LOW);
      ASSERT_TRUE(delivery_->Append(event).ok());
    }
    ASSERT_TRUE(db_->Commit().ok());
    delivery_->Committed();
  }
  SinkAccount Account(const std::string& sink) {
    const std::vector<SinkAccount> accounts = delivery_->Accounts().value();
    for (const SinkAccount& account : accounts) {
      if (account.sink == sink) {
        return account;
      }
    }
    ADD_FAILURE() << "no sink " << sink;
    return {};
  }
  void Stop() { delivery_->Stop(Deadline::In(kBound)); }

  std::string dir_;
  std::unique_ptr<SqliteDatabase> db_;
  FarSide far_;
  DeliveryOptions options_;
  std::unique_ptr<Delivery> delivery_;
};

TEST_F(DeliveryTest, WhatIsCommittedArrivesInOrderAndBalances) {
  StartFake();
  Append(0, 2500);
  Append(2500, 500);
  ASSERT_TRUE(far_.WaitForTaken(3000));
  Stop();
  const std::vector<std::string> taken = far_.taken();
  ASSERT_EQ(taken.size(), 3000u);
  for (int i = 0; i < 3000; ++i) {
    ASSERT_EQ(taken[i], std::to_string(i));
  }
  EXPECT_EQ(Account("fake").received, 3000u);
  EXPECT_EQ(Account("fake").delivered, 3000u);
  EXPECT_EQ(Account("fake").lag(), 0u);
}

TEST_F(DeliveryTest, WhileTheFarSideIsAwayNothingIsLost) {
  far_.Answer(absl::UnavailableError("far side: away"));
  StartFake();
  Append(0, 10);
  ASSERT_TRUE(far_.WaitForTries(5));
  const SinkStats stats = delivery_->Stats()[0];
  EXPECT_FALSE(stats.available);
  EXPECT_EQ(stats.trouble, "far side: away");
  EXPECT_GE(stats.retries, 1u);
  EXPECT_EQ(stats.account.lag(), 10u);
  far_.Answer(absl::OkStatus());
  ASSERT_TRUE(far_.WaitForTaken(10));
  Stop();
  EXPECT_TRUE(delivery_->Stats()[0].available);
  EXPECT_EQ(far_.taken().size(), 10u);
  EXPECT_EQ(Account("fake").delivered, 10u);
}

TEST_F(DeliveryTest, ASpoolThatCannotBeReadIsATroubleUntilItCan) {
  StartFake();
  ASSERT_TRUE(db_->Exec("ALTER TABLE spool RENAME TO elsewhere").ok());
  delivery_->Committed();
  const auto stats_when = [this](bool ok) {
    const absl::Time bound = absl::Now() + kBound;
    while (delivery_->Stats()[0].ok() != ok && absl::Now() < bound) {
      std::this_thread::yield();
    }
    return delivery_->Stats()[0];
  };
  const SinkStats stats = stats_when(false);
  EXPECT_FALSE(stats.ok());
  EXPECT_TRUE(stats.available) << "the sink itself is not to blame";
  EXPECT_GE(stats.store_errors, 1u);
  EXPECT_THAT(stats.problem(), testing::AllOf(testing::HasSubstr("the spool cannot be used"),
                                              testing::HasSubstr("store.dir")));
  ASSERT_TRUE(db_->Exec("ALTER TABLE elsewhere RENAME TO spool").ok());
  Append(0, 10);
  ASSERT_TRUE(far_.WaitForTaken(10));
  EXPECT_TRUE(stats_when(true).ok());
  EXPECT_EQ(stats_when(true).problem(), "");
  Stop();
  EXPECT_EQ(Account("fake").delivered, 10u);
}

TEST_F(DeliveryTest, WhatIsRefusedIsDroppedAloneAndCounted) {
  far_.Poison("3");
  far_.Poison("7");
  StartFake();
  Append(0, 10);
  ASSERT_TRUE(far_.WaitForTaken(8));
  Stop();
  EXPECT_THAT(far_.taken(), ElementsAre("0", "1", "2", "4", "5", "6", "8", "9"));
  EXPECT_EQ(Account("fake").delivered, 8u);
  EXPECT_THAT(Account("fake").dropped, ElementsAre(Pair(kDropRejected, 2)));
  EXPECT_EQ(Account("fake").lag(), 0u);
}

TEST_F(DeliveryTest, ADamagedRowIsDroppedAndCounted) {
  far_.Answer(absl::UnavailableError("away"));
  StartFake();
  Append(0, 3);
  Stop();
  delivery_.reset();
  ASSERT_TRUE(db_->Exec("UPDATE spool SET event = x'ffff' WHERE sequence = 2").ok());
  far_.Answer(absl::OkStatus());
  StartFake();
  ASSERT_TRUE(far_.WaitForTaken(2));
  Stop();
  EXPECT_THAT(far_.taken(), ElementsAre("0", "2"));
  EXPECT_THAT(Account("fake").dropped, ElementsAre(Pair(kDropUnreadable, 1)));
}

TEST_F(DeliveryTest, AStopIsBoundedAndTheNextRunGoesOn) {
  std::vector<NamedExporter> sinks;
  sinks.push_back({"fake", std::make_unique<HangingExporter>()});
  Start(std::move(sinks));
  Append(0, 5);
  const absl::Time start = absl::Now();
  delivery_->Stop(Deadline::In(absl::Milliseconds(50)));
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  delivery_.reset();
  StartFake();
  ASSERT_TRUE(far_.WaitForTaken(5));
  Stop();
  EXPECT_THAT(far_.taken(), ElementsAre("0", "1", "2", "3", "4"));
}

TEST_F(DeliveryTest, ASinkThatIsAwayDoesNotHoldUpAnother) {
  far_.Answer(absl::UnavailableError("away"));
  std::vector<NamedExporter> sinks;
  sinks.push_back({"fake", std::make_unique<FakeExporter>(&far_)});
  FarSide other;
  sinks.push_back({"other", std::make_unique<FakeExporter>(&other)});
  sinks.push_back(
      {"jsonl", std::make_unique<JsonlExporter>(JsonlOptions{dir_ + "/findings.jsonl"})});
  Start(std::move(sinks));
  Append(0, 100);
  ASSERT_TRUE(other.WaitForTaken(100));
  Stop();
  EXPECT_EQ(Account("fake").lag(), 100u);
  EXPECT_EQ(Account("other").lag(), 0u);
  EXPECT_EQ(Account("jsonl").lag(), 0u);
  std::ifstream file(dir_ + "/findings.jsonl");
  EXPECT_EQ(std::count(std::istreambuf_iterator<char>(file), {}, '\n'), 100);
  delivery_.reset();
}

TEST_F(DeliveryTest, AFullSpoolIsInTheAccount) {
  options_.max_bytes = 4096;
  far_.Answer(absl::UnavailableError("away"));
  StartFake();
  Append(0, 1000);
  far_.Answer(absl::OkStatus());
  const SinkAccount account = Account("fake");
  EXPECT_EQ(account.received, 1000u);
  EXPECT_GT(account.dropped.at(kDropSpoolFull), 900u);
  ASSERT_TRUE(far_.WaitForTaken(1000 - account.dropped.at(kDropSpoolFull)));
  Stop();
  EXPECT_EQ(Account("fake").lag(), 0u);
  EXPECT_EQ(Account("fake").delivered + Account("fake").dropped.at(kDropSpoolFull), 1000u);
}

}  // namespace
}  // namespace vedette
