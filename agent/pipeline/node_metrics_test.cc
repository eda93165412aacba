// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/node_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vedette {
namespace {

using ::testing::HasSubstr;

TEST(NodeMetricsTest, ASinkWhoseSpoolFailsIsNotOkAndItsFailuresAreCounted) {
  NodeSample sample;
  SinkStats fine, broken;
  fine.account.sink = "jsonl";
  broken.account.sink = "kafka:vedette.findings";
  broken.store_trouble = "the spool cannot be used";
  broken.store_errors = 7;
  broken.retries = 2;
  sample.sinks = {fine, broken};
  const std::string text = MetricsText(sample);
  EXPECT_THAT(text, HasSubstr("vedette_sink_ok{sink=\"jsonl\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("vedette_sink_ok{sink=\"kafka:vedette.findings\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("vedette_sink_retries_total{sink=\"kafka:vedette.findings\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("vedette_sink_store_errors_total{sink=\"jsonl\"} 0\n"));
  EXPECT_THAT(text,
              HasSubstr("vedette_sink_store_errors_total{sink=\"kafka:vedette.findings\"} 7\n"));
}

}  // namespace
}  // namespace vedette
