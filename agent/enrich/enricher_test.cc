// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/enricher.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <random>
#include <string>

#include "agent/enrich/dns_test_messages.h"
#include "agent/enrich/fake_hasher.h"
#include "fmt/format.h"

namespace vedette {
namespace {

constexpr char kBoot[] = "3b1f0c2e-9d4a-4f6e-8a77-0a1b2c3d4e5f\n";
constexpr uint64_t kCgroup = 50;
constexpr uint64_t kNumber = 7;
constexpr uint8_t kTcp = 6;

IpAddress Ip(const char* text) { return ParseIpAddress(text).value(); }

class EnricherTest : public testing::Test {
 protected:
  void SetUp() override { Start(Enricher::Options()); }

  void Start(Enricher::Options options) {
    options.cluster = "test";
    options.boot_id = kBoot;
    options.resolvers = {Ip("10.0.0.53")};
    options.hasher = &hasher_;
    options.new_number = [this] { return next_number_++; };
    auto enricher = Enricher::Create(std::move(options));
    ASSERT_TRUE(enricher.ok()) << enricher.status();
    enricher_ = std::move(*enricher);
  }

  EnrichedEvent Enrich(EventBody body) {
    Event event;
    event.header.time = absl::FromUnixSeconds(1700000000);
    event.body = std::move(body);
    return enricher_->Enrich(std::move(event));
  }
  EnrichedEvent AddCgroup(uint64_t id, const std::string& path, uint64_t number) {
    CgroupEvent event;
    event.cgroup_id = id;
    event.path = path;
    event.workload_number = number;
    return Enrich(event);
  }
  static ProcessContext Context(uint64_t start_ns, uint32_t tgid, uint64_t inode) {
    ProcessContext context;
    context.id = {start_ns, tgid};
    context.tgid = tgid;
    context.comm = "nginx";
    context.home_cgroup_id = kCgroup;
    context.workload_number = kNumber;
    context.code.inode = inode;
    return context;
  }
  static ExecEvent Exec(uint64_t start_ns, uint32_t tgid, uint64_t inode, std::string path) {
    ExecEvent exec;
    exec.process = Context(start_ns, tgid, inode);
    exec.path = std::move(path);
    exec.argv = {exec.path, "-x"};
    exec.origin = CodeOrigin::kHost;
    return exec;
  }
  static FlowEvent Flow(FlowStage stage, const char* remote, uint16_t port) {
    FlowEvent flow;
    flow.process = Context(10, 4, 1);
    flow.stage = stage;
    flow.protocol = kTcp;
    flow.local = {Ip("10.1.1.1"), 40000};
    flow.remote = {Ip(remote), port};
    return flow;
  }
  static DnsEvent Dns(std::string payload, bool is_response) {
    DnsEvent dns;
    dns.process = Context(10, 4, 1);
    dns.is_response = is_response;
    dns.local = {Ip("10.1.1.1"), 40001};
    dns.resolver = {Ip("10.0.0.53"), 53};
    dns.socket_cookie = 3;
    dns.payload = std::move(payload);
    return dns;
  }

