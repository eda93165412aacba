// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "agent/probes/file_key.h"
#include "bpf/lib/socket_owner.h"
#include "tests/kernel/probe_fixture.h"
#include "tests/support/scoped_netns.h"

namespace vedette::testing {
namespace {

constexpr uint64_t kTwoMinutesNs = 120'000'000'000;

// A child whose number is free and below our own; as fork().
pid_t ForkWithLowerNumber() {
  for (pid_t number = getpid() - 1; number > 1; --number) {
    clone_args args = {};
    args.exit_signal = SIGCHLD;
    args.set_tid = reinterpret_cast<uintptr_t>(&number);
    args.set_tid_size = 1;
    const auto child = static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof(args)));
    if (child >= 0 || errno != EEXIST) {
      return child;
    }
  }
  return -1;
}

// What was there before the agent. Tests attach when their process already runs.
class ScanTest : public KernelTest {
 protected:
  ScopedCgroup CgroupFromBefore() {
    absl::StatusOr<ScopedCgroup> cgroup = ScopedCgroup::Create();
    EXPECT_TRUE(cgroup.ok()) << cgroup.status();
    Watch(*cgroup);
    return *std::move(cgroup);
  }

  std::optional<ProcessSeenEvent> Scan(pid_t pid) {
    for (const Event& event : RunIterator("scan_processes")) {
      const auto* seen = std::get_if<ProcessSeenEvent>(&event.body);
      if (seen != nullptr && seen->process.tgid == static_cast<uint32_t>(pid)) {
        return *seen;
      }
    }
    return std::nullopt;
  }

  // Makes the TCP connections of a process look as if they were opened long ago.
  size_t AgeConnections(pid_t pid) {
    size_t aged = 0;
    const int map = probes().MapFd("vd_connections");
    connection place;
    for (uint32_t i = 0; bpf_map_lookup_elem(map, &i, &place) == 0; ++i) {
      if (place.holder == 0 || place.socket.owner.tgid != static_cast<uint32_t>(pid)) {
        continue;
      }
      place.socket.start_ns -= kTwoMinutesNs;
      EXPECT_EQ(bpf_map_update_elem(map, &i, &place, BPF_EXIST), 0);
      ++aged;
    }
    return aged;
  }

  // The same for its datagram sockets.
  size_t AgeDatagramSockets(pid_t pid) {
    size_t aged = 0;
    const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    const int map = probes().MapFd("vd_sockets");
    for (int number = 3; number < 16; ++number) {
      const UniqueFd copy(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), number, 0)));
      const int key = copy.get();
      socket_owner owner;
      if (key >= 0 && bpf_map_lookup_elem(map, &key, &owner) == 0) {
        owner.start_ns -= kTwoMinutesNs;
        EXPECT_EQ(bpf_map_update_elem(map, &key, &owner, BPF_EXIST), 0);
        ++aged;
      }
    }
    return aged;
  }

  static UniqueFd ConnectTo(long port) {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    return fd;
  }
};

