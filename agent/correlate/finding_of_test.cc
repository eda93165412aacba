// SPDX-License-Identifier: Apache-2.0
#include "agent/correlate/finding_of.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "agent/correlate/finding_codec.h"
#include "agent/correlate/finding_json.h"
#include "agent/profile/behaviour_of.h"
#include "agent/profile/profile_test_events.h"

namespace vedette {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

ScoredEvent Deviation(EnrichedEvent event, double score = 9,
                      absl::Duration watched = absl::Hours(30)) {
  ScoredEvent scored;
  if (auto behaviour = BehaviourOf(event)) {
    scored.behaviour = *behaviour;
  }
  scored.enriched = std::move(event);
  scored.judgement = Judgement::kDeviation;
  scored.score = score;
  scored.sentence = "It is new.";
  scored.state_text = "learned";
  scored.watched = watched;
  return scored;
}

ScoredEvent Passed(EnrichedEvent event) {
  ScoredEvent scored;
  scored.enriched = std::move(event);
  return scored;
}

TEST(FindingOfTest, ADeviationKeepsItsWholeStory) {
  const auto f = FindingOf(Deviation(TestEvents().Exec("/usr/bin/curl", "cc33")));
  ASSERT_TRUE(f);
  EXPECT_EQ(f->title, "New program in host/web: /usr/bin/curl");
  EXPECT_EQ(f->kind, Finding::Kind::kDeviation);
  EXPECT_EQ(f->severity, Severity::kHigh);
  EXPECT_EQ(f->sentence, "It is new.");
  EXPECT_EQ(f->profile_state, "learned");
  EXPECT_EQ(f->process.argv, (std::vector<std::string>{"/usr/bin/curl", "-v"}));
  ASSERT_EQ(f->ancestors.size(), 1u);
  EXPECT_EQ(f->ancestors[0].code.path, "/usr/sbin/nginx");
  EXPECT_EQ(f->instance.cgroup_id, 42u);
  EXPECT_EQ(f->first_seen, TestEvents().time);
  EXPECT_FALSE(f->flow);

  const auto flow = FindingOf(Deviation(TestEvents().Connect("evil.example", 443)));
  EXPECT_EQ(flow->title, "New peer of host/web: dns:evil.example:443/tcp");
  ASSERT_TRUE(flow->flow && flow->peer);
  EXPECT_EQ(flow->flow->remote.port, 443);
  EXPECT_EQ(flow->peer->dns_name, "evil.example");
}

TEST(FindingOfTest, APortThatTheKernelChoseIsAny) {
  const auto title = [](FlowStage stage, const std::string& peer, uint16_t port) {
    return FindingOf(Deviation(TestEvents().Flow(stage, peer, port)))->title;
  };
  EXPECT_EQ(title(FlowStage::kListening, "", 0), "New listening port in host/web: any/tcp");
  EXPECT_EQ(title(FlowStage::kListening, "", 80), "New listening port in host/web: 80/tcp");
  EXPECT_EQ(title(FlowStage::kAccepted, "a.example", 0),
            "New source of connections to host/web: dns:a.example -> any/tcp");
  EXPECT_EQ(title(FlowStage::kOpen, "a.example", 0), "New peer of host/web: dns:a.example:0/tcp");
}

TEST(FindingOfTest, TheUidIsOfTheDeviationAlone) {
  TestEvents events;
  const std::string uid = FindingOf(Deviation(events.Exec("/usr/bin/curl")))->uid;
  EXPECT_EQ(uid, "894b0099-7e7b-82e4-9b87-d354596744c0") << "a change of this breaks consumers";
  events.time += absl::Hours(1);
  events.container_id = "other";
  EXPECT_EQ(FindingOf(Deviation(events.Exec("/usr/bin/curl"), 2))->uid, uid);
  EXPECT_NE(FindingOf(Deviation(events.Exec("/usr/bin/curl", "h")))->uid, uid);
  EXPECT_NE(FindingOf(Deviation(events.Exec("/usr/bin/cur")))->uid, uid);
  events.program = "/usr/sbin/ngin";
  EXPECT_NE(FindingOf(Deviation(events.Exec("x/usr/bin/curl")))->uid, uid);
  events = TestEvents();
  events.workload = "host/web2";
  EXPECT_NE(FindingOf(Deviation(events.Exec("/usr/bin/curl")))->uid, uid);
}

TEST(FindingOfTest, BytesCannotMoveFromOneFieldToTheNext) {
  Finding a, b;
  a.behaviour.subject = "x";
  a.behaviour.object = "1:y,";
  b.behaviour.subject = "x,0:,4:1:y";
  EXPECT_NE(UidOf(a), UidOf(b));
}

TEST(FindingOfTest, SeverityFollowsTheTableAndWeakEvidenceIsCapped) {
  const auto severity = [](Channel channel, double score) {
    return SeverityOf(channel, score, absl::Hours(30));
  };
  EXPECT_EQ(severity(Channel::kExec, 2.9), Severity::kLow);
  EXPECT_EQ(severity(Channel::kExec, 3), Severity::kMedium);
  EXPECT_EQ(severity(Channel::kCredential, 8), Severity::kHigh);
  EXPECT_EQ(severity(Channel::kConnect, 8), Severity::kMedium);
  EXPECT_EQ(severity(Channel::kAccept, 10), Severity::kHigh);
  EXPECT_EQ(severity(Channel::kListen, 3.9), Severity::kLow);
  EXPECT_EQ(severity(Channel::kListen, 9), Severity::kHigh);
  EXPECT_EQ(severity(Channel::kModule, 8), Severity::kHigh);
  EXPECT_EQ(severity(Channel::kIoUring, 8), Severity::kHigh);
  EXPECT_EQ(severity(Channel::kCapability, 8), Severity::kHigh);
  EXPECT_EQ(severity(Channel::kSignal, 8), Severity::kMedium);
  EXPECT_EQ(severity(Channel::kSignal, 9), Severity::kHigh);
  EXPECT_EQ(SeverityOf(Channel::kExec, 50, absl::Minutes(59)), Severity::kMedium);
  EXPECT_EQ(SeverityOf(Channel::kExec, 1, absl::Minutes(59)), Severity::kLow);
  EXPECT_EQ(SeverityFromName("medium"), Severity::kMedium);
  EXPECT_FALSE(SeverityFromName("Medium"));
}

TEST(FindingOfTest, PrivilegedActsHaveTitlesAndComeBackFromTheStore) {
  const TestEvents events;
  const std::pair<EnrichedEvent, std::string> titles[] = {
      {events.Module("dum\xff"), "New kernel module loaded by host/web: dum\\xff"},
      {events.IoUring(), "New use of io_uring in host/web: /usr/sbin/nginx"},
      {events.Signal(9, "host/db"), "New signal from host/web: SIGKILL to a process of host/db"},
      {events.Capability(13), "New use of a capability in host/web: CAP_NET_RAW"}};
  for (const auto& [event, title] : titles) {
    const auto finding = FindingOf(Deviation(event));
    ASSERT_TRUE(finding);
    EXPECT_EQ(finding->title, title);
    EXPECT_EQ(finding->severity, Severity::kHigh);
    const auto back = DecodeFinding(EncodeFinding(*finding));
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->behaviour, finding->behaviour);
  }
}

