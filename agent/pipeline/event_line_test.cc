// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/event_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vedette {
namespace {

using ::testing::HasSubstr;

void ExpectToBeAskedFor(const decltype(Event::body)& body) {
  Event event;
  event.body = body;
  const std::string kind(EventKind(event));
  EXPECT_TRUE(CheckEventKinds({kind}).ok()) << kind;
}

TEST(EventLineTest, OneMayAskForEveryKindThatThereIs) {
  for (const auto& body : std::initializer_list<decltype(Event::body)>{
           ExecEvent(), ProcessSeenEvent(), ForkEvent(), ExitEvent(), CredentialEvent(), DnsEvent(),
           CgroupEvent(), MoveEvent(), OverflowEvent()}) {
    ExpectToBeAskedFor(body);
  }
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

TEST(EventLineTest, AKindThatThereIsNotIsRefused) {
  const absl::Status status = CheckEventKinds({"exec", "exce\x1b"});
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("no event is of the kind exce\\x1b; write one of exec, fork"));
}

}  // namespace
}  // namespace vedette