  FakeHasher hasher_;
  uint64_t next_number_ = 1000;
  std::unique_ptr<Enricher> enricher_;
};

TEST_F(EnricherTest, CgroupsGiveWorkloadsAndBindings) {
  const EnrichedEvent seen = AddCgroup(kCgroup, "/system.slice/nginx.service", kNumber);
  EXPECT_EQ(seen.workload.name, "host/system.slice/nginx.service");
  EXPECT_EQ(seen.workload.identity, "spiffe://test/host/system.slice/nginx.service");
  EXPECT_EQ(seen.workload.number, kNumber);
  EXPECT_EQ(seen.instance.cgroup_path, "/system.slice/nginx.service");
  EXPECT_EQ(enricher_->TakeBindings(), (std::vector<Binding>{{kCgroup, kNumber, true}}));
  EXPECT_TRUE(enricher_->TakeBindings().empty());
}

TEST_F(EnricherTest, AnExecHasItsProgramItsCallerAndItsAncestors) {
  AddCgroup(kCgroup, "/system.slice/nginx.service", kNumber);
  ExecEvent shell = Exec(10, 4, 1, "/bin/sh");
  shell.script = "./run\n\xff";
  Enrich(shell);
  ExecEvent exec = Exec(20, 5, 2, "/usr/bin/curl");
  exec.previous = {10, 4};
  exec.parent_code = shell.process.code;
  exec.process.ancestors = {{.id = {10, 4}, .code = shell.process.code, .comm = "sh"}, {}};
  const EnrichedEvent out = Enrich(exec);
  EXPECT_EQ(out.workload.name, "host/system.slice/nginx.service");
  EXPECT_EQ(out.process.code.path, "/usr/bin/curl");
  EXPECT_EQ(out.process.exec_id, "3b1f0c2e-14-5");
  EXPECT_EQ(out.process.argv.size(), 2u);
  ASSERT_TRUE(out.parent_code.has_value());
  EXPECT_EQ(out.parent_code->path, "/bin/sh");
  EXPECT_EQ(out.parent_code->script, "./run\n\xff");
  ASSERT_EQ(out.ancestors.size(), 2u);
  EXPECT_EQ(out.ancestors[0].code.path, "/bin/sh");
  EXPECT_TRUE(out.ancestors[1].unknown);
  EXPECT_FALSE(out.peer.has_value());
}

TEST_F(EnricherTest, AnExecWaitsForItsHashAndThatOfItsCaller) {
  AddCgroup(kCgroup, "/a", kNumber);
  ExecEvent shell = Exec(10, 4, 1, "/bin/sh");
  EnrichedEvent first = Enrich(shell);
  EXPECT_TRUE(enricher_->AwaitsHash(first));
  ExecEvent exec = Exec(20, 5, 2, "/usr/bin/curl");
  exec.previous = {10, 4};
  exec.parent_code = shell.process.code;
  EnrichedEvent second = Enrich(exec);
  ASSERT_EQ(hasher_.asked.size(), 2u);  // The caller's once.
  EXPECT_EQ(hasher_.asked[1].tgid, 5u);
  EXPECT_EQ(hasher_.asked[1].neighbour_tgid, 4u) << "which was there first";
  EXPECT_EQ(hasher_.asked[1].path, "/usr/bin/curl");
  hasher_.results.push_back({exec.process.code, HashOutcome::kHashed, "cc"});
  enricher_->TakeHashes(absl::ZeroDuration());
  EXPECT_TRUE(enricher_->AwaitsHash(second)) << "the caller has no answer yet";
  hasher_.results.push_back({shell.process.code, HashOutcome::kHashed, "55"});
  enricher_->TakeHashes(absl::ZeroDuration());
  EXPECT_FALSE(enricher_->AwaitsHash(second));
  EXPECT_EQ(second.process.code.sha256, "");
  enricher_->RenewHashes(second);
  EXPECT_EQ(second.process.code.sha256, "cc");
  EXPECT_EQ(second.parent_code->sha256, "55");
  EXPECT_EQ(Enrich(exec).process.code.sha256, "cc");
  EXPECT_EQ(hasher_.asked.size(), 2u);
}

TEST_F(EnricherTest, ProcessesThatWereThereAreHashedLaterUnlessTheyAct) {
  AddCgroup(kCgroup, "/a", kNumber);
  ProcessSeenEvent seen;
  seen.process = Context(11, 40, 1);
  seen.path = "/usr/sbin/nginx";
  Enrich(seen);
  seen.process = Context(12, 41, 2);
  Enrich(seen);
  EXPECT_TRUE(hasher_.asked.empty());
  FlowEvent flow = Flow(FlowStage::kOpen, "10.9.9.9", 80);
  flow.process = seen.process;
  EnrichedEvent out = Enrich(flow);
  EXPECT_TRUE(enricher_->AwaitsHash(out));
  ASSERT_EQ(hasher_.asked.size(), 1u);
  EXPECT_EQ(hasher_.asked[0].tgid, 41u);
  EXPECT_EQ(enricher_->HashPending(1 << 30), 0u);
  EXPECT_EQ(hasher_.asked.size(), 2u);
  hasher_.AnswerAll("ab");
  enricher_->TakeHashes(absl::ZeroDuration());
  enricher_->RenewHashes(out);
  EXPECT_EQ(out.process.code.path, "/usr/sbin/nginx");
  EXPECT_EQ(out.process.code.sha256, "ab");
}

TEST_F(EnricherTest, AProcessThatEndedIsNobodysNeighbour) {
  AddCgroup(kCgroup, "/a", kNumber);
  Enrich(Exec(10, 4, 1, "/bin/sh"));
  ExitEvent exit;
  exit.process = Context(10, 4, 1);
  Enrich(exit);
  ExecEvent exec = Exec(20, 5, 2, "/usr/bin/curl");
  exec.process.parent_tgid = 3;
  Enrich(exec);
  EXPECT_EQ(hasher_.asked.back().neighbour_tgid, 3u);
}

TEST_F(EnricherTest, ACutPathIsAnotherPath) {
  AddCgroup(kCgroup, "/a", kNumber);
  ExecEvent exec = Exec(10, 4, 1, "bin/sh");
  exec.path_truncated = true;
  EXPECT_EQ(Enrich(exec).process.code.path, ".../bin/sh");
}

TEST_F(EnricherTest, PeersAreNamedByDnsElseWorkloadElseNetwork) {
  AddCgroup(kCgroup, "/web", kNumber);
  AddCgroup(51, "/db", 8);
  EXPECT_EQ(Enrich(Flow(FlowStage::kOpen, "10.9.9.9", 5432)).peer->StableName(), "net:10.9.9.0/24");
  Enrich(Dns(DnsQueryBytes(1, "db.example", kDnsTypeA), false));
  Enrich(Dns(DnsResponseBytes(1, "db.example", kDnsTypeA,
                              {{"db.example", kDnsTypeA, 60, "\x0a\x09\x09\x09"}}),
             true));
  EXPECT_EQ(Enrich(Flow(FlowStage::kOpen, "10.9.9.9", 5432)).peer->StableName(), "dns:db.example");

  FlowEvent listener = Flow(FlowStage::kListening, "0.0.0.0", 0);
  listener.process.home_cgroup_id = 51;
  listener.local = {Ip("127.0.0.1"), 5432};
  EXPECT_FALSE(Enrich(listener).peer.has_value());
  EXPECT_EQ(Enrich(Flow(FlowStage::kOpen, "127.0.0.1", 5432)).peer->StableName(),
            "workload:host/db");
  listener.stage = FlowStage::kClosed;
  Enrich(listener);
  EXPECT_EQ(Enrich(Flow(FlowStage::kOpen, "127.0.0.1", 5432)).peer->StableName(), "net:loopback");
}

TEST_F(EnricherTest, AnInboundPeerHasNoNameItNeverAskedFor) {
  AddCgroup(kCgroup, "/web", kNumber);
  Enrich(Dns(DnsQueryBytes(1, "db.example", kDnsTypeA), false));
  Enrich(Dns(DnsResponseBytes(1, "db.example", kDnsTypeA,
                              {{"db.example", kDnsTypeA, 60, "\x0a\x09\x09\x09"}}),
             true));
  FlowEvent flow = Flow(FlowStage::kAccepted, "10.9.9.9", 5432);
  flow.direction = FlowDirection::kInbound;
  EXPECT_EQ(Enrich(flow).peer->StableName(), "net:10.9.9.0/24");
}

TEST_F(EnricherTest, TheHomeCgroupCountsNotTheOneOfTheAct) {
  AddCgroup(kCgroup, "/home", kNumber);
  AddCgroup(51, "/elsewhere", 8);
  MoveEvent move;
  move.process = Context(10, 4, 1);
  move.process.cgroup_id = 51;
  move.process.workload_number = 8;
  move.to_cgroup_id = 51;
  EXPECT_EQ(Enrich(move).workload.name, "host/home");
}

TEST_F(EnricherTest, AMoveIsWithinAWorkloadOrOutOfIt) {
  AddCgroup(kCgroup, "/user.slice/user-1000.slice/user@1000.service", kNumber);
  AddCgroup(60, "/user.slice/user-1000.slice/user@1000.service/init.scope", 8);
  AddCgroup(61, "/user.slice/user-1000.slice/session-1.scope", 9);
  MoveEvent move;
  move.process = Context(10, 4, 1);
  for (const auto& [to, within] : {std::pair(60, true), {61, false}, {62, false}}) {
    move.to_cgroup_id = static_cast<uint64_t>(to);
    EXPECT_EQ(Enrich(move).moved_within, within) << to;
  }
}

TEST_F(EnricherTest, ASignalNamesTheWorkloadItWasSentTo) {
  AddCgroup(kCgroup, "/a", kNumber);
  AddCgroup(60, "/b", 8);
  PrivilegeEvent act;
  act.act = PrivilegeAct::kSignal;
  act.process = Context(10, 4, 1);
  act.target_home_cgroup_id = 60;
  act.target_workload_number = 8;
  EXPECT_EQ(Enrich(act).target_workload, "host/b");
  EXPECT_EQ(Enrich(act).workload.name, "host/a");
  act.target_home_cgroup_id = 0;  // Swept: only the number is left.
  EXPECT_EQ(Enrich(act).target_workload, "host/b");
  act.target_workload_number = 99;
  EXPECT_EQ(Enrich(act).target_workload, kUnattributed);
  act.act = PrivilegeAct::kIoUring;
  EXPECT_EQ(Enrich(act).target_workload, "");
}

TEST_F(EnricherTest, AnUnknownCgroupFallsBackToTheNumberAndElseIsUnattributed) {
  AddCgroup(kCgroup, "/a", kNumber);
  ExitEvent exit;
  exit.process = Context(10, 4, 1);
  exit.process.home_cgroup_id = 999;
  const EnrichedEvent by_number = Enrich(exit);
  EXPECT_EQ(by_number.workload.name, "host/a");
  EXPECT_EQ(by_number.instance.cgroup_id, 999u);
  EXPECT_EQ(by_number.instance.cgroup_path, "");
  EXPECT_TRUE(by_number.workload.attributed());
  EXPECT_TRUE(enricher_->IsAttributed({{}, exit}));
  exit.process.workload_number = 99;
  EXPECT_FALSE(enricher_->IsAttributed({{}, exit}));
  EXPECT_FALSE(enricher_->IsAttributed({{}, OverflowEvent{99, 0, 0, 0, 0}}));
  EXPECT_TRUE(enricher_->IsAttributed({{}, CgroupEvent()}));
  const EnrichedEvent nowhere = Enrich(exit);
  EXPECT_FALSE(nowhere.workload.attributed());
  EXPECT_EQ(nowhere.workload.name, kUnattributed);
  EXPECT_EQ(nowhere.workload.identity, "spiffe://test/unattributed");
  EXPECT_EQ(enricher_->ledger().unattributed, 1u);
  EXPECT_EQ(enricher_->Degradations()["enrich/unattributed"], 1u);
}

TEST_F(EnricherTest, LateEventsOfARemovedCgroupKeepTheirWorkload) {
  AddCgroup(kCgroup, "/a", kNumber);
  CgroupEvent removed;
  removed.change = CgroupEvent::Change::kRemoved;
  removed.cgroup_id = kCgroup;
  EXPECT_EQ(Enrich(removed).workload.name, "host/a");
  ExitEvent exit;
  exit.process = Context(10, 4, 1);
  EXPECT_EQ(Enrich(exit).workload.name, "host/a");
}

TEST_F(EnricherTest, AnOverflowIsThatOfItsWorkload) {
  AddCgroup(kCgroup, "/a", kNumber);
  OverflowEvent overflow;
  overflow.workload_number = kNumber;
  EXPECT_EQ(Enrich(overflow).workload.name, "host/a");
}

TEST_F(EnricherTest, UnattributedWorkloadsGiveEachOtherNoNames) {
  Enrich(Dns(DnsQueryBytes(1, "db.example", kDnsTypeA), false));
  Enrich(Dns(DnsResponseBytes(1, "db.example", kDnsTypeA,
                              {{"db.example", kDnsTypeA, 60, "\x0a\x09\x09\x09"}}),
             true));
  EXPECT_EQ(Enrich(Flow(FlowStage::kOpen, "10.9.9.9", 5432)).peer->dns_name, "");
}

TEST_F(EnricherTest, WithFullTablesEveryEventStillGoesOut) {
  Enricher::Options options;
  options.workload_limits = {.cgroups = 2, .per_workload = 2, .removed = 1, .idle_names = 1};
  options.code_limits.entries = 4;
  options.processes = 4;
  options.dns_limits = {.workloads = 2, .queries = 2, .addresses = 2};
  options.listener_limits = {.total = 2, .per_workload = 1};
  Start(std::move(options));
  uint64_t sent = 0;
  for (uint64_t i = 1; i <= 500; ++i) {
    AddCgroup(i, fmt::format("/{}", i), i);
    ExecEvent exec = Exec(i, static_cast<uint32_t>(i), i, "/no/such/program");
    exec.process.home_cgroup_id = exec.process.workload_number = i;
    EXPECT_EQ(Enrich(exec).process.code.path, "/no/such/program");
    FlowEvent listener = Flow(FlowStage::kListening, "0.0.0.0", 0);
    listener.process.home_cgroup_id = i;
    listener.local.port = static_cast<uint16_t>(i);
    Enrich(listener);
    Enrich(Dns(DnsQueryBytes(static_cast<uint16_t>(i), "a.example", kDnsTypeA), false));
    sent += 4;
  }
  hasher_.AnswerAll("");
  enricher_->TakeHashes(absl::ZeroDuration());
  EXPECT_EQ(enricher_->ledger().received, sent);
  EXPECT_EQ(enricher_->ledger().emitted, sent);
  EXPECT_GT(enricher_->ledger().unattributed, 0u);
  auto degraded = enricher_->Degradations();  // 500 programs; the flows' process is one more.
  EXPECT_EQ(degraded["workloads/cgroup_table_full"], 498u);
  EXPECT_EQ(degraded["code/evicted"], 496u);
  EXPECT_EQ(degraded["processes/evicted"], 497u);
  EXPECT_GT(degraded["code/gone"], 0u);
}

TEST_F(EnricherTest, ANewBootGivesNewExecIdsAndTheSameNames) {
  const EnrichedEvent before = AddCgroup(kCgroup, "/system.slice/a@1.service", kNumber);
  const std::string exec_before = Enrich(Exec(10, 4, 1, "/bin/sh")).process.exec_id;
  Enricher::Options options;
  options.cluster = "test";
  options.boot_id = "ffffffff-9d4a-4f6e-8a77-0a1b2c3d4e5f";
  enricher_ = std::move(*Enricher::Create(std::move(options)));
  const EnrichedEvent after = AddCgroup(91, "/system.slice/a@2.service", 3);
  EXPECT_EQ(after.workload.name, before.workload.name);
  EXPECT_EQ(after.workload.identity, before.workload.identity);
  EXPECT_NE(after.workload.number, before.workload.number);
  EXPECT_NE(Enrich(Exec(10, 4, 1, "/bin/sh")).process.exec_id, exec_before);
}

TEST_F(EnricherTest, JunkInEveryStringIsCarriedAndNeverBreaksIt) {
  std::mt19937 random(3);
  auto junk = [&] {
    std::string bytes(random() % 300, '\0');
    for (char& c : bytes) {
      c = static_cast<char>(random());
    }
    return bytes;
  };
  for (int round = 0; round < 2000; ++round) {
    const EnrichedEvent cgroup = AddCgroup(random() % 64, "/" + junk(), random() % 64);
    for (unsigned char c : cgroup.workload.name + cgroup.workload.identity) {
      ASSERT_TRUE(c > 0x20 && c < 0x7f);
    }
    ExecEvent exec = Exec(random(), random(), random() % 8 + 1, junk());
    exec.process.home_cgroup_id = random() % 64;
    exec.process.comm = junk();
    exec.script = junk();
    exec.argv = {junk(), junk()};
    exec.origin = CodeOrigin::kUntrustedFs;
    const std::vector<std::string> argv = exec.argv;
    const EnrichedEvent out = Enrich(exec);
    ASSERT_EQ(out.process.argv, argv);
    Enrich(Dns(junk(), random() % 2 == 0));
  }
  EXPECT_EQ(enricher_->ledger().received, enricher_->ledger().emitted);
}

}  // namespace
}  // namespace vedette