TEST(FindingOfTest, WhatADefaultProfileCoversIsNeverAboveLowAndSaysWhy) {
  ScoredEvent deviation = Deviation(TestEvents().Exec("/usr/bin/curl"));
  const std::string uid = FindingOf(deviation)->uid;
  deviation.default_profile = "package manager";
  deviation.covered_by = "below /usr/bin/dpkg";
  const auto f = FindingOf(deviation);
  EXPECT_EQ(f->severity, Severity::kLow);
  EXPECT_EQ(f->score, 9) << "it is as improbable as before";
  EXPECT_EQ(f->uid, uid);
  EXPECT_EQ(f->default_profile, "package manager");
  EXPECT_EQ(f->sentence,
            "It is new. Never above low by the default profile: package manager (below "
            "/usr/bin/dpkg).");
  ScoredEvent overflow = Passed(TestEvents().With(OverflowEvent{7, 1, 0, 512, 0}));
  ASSERT_EQ(FindingOf(overflow)->severity, Severity::kMedium);
  overflow.default_profile = "login session";
  EXPECT_EQ(FindingOf(overflow)->severity, Severity::kLow);
  EXPECT_THAT(FindingOf(overflow)->sentence,
              testing::EndsWith("Never above low by the default profile: login session."));
  EXPECT_EQ(DecodeFinding(EncodeFinding(*f))->default_profile, "package manager");
}

