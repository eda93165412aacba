// SPDX-License-Identifier: Apache-2.0
#include "exporters/schema/ledger_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "exporters/schema/encode.h"
#include "tests/support/events/json_schema.h"
#include "tests/support/events/sample_events.h"

namespace vedette {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kSchema[] = "exporters/schema/ledger.schema.json";

TEST(LedgerJsonTest, EveryLedgerObeysItsSchema) {
  for (const pb::Event& event : SampleLedgers()) {
    EXPECT_THAT(JsonSchemaErrors(LedgerJson(event), kSchema), IsEmpty()) << LedgerJson(event);
    EXPECT_EQ(LedgerJson(event), EncodeJson(event));
    EXPECT_EQ(json::parse(LedgerJson(event))["schema"], std::string(SchemaId(event)));
  }
}

TEST(LedgerJsonTest, AGapIsNamedAndCounted) {
  const json ledger = json::parse(LedgerJson(SampleLedgers()[1]));
  EXPECT_EQ(ledger["entries"][0]["received"], 10);
  EXPECT_EQ(ledger["entries"][0]["delivered"], 7);
  EXPECT_EQ(ledger["entries"][0]["dropped"]["ring-full"], 2);
  EXPECT_EQ(ledger["gaps"][0], "kernel: 3 records of cpu0/news were lost");
}

TEST(LedgerJsonTest, TheSchemaRefusesWhatIsNotALedger) {
  json bad = json::parse(LedgerJson(SampleLedgers()[1]));
  bad["entries"][0]["dropped"]["ring-full"] = -1;
  EXPECT_THAT(JsonSchemaErrors(bad.dump(), kSchema), Contains(HasSubstr("minimum")));
  bad.erase("node");
  EXPECT_THAT(JsonSchemaErrors(bad.dump(), kSchema), Contains("/node is required"));
  bad["class_name"] = "x";
  EXPECT_THAT(JsonSchemaErrors(bad.dump(), kSchema), Contains(HasSubstr("/class_name is not a")));
  bad["schema"] = "ocsf";
  EXPECT_THAT(JsonSchemaErrors(bad.dump(), kSchema), Contains(HasSubstr("/schema is not one of")));
}

}  // namespace
}  // namespace vedette
