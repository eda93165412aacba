// SPDX-License-Identifier: Apache-2.0
#include "agent/api/event_hub.h"

#include <gtest/gtest.h>

#include "agent/base/workload_name.h"

#include <thread>

namespace vedette {
namespace {

TEST(EventHubTest, NamesWorkloadByWholeNameOrLastParts) {
  EXPECT_TRUE(NamesWorkload("host/system.slice/nginx.service", "host/system.slice/nginx.service"));
  EXPECT_TRUE(NamesWorkload("nginx.service", "host/system.slice/nginx.service"));
  EXPECT_TRUE(NamesWorkload("system.slice/nginx.service", "host/system.slice/nginx.service"));
  EXPECT_FALSE(NamesWorkload("x.service", "host/system.slice/nginx.service"));
  EXPECT_FALSE(NamesWorkload("host", "host/system.slice"));
  EXPECT_FALSE(NamesWorkload("host/a/b", "b"));
}

TEST(EventHubTest, MakesALineOnceAndOnlyForWatchers) {
  EventHub hub;
  int made = 0;
  auto make = [&] {
    ++made;
    return std::string("line");
  };
  hub.Publish("w", "exec", make);
  EXPECT_EQ(made, 0);
  auto a = hub.Subscribe({});
  auto b = hub.Subscribe({.workloads = {"w"}, .kinds = {}});
  auto c = hub.Subscribe({.workloads = {}, .kinds = {"connect"}});
  hub.Publish("w", "exec", make);
  EXPECT_EQ(made, 1);
  EXPECT_EQ(a->Next(absl::ZeroDuration()), "line");
  EXPECT_EQ(b->Next(absl::ZeroDuration()), "line");
  EXPECT_EQ(c->Next(absl::ZeroDuration()), std::nullopt);
}

TEST(EventHubTest, ASlowWatcherLosesCountedLinesAndNobodyElseDoes) {
  EventHub hub;
  auto slow = hub.Subscribe({});
  for (size_t i = 0; i < EventHub::kQueueLimit + 5; ++i) {
    hub.Publish("w", "exec", [&] { return std::to_string(i); });
  }
  auto fresh = hub.Subscribe({});
  hub.Publish("w", "exec", [] { return "last"; });
  EXPECT_EQ(fresh->Next(absl::ZeroDuration()), "last");
  EXPECT_EQ(fresh->dropped(), 0u);
  EXPECT_EQ(slow->dropped(), 6u);
  size_t read = 0;
  while (slow->Next(absl::ZeroDuration()).has_value()) {
    ++read;
  }
  EXPECT_EQ(read, EventHub::kQueueLimit);
}

TEST(EventHubTest, TellsWhenTapsOpenAndClose) {
  int changes = 0;
  EventHub hub([&] { ++changes; });
  auto stream = hub.Subscribe({.workloads = {"w"}, .kinds = {}});
  EXPECT_EQ(changes, 1);
  ASSERT_EQ(hub.filters().size(), 1u);
  EXPECT_EQ(hub.filters()[0].workloads, std::vector<std::string>{"w"});
  stream.reset();
  EXPECT_EQ(changes, 2);
  EXPECT_FALSE(hub.watched());
}

TEST(EventHubTest, CloseEndsWaitingReadersAfterTheirLines) {
  auto hub = std::make_unique<EventHub>();
  auto stream = hub->Subscribe({});
  std::thread closer([&] {
    hub->Publish("w", "exec", [] { return "last"; });
    hub.reset();
  });
  EXPECT_EQ(stream->Next(absl::Seconds(10)), "last");
  EXPECT_EQ(stream->Next(absl::Seconds(10)), std::nullopt);
  EXPECT_TRUE(stream->closed());
  closer.join();
}

}  // namespace
}  // namespace vedette