TEST(FindingOfTest, OverflowIsOneFindingPerWorkloadAndLane) {
  OverflowEvent overflow{7, 3, 1, 4096, 0};
  const TestEvents events;
  const auto f = FindingOf(Passed(events.With(overflow)));
  ASSERT_TRUE(f);
  EXPECT_EQ(f->kind, Finding::Kind::kCacheOverflow);
  EXPECT_THAT(f->sentence, HasSubstr("for network acts holds 4096 and is full"));
  overflow.generation = 4;
  EXPECT_EQ(FindingOf(Passed(events.With(overflow)))->uid, f->uid);
  overflow.cache = 0;
  EXPECT_NE(FindingOf(Passed(events.With(overflow)))->uid, f->uid);
  overflow.cache = 2;
  const auto files = FindingOf(Passed(events.With(overflow)));
  EXPECT_NE(files->uid, f->uid);
  EXPECT_THAT(files->sentence, HasSubstr("for file acts holds 4096"));
  overflow.cache = kInboundCache;
  const auto inbound = FindingOf(Passed(events.With(overflow)));
  EXPECT_EQ(inbound->behaviour.channel, Channel::kAccept);
  EXPECT_THAT(inbound->title, testing::StartsWith("More different peers come to "));
  EXPECT_THAT(inbound->sentence, HasSubstr("for inbound network acts holds 4096"));
  EXPECT_THAT(inbound->sentence, HasSubstr("what it connects to itself is judged as before"));
}

TEST(FindingOfTest, LostNewsAreAFindingOfTheirOwn) {
  OverflowEvent overflow{7, 3, 0, 512, 2};
  const TestEvents events;
  const auto f = FindingOf(Passed(events.With(overflow)));
  ASSERT_TRUE(f);
  EXPECT_EQ(f->kind, Finding::Kind::kLostNovelty);
  EXPECT_THAT(f->sentence, HasSubstr("2 new acts of the channel for code"));
  overflow.lost = 5;
  EXPECT_EQ(FindingOf(Passed(events.With(overflow)))->uid, f->uid);
  overflow.lost = 0;
  EXPECT_NE(FindingOf(Passed(events.With(overflow)))->uid, f->uid);
}

TEST(FindingOfTest, OnlyMovesOutOfAWorkloadThatNoRuntimeMadeAreFindings) {
  MoveEvent move;
  move.to_cgroup_id = 99;
  const auto f = FindingOf(Passed(TestEvents().With(move)));
  ASSERT_TRUE(f);
  EXPECT_EQ(f->kind, Finding::Kind::kMove);
  EXPECT_EQ(f->severity, Severity::kLow);
  EXPECT_THAT(f->title, HasSubstr("Process of host/web moved"));
  EnrichedEvent within = TestEvents().With(move);
  within.moved_within = true;
  EXPECT_FALSE(FindingOf(Passed(within)));
  move.by_runtime = true;
  EXPECT_FALSE(FindingOf(Passed(TestEvents().With(move))));
}

TEST(FindingOfTest, BehaviourWithoutWorkloadIsOneFindingPerChannel) {
  TestEvents events;
  events.workload = kUnattributed;  // As the enricher calls it.
  const auto f = FindingOf(Passed(events.Exec("/bin/a")));
  ASSERT_TRUE(f);
  EXPECT_EQ(f->kind, Finding::Kind::kUnattributed);
  EXPECT_EQ(FindingOf(Passed(events.Exec("/bin/b")))->uid, f->uid);
  EXPECT_NE(FindingOf(Passed(events.Connect("x", 1)))->uid, f->uid);
  EXPECT_FALSE(FindingOf(Passed(events.With(ForkEvent()))));
}

TEST(FindingOfTest, WhatIsKnownOrLearnedIsNone) {
  ScoredEvent scored = Deviation(TestEvents().Exec("/bin/a"));
  for (const Judgement j : {Judgement::kKnown, Judgement::kLearned, Judgement::kNotABehaviour}) {
    scored.judgement = j;
    EXPECT_FALSE(FindingOf(scored));
  }
}

std::string RandomBytes(std::mt19937& random) {
  std::string bytes;
  for (int n = random() % 30; n > 0; --n) {
    bytes.push_back(static_cast<char>(random()));
  }
  return bytes;
}

