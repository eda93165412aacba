// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/base/mutex.h"
#include "exporters/api/exporter.h"

// The shared contract of every exporter. A transport's test writes an ExporterHarness and says
//   INSTANTIATE_TEST_SUITE_P(Name, ExporterContractTest, testing::Values(factory));
namespace vedette {

// An exporter with its far side, which the contract can take away and bring back.
class ExporterHarness {
 public:
  virtual ~ExporterHarness() = default;
  virtual std::unique_ptr<Exporter> Make() = 0;
  virtual void TakeFarSideAway() = 0;
  virtual void BringFarSideBack() = 0;
  // The JSON of all events on the far side, in order per key.
  virtual std::vector<std::string> Delivered() = 0;
  // Upper bound of an Export while the far side is away.
  virtual absl::Duration AnswerBound() const = 0;
};

using ExporterHarnessFactory = std::function<std::unique_ptr<ExporterHarness>()>;

// Counts how often each `done` ran and with what. Thread-safe; outlives the exporter.
class ContractAnswers {
 public:
  explicit ContractAnswers(size_t batches) : answers_(batches) {}

  Exporter::Done Slot(size_t batch) {
    return [this, batch](absl::Status status) {
      MutexLock lock(&mutex_);
      answers_[batch].push_back(std::move(status));
    };
  }

  // True when every batch has an answer.
  bool WaitForAll(absl::Duration bound) {
    MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout([this] { return AllAnswered(); }, bound);
  }

  std::vector<absl::Status> Of(size_t batch) const {
    MutexLock lock(&mutex_);
    return answers_[batch];
  }

 private:
  bool AllAnswered() const {
    for (const auto& answers : answers_) {
      if (answers.empty()) {
        return false;
      }
    }
    return true;
  }

  mutable Mutex mutex_;
  std::vector<std::vector<absl::Status>> answers_;
};

class ExporterContractTest : public testing::TestWithParam<ExporterHarnessFactory> {
 protected:
  static constexpr absl::Duration kBound = absl::Seconds(30);

  ExporterContractTest() : harness_(GetParam()()) {}

  // `size` findings "event-FIRST" … of one key, so that their order is to be kept.
  static std::vector<pb::Event> Batch(int first, int size) {
    std::vector<pb::Event> batch(size);
    for (int i = 0; i < size; ++i) {
      pb::Event& event = batch[i];
      event.set_uid("event-" + std::to_string(first + i));
      event.set_key("host/contract");
      event.set_time_unix_ns(1'780'000'000'000'000'000 + i);
      event.mutable_finding()->set_uid(event.uid());
      event.mutable_finding()->set_sentence("two\nlines and \xff");
    }
    return batch;
  }

  // The place of each event's first delivery; -1 where it never arrived.
  std::vector<int> FirstPlaces(int events) {
    const std::vector<std::string> delivered = harness_->Delivered();
    std::vector<int> places;
    for (int i = 0; i < events; ++i) {
      const std::string uid = "\"uid\":\"event-" + std::to_string(i) + "\"";
      int place = -1;
      for (size_t at = 0; at < delivered.size() && place < 0; ++at) {
        place = delivered[at].find(uid) != std::string::npos ? static_cast<int>(at) : -1;
      }
      places.push_back(place);
    }
    return places;
  }

  std::unique_ptr<ExporterHarness> harness_;
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ExporterContractTest);

TEST_P(ExporterContractTest, EveryBatchIsAnsweredOnceAndArrivesInOrder) {
  constexpr int kBatches = 20, kSize = 50;
  ContractAnswers answers(kBatches);
  std::unique_ptr<Exporter> exporter = harness_->Make();
  EXPECT_FALSE(exporter->name().empty());
  for (int i = 0; i < kBatches; ++i) {
    exporter->Export(Batch(i * kSize, kSize), answers.Slot(i));
  }
  ASSERT_TRUE(answers.WaitForAll(kBound));
  EXPECT_TRUE(exporter->Shutdown(Deadline::In(kBound)).ok());
  exporter.reset();
  for (int i = 0; i < kBatches; ++i) {
    ASSERT_EQ(answers.Of(i).size(), 1u) << "batch " << i;
    EXPECT_TRUE(answers.Of(i)[0].ok()) << answers.Of(i)[0];
  }
  const std::vector<int> places = FirstPlaces(kBatches * kSize);
  EXPECT_GE(places[0], 0);
  for (size_t i = 1; i < places.size(); ++i) {
    ASSERT_GT(places[i], places[i - 1]) << "event " << i << " is missing or out of order";
  }
}

TEST_P(ExporterContractTest, AnEmptyBatchIsDeliveredAtOnce) {
  ContractAnswers answers(1);
  std::unique_ptr<Exporter> exporter = harness_->Make();
  exporter->Export({}, answers.Slot(0));
  ASSERT_TRUE(answers.WaitForAll(kBound));
  EXPECT_TRUE(answers.Of(0)[0].ok()) << answers.Of(0)[0];
  EXPECT_TRUE(exporter->Shutdown(Deadline::In(kBound)).ok());
}

TEST_P(ExporterContractTest, AFarSideThatIsAwayIsUnavailableAndThenServedAgain) {
  std::unique_ptr<Exporter> exporter = harness_->Make();
  ContractAnswers before(1), away(1), after(1);
  exporter->Export(Batch(0, 10), before.Slot(0));
  ASSERT_TRUE(before.WaitForAll(kBound));
  ASSERT_TRUE(before.Of(0)[0].ok()) << before.Of(0)[0];

  harness_->TakeFarSideAway();
  exporter->Export(Batch(10, 10), away.Slot(0));
  ASSERT_TRUE(away.WaitForAll(harness_->AnswerBound()));
  EXPECT_TRUE(absl::IsUnavailable(away.Of(0)[0])) << away.Of(0)[0];
  EXPECT_FALSE(away.Of(0)[0].message().empty());

  harness_->BringFarSideBack();
  exporter->Export(Batch(10, 10), after.Slot(0));
  ASSERT_TRUE(after.WaitForAll(kBound));
  EXPECT_TRUE(after.Of(0)[0].ok()) << after.Of(0)[0];
  EXPECT_TRUE(exporter->Shutdown(Deadline::In(kBound)).ok());
  exporter.reset();
  EXPECT_EQ(away.Of(0).size(), 1u);
  const std::vector<int> places = FirstPlaces(20);
  for (size_t i = 1; i < places.size(); ++i) {
    ASSERT_GT(places[i], places[i - 1]) << "event " << i;
  }
}

TEST_P(ExporterContractTest, ShutdownIsBoundedAndAnswersWhatIsUnderWay) {
  std::unique_ptr<Exporter> exporter = harness_->Make();
  harness_->TakeFarSideAway();
  ContractAnswers answers(4);
  for (int i = 0; i < 3; ++i) {
    exporter->Export(Batch(i * 10, 10), answers.Slot(i));
  }
  const absl::Time start = absl::Now();
  exporter->Shutdown(Deadline::In(absl::Milliseconds(200))).IgnoreError();
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  exporter->Export(Batch(30, 10), answers.Slot(3));
  ASSERT_TRUE(answers.WaitForAll(absl::Seconds(5)));
  exporter.reset();
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(answers.Of(i).size(), 1u) << "batch " << i;
    EXPECT_TRUE(absl::IsUnavailable(answers.Of(i)[0])) << answers.Of(i)[0];
  }
}

}  // namespace vedette
