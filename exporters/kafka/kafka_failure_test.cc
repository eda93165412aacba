// SPDX-License-Identifier: Apache-2.0
#include "exporters/kafka/kafka_failure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

namespace vedette {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(KafkaFailureTest, WhatOnlyFollowsFromAnotherFaultDoesNotHideIt) {
  const int by_weight[] = {RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR__PURGE_QUEUE,
                           RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT};
  for (int i = 1; i < 4; ++i) {
    EXPECT_GT(KafkaErrorWeight(by_weight[i]), KafkaErrorWeight(by_weight[i - 1])) << i;
  }
}

TEST(KafkaFailureTest, WhatIsGivenUpAtTheEndKeepsTheReasonThatWasKnown) {
  const KafkaPlace place = {"k:9092", ""};
  for (const int error : {RD_KAFKA_RESP_ERR__PURGE_QUEUE, RD_KAFKA_RESP_ERR__PURGE_INFLIGHT}) {
    KafkaTrouble trouble;
    const absl::Status unknown = KafkaStatus(place, {error, "topic", 0, ""}, trouble);
    EXPECT_TRUE(absl::IsUnavailable(unknown)) << "it is sent again";
    EXPECT_EQ(unknown.message(),
              "Kafka at k:9092 had not acknowledged all when the agent stopped; it is sent after "
              "the next start");
    trouble.reason = "Connect to k:9092 failed: Connection refused";
    const absl::Status known = KafkaStatus(place, {error, "topic", 0, ""}, trouble);
    EXPECT_TRUE(absl::IsUnavailable(known));
    EXPECT_THAT(std::string(known.message()),
                AllOf(HasSubstr("Connection refused; start the broker"), Not(HasSubstr("urged"))));
  }
}

}  // namespace
}  // namespace vedette