TEST(FindingCodecTest, WhatIsReadBackEncodesTheSameWhateverTheBytes) {
  std::mt19937 random(3);
  for (int i = 0; i < 200; ++i) {
    TestEvents events;
    events.program = RandomBytes(random);
    events.workload = "w" + RandomBytes(random);
    EnrichedEvent e = i % 3 == 0   ? events.Exec(RandomBytes(random), RandomBytes(random))
                      : i % 3 == 1 ? events.Connect(RandomBytes(random), i)
                                   : events.File(FileVerb::kRead, RandomBytes(random));
    e.process.argv = {RandomBytes(random), RandomBytes(random)};
    e.process.comm = RandomBytes(random);
    if (i % 2 == 0) {
      e.process.credentials = {1, 2, 3, 4, random(), random()};
      e.process.argv_truncated = true;
    }
    const Finding f = *FindingOf(Deviation(e));
    const std::string bytes = EncodeFinding(f);
    const auto back = DecodeFinding(bytes);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(EncodeFinding(*back), bytes);
    EXPECT_EQ(back->process.argv, f.process.argv);
    EXPECT_EQ(back->process.credentials, f.process.credentials);
    EXPECT_EQ(back->process.argv_truncated, f.process.argv_truncated);
    EXPECT_EQ(back->behaviour, f.behaviour);
    EXPECT_EQ(back->first_seen, f.first_seen);
    const std::string json = ToJson(*back).dump();  // Throws where a string is not UTF-8.
    EXPECT_EQ(json, ToJson(f).dump());
    EXPECT_EQ(json.find('\x1b'), std::string::npos);
  }
}

TEST(FindingCodecTest, DamagedBytesAreDataLossAndNeverACrash) {
  const std::string bytes = EncodeFinding(*FindingOf(Deviation(TestEvents().Connect("a", 1))));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(DecodeFinding(bytes.substr(0, size)).status().code(), absl::StatusCode::kDataLoss);
  }
  std::mt19937 random(5);
  for (int i = 0; i < 5000; ++i) {
    std::string bad = bytes;
    bad[random() % bad.size()] = static_cast<char>(random());
    const auto decoded = DecodeFinding(bad);
    EXPECT_TRUE(decoded.ok() || decoded.status().code() == absl::StatusCode::kDataLoss);
    if (decoded.ok()) {
      ToJson(*decoded).dump();
    }
  }
}

TEST(FindingOfTest, AnActOnAFileKeepsTheFile) {
  const auto f = FindingOf(Deviation(TestEvents().File(FileVerb::kCreate, "/etc/cron.d/x")));
  ASSERT_TRUE(f && f->file);
  EXPECT_EQ(f->file->path, "/etc/cron.d/x");
  EXPECT_THAT(f->title, HasSubstr("New act on a file in host/web: "));
  const auto back = DecodeFinding(EncodeFinding(*f));
  ASSERT_TRUE(back.ok() && back->file);
  EXPECT_EQ(back->file->path, "/etc/cron.d/x");
  EXPECT_EQ(ToJson(*back)["file"]["verb"], "create");
}

TEST(FindingJsonTest, HoldsProcessAncestorsPeerAndFlow) {
  TestEvents events;
  const nlohmann::json exec = ToJson(*FindingOf(Deviation(events.Exec("/bin/\xff\n"))));
  EXPECT_EQ(exec["process"]["path"], "/bin/\\xff\\x0a");
  EXPECT_EQ(exec["process"]["argv"][1], "-v");
  EXPECT_EQ(exec["ancestors"][0]["path"], "/usr/sbin/nginx");
  EXPECT_EQ(exec["severity"], "high");
  EXPECT_EQ(exec["kind"], "deviation");
  EXPECT_EQ(exec["first_seen"], "2023-11-14T22:13:20.000000Z");
  EXPECT_FALSE(exec.contains("flow"));
  const nlohmann::json flow = ToJson(*FindingOf(Deviation(events.Connect("evil.example", 443))));
  EXPECT_EQ(flow["peer"]["dns_name"], "evil.example");
  EXPECT_EQ(flow["flow"]["direction"], "outbound");
  EXPECT_EQ(flow["flow"]["remote"]["port"], 443);
}

}  // namespace
}  // namespace vedette
