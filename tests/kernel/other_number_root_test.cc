// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "agent/base/unique_fd.h"
#include "agent/probes/process_look.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/kinds.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

// The agent has found out whose cgroup it is, and the maps of the number that the kernel gave are
// gone a minute later.
class OtherNumberTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
    }
  }

  static UniqueFd ConnectTo(const std::string& port) {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(port)));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    return fd;
  }

  // The cgroup of this process gets another number, under which `again` acts; the first is dropped.
  uint64_t ChangeNumber(const std::function<void()>& again) {
    const uint64_t home = LookAtProcess(probes(), getpid())->home_cgroup_id;
    const uint64_t before = WorkloadOf(home);
    const uint64_t number = cache().BindCgroup({home, 0, false, false, true}).value_or(0);
    again();
    EXPECT_TRUE(cache().DropUnused(before));
    return number;
  }

  uint64_t SentBy(uint64_t number) {
    uint64_t bytes = 0;
    EXPECT_TRUE(cache()
                    .ReadCounts([&](const CacheSlot& slot, const BehaviourCount& count) {
                      bytes += slot.workload_number == number ? count.sent_bytes : 0;
                    })
                    .ok());
    return bytes;
  }

  static void Send(int fd, size_t bytes) {
    const std::string data(bytes, 'x');
    EXPECT_EQ(send(fd, data.data(), bytes, 0), static_cast<ssize_t>(bytes));
  }

  static UniqueFd ListenAt(std::string* port) {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at = {};
    socklen_t size = sizeof(at);
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&at), size), 0);
    EXPECT_EQ(listen(fd.get(), 8), 0);
    EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
    *port = std::to_string(ntohs(at.sin_port));
    return fd;
  }

  static UniqueFd UdpTo(uint16_t port) {
    UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    return fd;
  }
};

TEST_F(OtherNumberTest, AConnectionGoesOnUnderTheNumberInForce) {
  std::string port;
  const UniqueFd listener = ListenAt(&port);
  UniqueFd fd = ConnectTo(port);
  const uint64_t number = ChangeNumber([&] { ConnectTo(port); });
  const uint64_t before = ErrorCount("no_cache");
  Send(fd.get(), 1234);
  fd.Reset();
  EXPECT_TRUE(WaitFor([&] { return SentBy(number) == 1234; })) << SentBy(number);
  EXPECT_EQ(ErrorCount("no_cache"), before);
}

TEST_F(OtherNumberTest, DatagramsToAKnownPeerGoOnUnderTheNumberInForce) {
  const UniqueFd fd = UdpTo(9);
  Send(fd.get(), 10);
  const uint64_t number = ChangeNumber([] { UdpTo(9); });
  send(fd.get(), "x", 1, 0);  // The refusal of the one before may come back here.
  Send(fd.get(), 100);
  EXPECT_GE(SentBy(number), 100u);
}

TEST_F(OtherNumberTest, BytesOfAFlowThatTheNumberInForceDoesNotKnowAreCountedAsLost) {
  std::string port;
  const UniqueFd listener = ListenAt(&port);
  UniqueFd fd = ConnectTo(port);
  ChangeNumber([] {});
  const uint64_t before = ErrorCount("no_cache");
  Send(fd.get(), 1234);
  fd.Reset();
  EXPECT_TRUE(WaitFor([&] { return ErrorCount("no_cache") > before; }));
}

// What was planned for a generation that is gone must not live on, not even where the number does.
TEST_F(OtherNumberTest, ThePlannedClassesOfADroppedNumberGoWithIt) {
  wire_flow_key peer = {};
  peer.address[10] = peer.address[11] = 0xff;
  peer.address[12] = 192;
  peer.verb = WIRE_VERB_CONNECT;
  peer.prefix = 128;
  const std::string_view key(reinterpret_cast<const char*>(&peer), sizeof(peer));
  const auto class_of = [&](uint64_t number) {
    wire_workload workload = {};
    EXPECT_EQ(bpf_map_lookup_elem(probes().MapFd("vd_workloads"), &number, &workload), 0);
    return cache().ClassSlot({number, workload.generation, WIRE_CACHE_FLOW, 1}, key).value().slot;
  };
  const ScopedCgroup cgroup = WatchedCgroup();
  const uint64_t number = cache().BindCgroup({cgroup.id(), 0, false, false, false}).value();
  const uint32_t planned = class_of(number);
  ASSERT_EQ(class_of(number), planned);
  ASSERT_EQ(cache().ForgetCgroup(cgroup.id()), number);
  ASSERT_TRUE(cache().DropUnused(number));
  ASSERT_TRUE(cache().BindCgroup({cgroup.id(), number, false, false, false}).ok());
  EXPECT_NE(class_of(number), planned);
}

}  // namespace
}  // namespace vedette::testing
