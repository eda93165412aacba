// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/event_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "agent/enrich/dns_message.h"
#include "agent/enrich/dns_test_messages.h"
#include "agent/enrich/resolvers.h"
#include "agent/pipeline/event_summary.h"

namespace vedette {
namespace {

using ::testing::HasSubstr;

void ExpectToBeAskedFor(const decltype(Event::body)& body) {
  Event event;
  event.body = body;
  const std::string kind(EventKind(event));
  EXPECT_TRUE(CheckEventKinds({kind}).ok()) << kind;
}

TEST(EventLineTest, OneMayAskForEveryActAndStage) {
  for (const PrivilegeAct act : {PrivilegeAct::kModuleLoad, PrivilegeAct::kIoUring,
                                 PrivilegeAct::kSignal, PrivilegeAct::kCapability}) {
    PrivilegeEvent privilege;
    privilege.act = act;
    ExpectToBeAskedFor(privilege);
  }
  for (const FlowStage stage : {FlowStage::kOpen, FlowStage::kAccepted, FlowStage::kListening,
                                FlowStage::kEstablished, FlowStage::kClosed}) {
    FlowEvent flow;
    flow.stage = stage;
    ExpectToBeAskedFor(flow);
  }
  EXPECT_TRUE(CheckEventKinds({}).ok());
}

TEST(EventLineTest, APrivilegedActSaysWhatItWasAndToWhom) {
  ScoredEvent scored;
  PrivilegeEvent act;
  act.act = PrivilegeAct::kSignal;
  act.signal = 9;
  act.target = {5, 42};
  act.target_comm = "d\xff";
  scored.enriched.event.body = act;
  scored.enriched.process.code.path = "/bin/x";
  scored.enriched.target_workload = "host/db";
  EXPECT_THAT(EventLine(scored), HasSubstr(R"("kind":"signal")"));
  EXPECT_THAT(EventLine(scored), HasSubstr("/bin/x sent SIGKILL to d\\\\xff (pid 42) of host/db"));
  EXPECT_THAT(EventLine(scored), HasSubstr(R"("target_workload":"host/db")"));
  act.act = PrivilegeAct::kModuleLoad;
  act.module = "dummy";
  scored.enriched.event.body = act;
  EXPECT_THAT(EventLine(scored), HasSubstr("/bin/x loaded the kernel module dummy"));
  act.act = PrivilegeAct::kCapability;
  act.capability = 13;
  scored.enriched.event.body = act;
  EXPECT_THAT(EventLine(scored), HasSubstr("/bin/x used CAP_NET_RAW"));
}

std::string SummaryOf(const EventBody& body) {
  EnrichedEvent event;
  event.event.body = body;
  event.process.code.path = "/bin/x";
  return EventSummary(event);
}

TEST(EventLineTest, AnExitSaysHowAndAfterWhatTime) {
  ExitEvent exit;
  exit.status = 3 << 8;
  exit.lifetime = absl::Microseconds(12345);
  EXPECT_EQ(SummaryOf(exit), "/bin/x ended with 3 after 12ms");
  exit.lifetime = absl::Nanoseconds(350'900);
  EXPECT_EQ(SummaryOf(exit), "/bin/x ended with 3 after 350us");
  exit.status = 9;
  exit.lifetime = absl::Minutes(61) + absl::Milliseconds(1500);
  EXPECT_EQ(SummaryOf(exit), "/bin/x was killed by SIGKILL after 1h1m1s");
  exit.status = 11 | 0x80;
  EXPECT_THAT(SummaryOf(exit), HasSubstr("killed by SIGSEGV")) << "with a core dump";

  ScoredEvent scored;
  scored.enriched.event.body = exit;
  EXPECT_THAT(EventLine(scored), HasSubstr(R"("signal":"SIGSEGV")"));
  exit.status = 3 << 8;
  scored.enriched.event.body = exit;
  EXPECT_THAT(EventLine(scored), HasSubstr(R"("code":3)"));
}

TEST(EventLineTest, ADnsMessageSaysWhatWasAskedAndAnswered) {
  DnsEvent dns;
  dns.resolver = {ParseIpAddress("10.0.0.53").value(), 53};
  dns.payload = DnsQueryBytes(7, "db.example", kDnsTypeA);
  EXPECT_EQ(SummaryOf(dns), "/bin/x → 10.0.0.53:53 A? db.example");
  dns.is_response = true;
  dns.payload = DnsResponseBytes(7, "db.example", kDnsTypeA,
                                 {{"db.example", kDnsTypeCname, 60, DnsName("a.example")},
                                  {"a.example", kDnsTypeA, 60, "\x0a\x01\x02\x03"},
                                  {"a.example", kDnsTypeA, 60, "\x0a\x01\x02\x04"}});
  EXPECT_EQ(SummaryOf(dns), "/bin/x ← 10.0.0.53:53 A? db.example: 10.1.2.3, 10.1.2.4");
  dns.payload = DnsResponseBytes(7, "db.example", kDnsTypeAaaa, {});
  EXPECT_EQ(SummaryOf(dns), "/bin/x ← 10.0.0.53:53 AAAA? db.example: no address");
  dns.payload[3] |= 3;  // The response code.
  EXPECT_EQ(SummaryOf(dns), "/bin/x ← 10.0.0.53:53 AAAA? db.example: no such name");
  dns.payload[3] |= 15;
  EXPECT_THAT(SummaryOf(dns), HasSubstr("db.example: error 15"));
  dns.payload = "\x1b[2J";
  EXPECT_EQ(SummaryOf(dns), "/bin/x ← 10.0.0.53:53 a message that is no ordinary query or answer");
}

TEST(EventLineTest, WhatIsNoActOfAProgramSaysWhatItIs) {
  MoveEvent move;
  move.to_cgroup_id = 42;
  EXPECT_EQ(SummaryOf(move), "/bin/x was moved to the cgroup with id 42");
  move.by_runtime = true;
  EXPECT_THAT(SummaryOf(move), HasSubstr("42, by a runtime"));
  CgroupEvent cgroup;
  cgroup.path = "/a.slice/b";
  EXPECT_EQ(SummaryOf(cgroup), "/a.slice/b made");
  cgroup.change = CgroupEvent::Change::kRemoved;
  EXPECT_EQ(SummaryOf(cgroup), "/a.slice/b removed");
  OverflowEvent overflow;
  overflow.cache = 1;
  overflow.limit = 1024;
  EXPECT_EQ(SummaryOf(overflow), "the cache flow is full with 1024 behaviours");
  overflow.lost = 5;
  EXPECT_EQ(SummaryOf(overflow), "5 news could be neither told nor kept");
}

nlohmann::json LineOf(const EnrichedEvent& event) {
  ScoredEvent scored;
  scored.enriched = event;
  return nlohmann::json::parse(EventLine(scored));
}

TEST(EventLineTest, TheHookIsToldWhereThereAreSeveral) {
  EnrichedEvent event;
  event.event.body = FileEvent();
  EXPECT_FALSE(LineOf(event).contains("hook"));
  event.event.header.hook = Hook::kLsmFileOpen;
  EXPECT_EQ(LineOf(event)["hook"], "lsm/file_open");
  event.event.header.hook = Hook::kSysExit;
  EXPECT_EQ(LineOf(event)["hook"], "sys_exit");
}

TEST(EventLineTest, WhoActedIsSaidInFull) {
  ExecEvent exec;
  exec.process.parent_tgid = 7;
  exec.process.tgid_in_namespace = 1;
  exec.process.namespaces = {11, 12, 13, 14};
  exec.process.tty = 136u << 20 | 3;
  exec.process.cgroup_id = 99;
  EnrichedEvent event;
  event.event.body = exec;
  event.process.credentials = {33, 34, 0, 35, 1, 2};
  event.process.argv = {"a"};
  event.process.argv_truncated = true;
  event.ancestors.resize(2);
  const nlohmann::json process = LineOf(event)["process"];
  EXPECT_EQ(process["parent_pid"], 7);
  EXPECT_EQ(process["pid_in_namespace"], 1);
  EXPECT_EQ(process["namespaces"]["net"], 13);
  EXPECT_EQ(process["tty"], "136:3");
  EXPECT_EQ(process["cgroup_id"], 99);
  EXPECT_EQ(process["credentials"]["uid"], 33);
  EXPECT_EQ(process["credentials"]["cap_effective"], 2);
  EXPECT_EQ(process["argv_truncated"], true);
  EXPECT_EQ(LineOf(event)["ancestors"].size(), 2u);
}

TEST(EventLineTest, AFlowSaysWhoUsesItAndAChangeOfCredentialsWhatChanged) {
  EnrichedEvent event;
  event.event.body = FlowEvent();
  EXPECT_FALSE(LineOf(event)["flow"].contains("user"));
  event.user.emplace().pid = 42;
  EXPECT_EQ(LineOf(event)["flow"]["user"]["pid"], 42);
  CredentialEvent change;
  change.before.gid = 5;
  change.process.credentials.gid = 6;
  event.event.body = change;
  EXPECT_EQ(LineOf(event)["credential"]["before"]["gid"], 5);
  EXPECT_EQ(LineOf(event)["credential"]["after"]["gid"], 6);
}

TEST(EventLineTest, ADnsMessageIsToldInItsParts) {
  DnsEvent dns;
  dns.resolver = {ParseIpAddress("10.0.0.53").value(), 53};
  dns.is_response = true;
  dns.payload = DnsResponseBytes(7, "db.example", kDnsTypeA,
                                 {{"db.example", kDnsTypeCname, 60, DnsName("a.example")},
                                  {"a.example", kDnsTypeA, 60, "\x0a\x01\x02\x03"}});
  EnrichedEvent event;
  event.event.body = dns;
  const nlohmann::json facts = LineOf(event)["dns"];
  EXPECT_EQ(facts["resolver"], "10.0.0.53:53");
  EXPECT_EQ(facts["name"], "db.example");
  EXPECT_EQ(facts["rcode"], 0);
  EXPECT_EQ(facts["answers"][0]["alias_of"], "a.example");
  EXPECT_EQ(facts["answers"][1]["address"], "10.1.2.3");
  dns.payload = "x";
  event.event.body = dns;
  EXPECT_EQ(LineOf(event)["dns"]["unreadable"], true);
}

template <size_t... kAlternative>
void ExpectFactsOfAll(std::index_sequence<kAlternative...>) {
  const auto expect = [](const EventBody& body) {
    EnrichedEvent event;
    event.event.body = body;
    EXPECT_TRUE(LineOf(event).contains("process")) << body.index();
    ExpectToBeAskedFor(body);
  };
  (expect(std::variant_alternative_t<kAlternative, EventBody>()), ...);
}

TEST(EventLineTest, EveryKindHasItsFactsAndCanBeAskedFor) {
  ExpectFactsOfAll(std::make_index_sequence<std::variant_size_v<EventBody>>());
}

TEST(EventLineTest, AKindThatThereIsNotIsRefused) {
  const absl::Status status = CheckEventKinds({"exec", "exce\x1b"});
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("no event is of the kind exce\\x1b; write one of exec, fork"));
}

}  // namespace
}  // namespace vedette
