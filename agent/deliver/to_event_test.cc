// SPDX-License-Identifier: Apache-2.0
#include "agent/deliver/to_event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <nlohmann/json.hpp>

#include "exporters/schema/encode.h"
#include "tests/support/events/json_schema.h"
#include "tests/support/events/ocsf_validator.h"

namespace vedette {
namespace {

using testing::IsEmpty;

EventSource Source() {
  return {"node\xff", "boot-1", "0.1.0", absl::FromUnixSeconds(1'780'000'000)};
}

Finding Deviation() {
  Finding finding;
  finding.uid = "f-1";
  finding.severity = Severity::kHigh;
  finding.score = 12.5;
  finding.title = "New program: /tmp/\xff";
  finding.sentence = "/tmp/\xff\n was never run before.";
  finding.first_seen = absl::FromUnixSeconds(1'780'000'100);
  finding.last_seen = absl::FromUnixSeconds(1'780'000'200);
  finding.count = 3;
  finding.workload = {"host/a\xc3", "spiffe://x/host/a", 7};
  finding.instance = {42, "/a\xc3", "", "cgroup"};
  finding.behaviour.object = "/tmp/\xff";
  finding.process.id = {5'000'000'000, 99};
  finding.process.exec_id = "boot-1:5000000000:99";
  finding.process.pid = 99;
  finding.process.comm = "\xff";
  finding.process.code.path = "/tmp/\xff";
  finding.process.code.origin = CodeOrigin::kDeleted;
  finding.process.argv = {"a", "\xfe"};
  finding.ancestors.resize(2);
  finding.ancestors[0].pid = 98;
  finding.ancestors[1].pid = 1;
  finding.ancestors[1].unknown = true;
  return finding;
}

FlowEvent Connection() {
  FlowEvent flow;
  flow.protocol = IPPROTO_TCP;
  flow.local.address.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1};
  flow.local.port = 40000;
  flow.remote.address.bytes = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  flow.remote.port = 443;
  return flow;
}

TEST(ToEventTest, AnyFindingSurvivesTheSpoolAndObeysTheSchema) {
  for (const auto kind :
       {Finding::Kind::kDeviation, Finding::Kind::kCacheOverflow, Finding::Kind::kUnattributed,
        Finding::Kind::kMove, Finding::Kind::kLostNovelty}) {
    for (const auto channel : kChannels) {
      Finding finding = Deviation();
      finding.kind = kind;
      finding.behaviour.channel = channel;
      finding.flow = Connection();
      const pb::Event event = ToEvent(Source(), finding);
      pb::Event back;
      ASSERT_TRUE(back.ParseFromString(event.SerializeAsString()));
      EXPECT_EQ(back.finding().process().code().path(), "/tmp/\xff");
      EXPECT_THAT(OcsfErrors(EncodeJson(back)), IsEmpty()) << EncodeJson(back);
    }
  }
  Finding bare;
  bare.last_seen = absl::FromUnixSeconds(1'780'000'200);
  EXPECT_THAT(OcsfErrors(EncodeJson(ToEvent(Source(), bare))), IsEmpty());
}

TEST(ToEventTest, NamesAndTimesAreStable) {
  const pb::Event event = ToEvent(Source(), Deviation());
  EXPECT_EQ(event.uid(), "node\\xff/f-1/1780000100000000000/3");
  EXPECT_EQ(event.key(), "host/a\\xc3");
  EXPECT_EQ(event.node(), "node\\xff");
  EXPECT_EQ(event.finding().uid(), "f-1");
  EXPECT_EQ(event.finding().title(), "New program: /tmp/\\xff");
  EXPECT_EQ(event.finding().process().start_time_unix_ns(), 1'780'000'005'000'000'000);
  EXPECT_EQ(event.finding().process().code().origin(), "deleted");
  EXPECT_EQ(ToEvent(Source(), Deviation()).SerializeAsString(), event.SerializeAsString());
}

TEST(ToEventTest, TheSameFindingOfAnotherNodeOrAnotherLifeIsAnotherRecord) {
  const std::string uid = ToEvent(Source(), Deviation()).uid();
  EventSource other = Source();
  other.node = "node-2";
  EXPECT_NE(ToEvent(other, Deviation()).uid(), uid);
  // It left the store and came again, so that its count began anew.
  Finding again = Deviation();
  again.first_seen += absl::Hours(720);
  EXPECT_NE(ToEvent(Source(), again).uid(), uid);
  Finding update = Deviation();
  ++update.count;
  EXPECT_NE(ToEvent(Source(), update).uid(), uid);
  other.boot_id = "boot-2";
  pb::Ledger ledger;
  EXPECT_NE(ToEvent(other, ledger).uid(), ToEvent(Source(), ledger).uid());
}

TEST(ToEventTest, WhatAPersonSaidIsAnUpdateOfItsOwn) {
  Finding finding = Deviation();
  const std::string plain = ToEvent(Source(), finding).uid();
  finding.change = Finding::Change::kUpdated;
  finding.status_changes = 1;
  finding.dismissal =
      Dismissal{"f-1", "al\xff", 1000, absl::FromUnixSeconds(1'780'000'500), "ours \xff"};
  finding.status_change = {"al\xff", absl::FromUnixSeconds(1'780'000'500)};
  const pb::Event event = ToEvent(Source(), finding);
  EXPECT_EQ(event.uid(), plain + "/1");
  EXPECT_EQ(event.time_unix_ns(), 1'780'000'500'000'000'000) << "when it was said";
  EXPECT_EQ(event.finding().status_detail(), "dismissed by al\\xff");
  EXPECT_EQ(event.finding().dismissal().reason(), "ours \xff");
  EXPECT_EQ(event.finding().dismissal().uid(), 1000u);
  EXPECT_THAT(OcsfErrors(EncodeJson(event)), IsEmpty()) << EncodeJson(event);
  finding.dismissal.reset();
  finding.status_changes = 2;
  const pb::Event restored = ToEvent(Source(), finding);
  EXPECT_EQ(restored.uid(), plain + "/2");
  EXPECT_EQ(restored.finding().status_detail(), "restored by al\\xff");
  EXPECT_FALSE(restored.finding().has_dismissal());
}

TEST(ToEventTest, CredentialsThatAreNotKnownAreAbsentAndNotRoot) {
  Finding finding = Deviation();
  EXPECT_FALSE(ToEvent(Source(), finding).finding().process().has_uid());
  EXPECT_EQ(EncodeJson(ToEvent(Source(), finding)).find("\"user\""), std::string::npos);
  finding.process.credentials = Credentials{33, 34, 0, 34, 0, 1};
  const pb::Process process = ToEvent(Source(), finding).finding().process();
  EXPECT_EQ(process.uid(), 33u);
  EXPECT_EQ(process.gid(), 34u);
  EXPECT_TRUE(process.has_euid());
  EXPECT_EQ(process.cap_effective(), 1u);
}

TEST(ToEventTest, AFlowHasBothEndsAndAListenerOne) {
  Finding finding = Deviation();
  finding.flow = Connection();
  finding.peer = PeerInfo{finding.flow->remote, "db\xff.example", "host/db", "net"};
  pb::Flow flow = ToEvent(Source(), finding).finding().flow();
  EXPECT_EQ(flow.protocol(), "tcp");
  EXPECT_EQ(flow.local().ip(), "10.0.0.1");
  EXPECT_EQ(flow.remote().ip(), "2001:db8::1");
  EXPECT_EQ(flow.remote().dns_name(), "db\\xff.example");
  EXPECT_EQ(flow.remote().workload(), "host/db");
  finding.peer.reset();
  finding.flow->stage = FlowStage::kListening;
  flow = ToEvent(Source(), finding).finding().flow();
  EXPECT_EQ(flow.direction(), "inbound");
  EXPECT_FALSE(flow.has_remote());
}

TEST(ToEventTest, AFileThatWasActedOnIsNotTheProgram) {
  Finding finding = Deviation();
  finding.file.emplace();
  finding.file->verb = FileVerb::kCreate;
  finding.file->path = "/etc/cron.d/\xff\n";
  finding.file->mode = 0100644;
  finding.file->links = 1;
  const pb::Event event = ToEvent(Source(), finding);
  EXPECT_EQ(event.finding().file().verb(), "create");
  EXPECT_EQ(event.finding().file().path(), "/etc/cron.d/\xff\n");
  const std::string json = EncodeJson(event);
  EXPECT_THAT(OcsfErrors(json), IsEmpty()) << json;
  const auto evidence = nlohmann::json::parse(json)["evidences"][0];
  EXPECT_EQ(evidence["file"]["path"], "/etc/cron.d/\\xff\n");
  EXPECT_EQ(evidence["file"]["parent_folder"], "/etc/cron.d");
  EXPECT_EQ(evidence["file"]["type_id"], 1);
  EXPECT_EQ(evidence["process"]["file"]["path"], "/tmp/\\xff");
}

TEST(ToEventTest, ALedgerGetsAUidAndObeysItsSchema) {
  pb::Ledger ledger;
  ledger.set_from_unix_ns(1);
  ledger.set_to_unix_ns(2);
  ledger.add_entries()->set_stage("pipeline");
  ledger.mutable_entries(0)->set_counter("host/a\xff");
  ledger.add_gaps("host/a\xff: 3 records were lost");
  const pb::Event event = ToEvent(Source(), ledger);
  EXPECT_EQ(event.uid(), "node\\xff/ledger/boot-1/2");
  EXPECT_EQ(event.ledger().uid(), event.uid());
  EXPECT_EQ(event.ledger().gaps(0), "host/a\\xff: 3 records were lost");
  pb::Event back;
  ASSERT_TRUE(back.ParseFromString(event.SerializeAsString()));
  EXPECT_EQ(event.key(), "node\\xff");
  EXPECT_THAT(JsonSchemaErrors(EncodeJson(event), "exporters/schema/ledger.schema.json"),
              IsEmpty());
}

}  // namespace
}  // namespace vedette