TEST_F(ScanTest, AProcessFromBeforeIsSeenWithItsContext) {
  ScopedCgroup cgroup = CgroupFromBefore();
  const uint64_t before = BootNow();
  absl::StatusOr<Child> child = cgroup.Spawn({Actor(), "wait", "exit:3"});
  ASSERT_TRUE(child.ok() && child->ReadLine().ok());
  Attach();
  auto seen = Scan(child->pid());
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->path, std::filesystem::canonical(Actor()).string());
  EXPECT_FALSE(seen->path_truncated);
  EXPECT_EQ(seen->origin, CodeOrigin::kHost);
  const ProcessContext& process = seen->process;
  EXPECT_EQ(process.comm, "vedette_actor");
  EXPECT_EQ(process.cgroup_id, cgroup.id());
  EXPECT_EQ(process.home_cgroup_id, cgroup.id());
  EXPECT_EQ(process.workload_number, WorkloadOf(cgroup.id()));
  EXPECT_EQ(process.parent_tgid, static_cast<uint32_t>(getpid()));
  EXPECT_GT(process.id.start_ns, before - 1'000'000'000);
  EXPECT_LT(process.id.start_ns, BootNow());
  EXPECT_EQ(process.namespaces.mnt, NamespaceId(getpid(), "mnt"));
  const UniqueFd file(open(Actor().c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(process.code, ReadFileKey(probes(), file.get()).value_or(CodeKey()));
  // A second look gives the same process the same name, and so does its end.
  EXPECT_EQ(Scan(child->pid())->process.id, process.id);
  child->CloseInput();
  auto exit = AwaitExit(process.id);
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->body.status, 3u << 8);
}

TEST_F(ScanTest, ItsParentIsKnownWhenItStillLives) {
  ScopedCgroup cgroup = CgroupFromBefore();
  absl::StatusOr<Child> child = cgroup.Spawn({Actor(), "wait"});
  ASSERT_TRUE(child.ok() && child->ReadLine().ok());
  Attach();
  auto self = Scan(getpid());
  auto seen = Scan(child->pid());
  ASSERT_TRUE(self && seen);
  EXPECT_EQ(seen->process.parent, self->process.id);
  ASSERT_FALSE(seen->process.ancestors.empty());
  EXPECT_EQ(seen->process.ancestors[0].id, self->process.id);
  EXPECT_EQ(seen->process.ancestors[0].code, self->process.code);
}

// Numbers start again at the highest: a child may come before its parent.
TEST_F(ScanTest, AChildWithALowerNumberGetsItsLineageWithTheSecondWalk) {
  const pid_t low = ForkWithLowerNumber();
  if (low == 0) {
    pause();
    _exit(0);
  }
  ASSERT_GT(low, 0) << strerror(errno);
  Attach();
  Scan(low);
  const auto parent = Scan(getpid());
  const auto seen = Scan(low);
  EXPECT_EQ(kill(low, SIGKILL), 0);
  EXPECT_EQ(waitpid(low, nullptr, 0), low);
  ASSERT_TRUE(parent && seen);
  EXPECT_EQ(seen->process.parent, parent->process.id);
  ASSERT_EQ(seen->process.ancestors.size(),
            std::min<size_t>(parent->process.ancestors.size() + 1, 8));
  EXPECT_EQ(seen->process.ancestors[0].id, parent->process.id);
}

TEST_F(ScanTest, AProcessInAContainerHasThePathFromItsRoot) {
  absl::StatusOr<std::unique_ptr<RuncContainer>> container = RuncContainer::Start();
  ASSERT_TRUE(container.ok()) << container.status();
  Attach();
  auto seen = Scan((*container)->pid());
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->path, "/bin/vedette_actor");
  EXPECT_EQ(seen->process.tgid_in_namespace, 1u);
  EXPECT_EQ(seen->process.namespaces.pid, NamespaceId((*container)->pid(), "pid"));
}

TEST_F(ScanTest, AListenerFromBeforeOwnsWhatItAccepts) {
  ScopedCgroup cgroup = CgroupFromBefore();
  absl::StatusOr<Child> server = cgroup.Spawn({Actor(), "serve:1"});
  ASSERT_TRUE(server.ok()) << server.status();
  const long port = NumberIn(server->ReadLine().value_or(""), "port");
  Attach();
  RunIterator("scan_sockets");
  ASSERT_EQ(Child::Run({Actor(), "connect:" + std::to_string(port)})->exit_code, 0);
  auto accept = AwaitFlow(FlowStage::kAccepted, cgroup.id(),
                          [&](const FlowEvent& f) { return f.local.port == port; });
  ASSERT_TRUE(accept);
  EXPECT_EQ(accept->body.process.tgid, static_cast<uint32_t>(server->pid()));
  EXPECT_EQ(accept->body.process.workload_number, WorkloadOf(cgroup.id()));
}

