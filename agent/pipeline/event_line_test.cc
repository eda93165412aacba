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
  for (const FlowStage stage : {FlowStage::kOpen, FlowStage::kAccepted, FlowStage::kListening,
                                FlowStage::kEstablished, FlowStage::kClosed}) {
    FlowEvent flow;
    flow.stage = stage;
    ExpectToBeAskedFor(flow);
  }
  EXPECT_TRUE(CheckEventKinds({}).ok());
}

TEST(EventLineTest, AKindThatThereIsNotIsRefused) {
  const absl::Status status = CheckEventKinds({"exec", "exce\x1b"});
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("no event is of the kind exce\\x1b; write one of exec, fork"));
}

}  // namespace
}  // namespace vedette
