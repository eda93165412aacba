// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/behaviour_of.h"

#include <gtest/gtest.h>

#include "agent/profile/profile_test_events.h"

namespace vedette {
namespace {

CredentialEvent Change(Credentials before, Credentials after) {
  CredentialEvent change;
  change.before = before;
  change.process.credentials = after;
  return change;
}

std::string CredentialObject(Credentials before, Credentials after) {
  const auto b = BehaviourOf(TestEvents().With(Change(before, after)));
  return b ? b->object : "none";
}

TEST(BehaviourOfTest, AnExecIsAnEdgeFromParentToChildWithItsScript) {
  EnrichedEvent e = TestEvents().Exec("/bin/sh", "bb22");
  e.process.code.script = "/tmp/x\n.sh";
  const auto b = BehaviourOf(e);
  ASSERT_TRUE(b);
  EXPECT_EQ(
      *b, (Behaviour{Channel::kExec, "/usr/sbin/nginx", "aa11", "/bin/sh", "bb22", "/tmp/x\n.sh"}));
}

TEST(BehaviourOfTest, AnExecByAnUnknownParentHasNoSubject) {
  EnrichedEvent e = TestEvents().Exec("/bin/sh");
  e.parent_code.reset();
  EXPECT_EQ(BehaviourOf(e)->subject, "");
}

TEST(BehaviourOfTest, CodeThatIsNotThePlainFileDoesNotPassForIt) {
  EnrichedEvent e = TestEvents().Exec("/usr/bin/id");
  e.process.code.origin = CodeOrigin::kDeleted;
  EXPECT_EQ(BehaviourOf(e)->object, "deleted:/usr/bin/id");
  e.process.code.origin = CodeOrigin::kMemfd;
  EXPECT_EQ(BehaviourOf(e)->object, "memfd:/usr/bin/id");
  e.process.code.origin = CodeOrigin::kImage;
  EXPECT_EQ(BehaviourOf(e)->object, "/usr/bin/id");
  std::get<ExecEvent>(e.event.body).path_truncated = true;
  EXPECT_EQ(BehaviourOf(e)->object, "cut:/usr/bin/id");
}

TEST(BehaviourOfTest, FlowsByDirectionPeerAndPort) {
  const TestEvents events;
  const auto connect = BehaviourOf(events.Connect("db.example", 5432));
  EXPECT_EQ(*connect, (Behaviour{Channel::kConnect, "/usr/sbin/nginx", "aa11",
                                 "dns:db.example:5432/tcp", "", ""}));
  EXPECT_EQ(BehaviourOf(events.Flow(FlowStage::kFailed, "db.example", 5432)), connect);

  EnrichedEvent accepted = events.Flow(FlowStage::kAccepted, "", 8080);
  accepted.peer->network = "10.1.2.0/24";
  const auto accept = BehaviourOf(accepted);
  EXPECT_EQ(accept->channel, Channel::kAccept);
  EXPECT_EQ(accept->object, "net:10.1.2.0/24 -> 8080/tcp");

  EnrichedEvent udp = events.Flow(FlowStage::kListening, "", 53);
  std::get<FlowEvent>(udp.event.body).protocol = IPPROTO_UDP;
  const auto listen = BehaviourOf(udp);
  EXPECT_EQ(listen->channel, Channel::kListen);
  EXPECT_EQ(listen->object, "53/udp");
}

TEST(BehaviourOfTest, APeerWithoutNamesGoesByItsAddress) {
  EnrichedEvent e = TestEvents().Connect("", 443);
  e.peer.reset();
  auto& address = std::get<FlowEvent>(e.event.body).remote.address.bytes;
  address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1};
  EXPECT_EQ(BehaviourOf(e)->object, "net:192.0.2.1:443/tcp");
}

TEST(BehaviourOfTest, CredentialChangesSayWhatChanged) {
  EXPECT_EQ(CredentialObject({1000, 1000, 1000, 1000, 0, 0}, {0, 1000, 0, 1000, 0, 1 << 12}),
            "uid 1000 -> 0, +cap_net_admin");
  EXPECT_EQ(CredentialObject({1000, 1000, 1000, 1000, 0, 0}, {1000, 1000, 0, 1000, 0, 0}),
            "euid 1000 -> 0");
  EXPECT_EQ(CredentialObject({0, 0, 0, 0, 0, 0x1ff}, {0, 0, 0, 0, 0, 0}), "-caps 0x1ff");
  EXPECT_EQ(CredentialObject({0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 1 << 21, 0}),
            "permitted +cap_sys_admin");
  EXPECT_EQ(CredentialObject({0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 1ull << 63}), "+cap_63");
  EXPECT_EQ(CredentialObject({5, 5, 5, 5, 0, 0}, {5, 5, 5, 5, 0, 0}), "none");
}

TEST(BehaviourOfTest, PrivilegedActs) {
  TestEvents events;
  EXPECT_EQ(*BehaviourOf(events.Module("dum\nmy")),
            (Behaviour{Channel::kModule, "/usr/sbin/nginx", "aa11", "dum\nmy", "", ""}));
  EXPECT_EQ(*BehaviourOf(events.IoUring()),
            (Behaviour{Channel::kIoUring, "/usr/sbin/nginx", "aa11", "io_uring", "", ""}));
  EXPECT_EQ(*BehaviourOf(events.Signal(9, "host/db")),
            (Behaviour{Channel::kSignal, "/usr/sbin/nginx", "aa11",
                       "SIGKILL to a process of host/db", "", ""}));
  // Told once per workload, so whoever did it first is not part of it.
  EXPECT_EQ(*BehaviourOf(events.Capability(13)),
            (Behaviour{Channel::kCapability, "", "", "CAP_NET_RAW", "", ""}));
  EXPECT_EQ(BehaviourOf(events.Capability(12, true))->object, "CAP_NET_ADMIN in a user namespace");
  events.reason = Reason::kTap;
  EXPECT_FALSE(BehaviourOf(events.IoUring()));
}

TEST(BehaviourOfTest, ASignalWithinAWorkloadIsNone) {
  TestEvents events;
  EXPECT_FALSE(BehaviourOf(events.Signal(9, events.workload)));
  // Where neither is known, nothing says that they are one.
  events.workload = kUnattributed;
  EXPECT_TRUE(BehaviourOf(events.Signal(9, kUnattributed)));
}

TEST(BehaviourOfTest, ANameOfWhichTheEndIsLostIsNotTheShorterOne) {
  EnrichedEvent e = TestEvents().Module("long");
  std::get<PrivilegeEvent>(e.event.body).name_cut = true;
  EXPECT_EQ(BehaviourOf(e)->object, "long…");
}

TEST(BehaviourOfTest, ContextFollowUpsAndTapsAreNone) {
  TestEvents events;
  EXPECT_FALSE(BehaviourOf(events.With(ForkEvent())));
  EXPECT_FALSE(BehaviourOf(events.With(ExitEvent())));
  EXPECT_FALSE(BehaviourOf(events.With(ProcessSeenEvent())));
  EXPECT_FALSE(BehaviourOf(events.With(DnsEvent())));
  EXPECT_FALSE(BehaviourOf(events.With(CgroupEvent())));
  EXPECT_FALSE(BehaviourOf(events.With(MoveEvent())));
  EXPECT_FALSE(BehaviourOf(events.With(OverflowEvent())));
  for (const FlowStage stage : {FlowStage::kEstablished, FlowStage::kUpdate, FlowStage::kClosed}) {
    EXPECT_FALSE(BehaviourOf(events.Flow(stage, "db.example", 1)));
  }
  EnrichedEvent inbound = events.Connect("db.example", 1);
  std::get<FlowEvent>(inbound.event.body).direction = FlowDirection::kInbound;
  EXPECT_FALSE(BehaviourOf(inbound));
  for (const Reason reason : {Reason::kFollowUp, Reason::kContext, Reason::kTap}) {
    events.reason = reason;
    EXPECT_FALSE(BehaviourOf(events.Exec("/bin/sh")));
  }
  events.reason = Reason::kSwept;
  EXPECT_TRUE(BehaviourOf(events.Exec("/bin/sh")));
}

TEST(BehaviourOfTest, AnActOnAFileIsItsVerbAndPath) {
  TestEvents events;
  auto object = [](const EnrichedEvent& event) { return BehaviourOf(event)->object; };
  EXPECT_EQ(object(events.File(FileVerb::kWrite, "/var/log/x")), "write /var/log/x");
  EXPECT_EQ(BehaviourOf(events.File(FileVerb::kWrite, "/x"))->subject, "/usr/sbin/nginx");
  FileEvent file;
  file.verb = FileVerb::kCreate;
  file.path = "/tmp";
  file.unnamed = true;
  EXPECT_EQ(object(events.With(file)), "create /tmp/(unnamed)");
  file.unnamed = false;
  file.path_elsewhere = true;
  EXPECT_EQ(object(events.With(file)), "create elsewhere:/tmp");
  file.path_truncated = true;
  EXPECT_EQ(object(events.With(file)), "create cut:elsewhere:/tmp");
  FileEvent lost;
  lost.lost = "(path lost: 1)";
  EXPECT_EQ(object(events.With(lost)), "write (path lost: 1)");
}

TEST(BehaviourOfTest, AProcessBelowProcIsItselfOrAnyOther) {
  FileEvent file;
  file.filesystem = 0x9fa0;
  file.process.tgid = 4711;
  file.process.tgid_in_namespace = 7;
  auto object = [&](const std::string& path) {
    file.path = path;
    return BehaviourOf(TestEvents().With(file))->object;
  };
  EXPECT_EQ(object("/proc/7/comm"), "write /proc/self/comm");
  EXPECT_EQ(object("/proc/4711/oom_score_adj"), "write /proc/self/oom_score_adj");
  EXPECT_EQ(object("/proc/7/task/12/comm"), "write /proc/self/task/*/comm");
  EXPECT_EQ(object("/proc/8/mem"), "write /proc/*/mem");
  EXPECT_EQ(object("/proc/8"), "write /proc/*");
  EXPECT_EQ(object("/proc/sys/kernel/core_pattern"), "write /proc/sys/kernel/core_pattern");
  EXPECT_EQ(object("/proc/7x/comm"), "write /proc/7x/comm");
  file.filesystem = 0;
  EXPECT_EQ(object("/proc/7/comm"), "write /proc/7/comm") << "a directory that is called so";
}

TEST(ChannelNameTest, NamesAreReadBack) {
  for (const Channel channel : kChannels) {
    EXPECT_EQ(ChannelFromName(ChannelName(channel)), channel);
  }
  EXPECT_FALSE(ChannelFromName("Exec"));
}

TEST(BehaviourOfTest, APortThatTheKernelChoseIsNotPartOfTheBehaviour) {
  EnrichedEvent event;
  event.workload.name = "host/x";
  event.event.header.reason = Reason::kNews;
  FlowEvent flow;
  flow.stage = FlowStage::kListening;
  flow.direction = FlowDirection::kInbound;
  flow.protocol = 6;
  flow.local.port = 41234;
  flow.ephemeral_port = true;
  event.event.body = flow;
  EXPECT_EQ(BehaviourOf(event)->object, "0/tcp");
  flow.ephemeral_port = false;
  event.event.body = flow;
  EXPECT_EQ(BehaviourOf(event)->object, "41234/tcp");
}

}  // namespace
}  // namespace vedette