TEST_F(ScanTest, AConnectionFromBeforeHasItsTotalsAtItsEnd) {
  ScopedCgroup cgroup = CgroupFromBefore();
  absl::StatusOr<Child> server = cgroup.Spawn({Actor(), "serve:1"});
  ASSERT_TRUE(server.ok()) << server.status();
  UniqueFd client = ConnectTo(NumberIn(server->ReadLine().value_or(""), "port"));
  ASSERT_EQ(write(client.get(), "seven b", 7), 7);
  // The accepted socket has a descriptor once the server reads from it.
  ASSERT_TRUE(WaitFor([&] {
    size_t sockets = 0;
    for (int number = 3; number < 16; ++number) {
      std::error_code error;
      sockets +=
          std::filesystem::read_symlink(
              "/proc/" + std::to_string(server->pid()) + "/fd/" + std::to_string(number), error)
              .string()
              .rfind("socket:", 0) == 0;
    }
    return sockets == 2;
  }));
  Attach();
  RunIterator("scan_sockets");
  client.Reset();
  auto closed = AwaitFlow(FlowStage::kClosed, cgroup.id(), [](const FlowEvent&) { return true; });
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->body.received_bytes, 7u);
  EXPECT_EQ(closed->body.process.tgid, static_cast<uint32_t>(server->pid()));
}

TEST_F(ScanTest, ListenersAreFoundWhetherTheyAreNewsOrNot) {
  Attach();
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<Child> server = cgroup.Spawn({Actor(), "serve:1"});
  ASSERT_TRUE(server.ok()) << server.status();
  const long port = NumberIn(server->ReadLine().value_or(""), "port");
  absl::StatusOr<ScopedNetns> netns = ScopedNetns::Create();
  ASSERT_TRUE(netns.ok()) << netns.status();
  auto resolver = Child::Spawn({{Actor(), "dns:later"}, {}, cgroup.fd(), netns->fd()});
  ASSERT_TRUE(resolver.ok()) << resolver.status();
  ASSERT_TRUE(resolver->ReadLine().ok());

  const auto listeners = [&] {
    std::vector<FlowEvent> found;
    std::vector<Event> told = RunIterator("scan_listeners", probes().MapFd("vd_sockets"));
    for (Event& event : RunIterator("scan_named", probes().MapFd("vd_listeners"))) {
      told.push_back(std::move(event));
    }
    for (const Event& event : told) {
      const auto& flow = std::get<FlowEvent>(event.body);
      EXPECT_EQ(event.header.reason, Reason::kContext);
      EXPECT_EQ(flow.stage, FlowStage::kListening);
      if (flow.process.home_cgroup_id == cgroup.id()) {
        EXPECT_EQ(flow.process.workload_number, WorkloadOf(cgroup.id()));
        found.push_back(flow);
      }
    }
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.protocol < b.protocol; });
    return found;
  };
  const std::vector<FlowEvent> found = listeners();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].protocol, IPPROTO_TCP);
  EXPECT_EQ(found[0].local.port, port);
  EXPECT_EQ(found[0].process.namespaces.net, NamespaceId(server->pid(), "net"));
  EXPECT_EQ(found[1].protocol, IPPROTO_UDP);
  EXPECT_EQ(found[1].local, (Endpoint{Ip("127.0.0.2"), 53}));
  EXPECT_EQ(found[1].process.namespaces.net, NamespaceId(resolver->pid(), "net"));
  EXPECT_NE(found[1].process.namespaces.net, found[0].process.namespaces.net);

  server->Kill();
  resolver->Kill();
  EXPECT_TRUE(WaitFor([&] { return listeners().empty(); }));
}

TEST_F(ScanTest, ALongFlowIsToldWhileItLasts) {
  Attach();
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<Child> server = cgroup.Spawn({Actor(), "serve:1"});
  ASSERT_TRUE(server.ok()) << server.status();
  const long port = NumberIn(server->ReadLine().value_or(""), "port");
  UniqueFd client = ConnectTo(port);
  auto accept = AwaitFlow(FlowStage::kAccepted, cgroup.id(), [](const FlowEvent&) { return true; });
  ASSERT_TRUE(accept);
  auto is_update = [&](const FlowEvent& f) { return f.stage == FlowStage::kUpdate; };
  const std::string bytes(1234, 'x');
  ASSERT_EQ(write(client.get(), bytes.data(), bytes.size()), 1234);
  RunIterator("scan_long_flows");
  ReadRings();
  EXPECT_EQ(Count<FlowEvent>(is_update), 0u) << "it is not long yet";

  ASSERT_EQ(AgeConnections(server->pid()), 1u);
  // An iterator over files finds the connection once the server has taken it.
  ASSERT_TRUE(WaitFor([&] {
    RunIterator("scan_long_flows");
    ReadRings();
    return Count<FlowEvent>(is_update) > 0;
  }));
  auto update = Await<FlowEvent>(is_update);
  ASSERT_TRUE(update);
  EXPECT_EQ(update->body.received_bytes, 1234u);
  EXPECT_EQ(update->body.local.port, port);
  EXPECT_EQ(update->body.remote, accept->body.remote);
  EXPECT_EQ(update->body.socket_cookie, accept->body.socket_cookie);
  EXPECT_EQ(update->body.process.id, accept->body.process.id);
  EXPECT_GT(update->body.duration, absl::Minutes(2));
  const auto measured = [&] {
    uint64_t sum = 0;
    const absl::Status read =
        cache().ReadCounts([&](const CacheSlot& slot, const BehaviourCount& count) {
          if (slot == accept->header.slot) {
            sum = std::accumulate(count.latency.begin(), count.latency.end(), uint64_t{0});
          }
        });
    EXPECT_TRUE(read.ok()) << read;
    return sum;
  };
  EXPECT_EQ(measured(), 1u) << "its round trip, by the look";
  ASSERT_EQ(write(client.get(), bytes.data(), 66), 66);
  client.Reset();
  auto closed = AwaitFlow(FlowStage::kClosed, cgroup.id(), [](const FlowEvent&) { return true; });
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->body.received_bytes, 1300u);
  EXPECT_EQ(measured(), 1u) << "its close does not count it again";
  EXPECT_TRUE(cache()
                  .ReadCounts([&](const CacheSlot& slot, const BehaviourCount& count) {
                    if (slot == accept->header.slot) {
                      EXPECT_EQ(count.received_bytes, 1300u)
                          << "what was told before is not counted twice";
                    }
                  })
                  .ok());
}

TEST_F(ScanTest, ALongDatagramFlowIsToldWhileItLasts) {
  Attach();
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<Child> child = cgroup.Spawn({Actor(), "udp-open", "wait"});
  ASSERT_TRUE(child.ok() && child->ReadLine().ok());
  auto is_update = [&](const FlowEvent& f) { return f.stage == FlowStage::kUpdate; };
  RunIterator("scan_long_flows");
  ReadRings();
  EXPECT_EQ(Count<FlowEvent>(is_update), 0u) << "it is not long yet";
  ASSERT_EQ(AgeDatagramSockets(child->pid()), 1u);
  RunIterator("scan_long_flows");
  RunIterator("scan_long_flows");
  auto update = Await<FlowEvent>(is_update);
  ASSERT_TRUE(update);
  EXPECT_EQ(update->body.protocol, IPPROTO_UDP);
  EXPECT_EQ(update->body.sent_bytes, 1u);
  EXPECT_EQ(update->body.remote.port, 9);
  EXPECT_GT(update->body.duration, absl::Minutes(2));
  EXPECT_EQ(Count<FlowEvent>(is_update), 1u) << "once a minute";
}

}  // namespace
}  // namespace vedette::testing
