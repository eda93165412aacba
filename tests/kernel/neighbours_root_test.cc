// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <optional>

#include "agent/probes/registry.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

// All but those that are there when they are asked for: of files and of capabilities.
const size_t kProbes = AllProbes().size() - 2;

bpf_insn Instruction(uint8_t code, uint8_t dst, uint8_t src, int32_t imm) {
  bpf_insn i = {};
  i.code = code;
  i.dst_reg = dst & 0xf;
  i.src_reg = src & 0xf;
  i.imm = imm;
  return i;
}

// A program of somebody else on connect4: counts its runs and allows.
class ForeignProgram {
 public:
  ForeignProgram() {
    counter_ = UniqueFd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "foreign", 4, 8, 1, nullptr));
    bpf_insn load = Instruction(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_VALUE, counter_.get());
    const bpf_insn code[] = {
        load,
        Instruction(0, 0, 0, 0),
        Instruction(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 1),
        Instruction(BPF_STX | BPF_ATOMIC | BPF_DW, 1, 2, BPF_ADD),
        Instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 1),
        Instruction(BPF_JMP | BPF_EXIT, 0, 0, 0),
    };
    LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_CGROUP_INET4_CONNECT);
    program_ = UniqueFd(bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "foreign", "GPL", code,
                                      std::size(code), &options));
    EXPECT_TRUE(program_.valid()) << strerror(errno);
  }

  // Returns 0 or the error. Without BPF_F_ALLOW_MULTI the program wants to be alone.
  int Attach(const ScopedCgroup& cgroup, uint32_t flags) {
    return bpf_prog_attach(program_.get(), cgroup.fd(), BPF_CGROUP_INET4_CONNECT, flags) == 0
               ? 0
               : errno;
  }
  void Detach(const ScopedCgroup& cgroup) {
    bpf_prog_detach2(program_.get(), cgroup.fd(), BPF_CGROUP_INET4_CONNECT);
  }

  uint64_t runs() const {
    uint64_t count = 0;
    const uint32_t zero = 0;
    bpf_map_lookup_elem(counter_.get(), &zero, &count);
    return count;
  }

 private:
  UniqueFd counter_;
  UniqueFd program_;
};

// The cgroup hooks are attached to a cgroup of the test, so that it can have neighbours there
// without being in anybody's way. They go with the cgroup.
class NeighboursTest : public KernelTest {
 protected:
  void Change(ProbeOptions& options) override {
    top_.emplace(ScopedCgroup::Create().value());
    options.cgroup_root = top_->directory();
  }
  void TearDown() override {
    KernelTest::TearDown();
    top_.reset();
  }

  const ScopedCgroup& top() const { return *top_; }

  ProbeStatus StatusOf(std::string_view name) {
    for (const ProbeStatus& status : probes().statuses()) {
      if (status.name == name) {
        return status;
      }
    }
    ADD_FAILURE() << "no probe " << name;
    return {};
  }

  void ExpectAllWellBut(std::string_view degraded) {
    for (const ProbeStatus& status : probes().statuses()) {
      EXPECT_EQ(status.ok, status.name != degraded) << status.name << ": " << status.reason;
      EXPECT_EQ(status.reason.empty(), status.ok) << status.name;
    }
    EXPECT_EQ(probes().statuses().size(), kProbes);
  }

  // A process of the top cgroup connects; says whether our hook saw it.
  bool OursSeesAConnect() {
    Forget();
    EXPECT_EQ(top().Run({Actor(), "connect:1"})->exit_code, 0);
    return AwaitFlow(FlowStage::kOpen, top().id(),
                     [](const FlowEvent& f) { return f.protocol == IPPROTO_TCP; })
        .has_value();
  }

 private:
  std::optional<ScopedCgroup> top_;
};

TEST_F(NeighboursTest, AProgramThatWasThereBeforeGoesOn) {
  ForeignProgram foreign;
  ASSERT_EQ(foreign.Attach(top(), BPF_F_ALLOW_MULTI), 0);
  Attach();
  Watch(top());
  EXPECT_TRUE(OursSeesAConnect());
  EXPECT_EQ(foreign.runs(), 1u);
  foreign.Detach(top());
  EXPECT_TRUE(OursSeesAConnect());
  EXPECT_EQ(foreign.runs(), 1u);
}

TEST_F(NeighboursTest, AProgramThatComesLaterRunsBesideOurs) {
  Attach();
  Watch(top());
  ForeignProgram foreign;
  ASSERT_EQ(foreign.Attach(top(), BPF_F_ALLOW_MULTI), 0);
  EXPECT_TRUE(OursSeesAConnect());
  EXPECT_EQ(foreign.runs(), 1u);
  // When we leave, it stays.
  probes().Remove();
  ASSERT_EQ(top().Run({Actor(), "connect:1"})->exit_code, 0);
  EXPECT_EQ(foreign.runs(), 2u);
}

TEST_F(NeighboursTest, AnExclusiveProgramDegradesItsHookAndNoOther) {
  ForeignProgram foreign;
  ASSERT_EQ(foreign.Attach(top(), 0), 0);
  probes().Attach();
  ExpectAllWellBut("connect");
  const ProbeStatus status = StatusOf("connect");
  EXPECT_THAT(status.reason, HasSubstr("connect_v4 cannot be attached to cgroup/connect4"));
  EXPECT_THAT(status.reason, HasSubstr("attached exclusively"));
  EXPECT_THAT(status.programs, ElementsAre("connect_v6"));
  // The neighbour works, and so do our other hooks: IPv6 of the same probe, UDP, execs.
  Watch(top());
  ASSERT_EQ(top().Run({Actor(), "connect:1", "connect6:1", "udp:1:9"})->exit_code, 0);
  EXPECT_EQ(foreign.runs(), 1u);
  EXPECT_TRUE(AwaitExec("connect:1"));
  EXPECT_TRUE(AwaitFlow(FlowStage::kOpen, top().id(),
                        [](const FlowEvent& f) { return f.remote.address == Ip("::1"); }));
  EXPECT_TRUE(AwaitFlow(FlowStage::kOpen, top().id(),
                        [](const FlowEvent& f) { return f.protocol == IPPROTO_UDP; }));
}

TEST_F(NeighboursTest, AnExclusiveProgramBelowDoesNotHideItsCgroupFromUs) {
  absl::StatusOr<ScopedCgroup> below = ScopedCgroup::Create(top().path());
  ASSERT_TRUE(below.ok()) << below.status();
  ForeignProgram foreign;
  ASSERT_EQ(foreign.Attach(*below, 0), 0);
  Attach();
  Watch(*below);
  ASSERT_EQ(below->Run({Actor(), "connect:1"})->exit_code, 0);
  EXPECT_EQ(foreign.runs(), 1u);
  EXPECT_TRUE(AwaitFlow(FlowStage::kOpen, below->id(), [](const FlowEvent&) { return true; }));
}

TEST_F(NeighboursTest, WhereWeAreNobodyCanBeAlone) {
  Attach();
  Watch(top());
  ForeignProgram foreign;
  EXPECT_EQ(foreign.Attach(top(), 0), EPERM);
  EXPECT_TRUE(OursSeesAConnect());
}

// Objects that a kernel would refuse, in place of one of ours.
class RefusedTest : public NeighboursTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void Change(ProbeOptions& options) override {
    NeighboursTest::Change(options);
    for (const EmbeddedObject& object : EmbeddedBpfObjects()) {
      elfs_.emplace_back(object.elf);
      // What is refused alone is refused together too: then each is loaded by itself.
      if (object.name == GetParam() || object.name.substr(0, 8) == "together") {
        elfs_.back() = Spoil(elfs_.back());
      }
    }
    for (size_t i = 0; i < elfs_.size(); ++i) {
      objects_.push_back({EmbeddedBpfObjects()[i].name, elfs_[i]});
    }
    options.objects = objects_;
  }

  // Programs that are not free software get few helpers: the verifier refuses them.
  virtual std::string Spoil(std::string elf) {
    const std::string licence = "Dual BSD/GPL";
    const size_t at = elf.find(licence);
    EXPECT_NE(at, std::string::npos);
    return elf.replace(at, licence.size(), "Proprietary!");
  }

 private:
  std::vector<std::string> elfs_;
  std::vector<EmbeddedObject> objects_;
};

TEST_P(RefusedTest, AProbeThatTheKernelRefusesIsDegradedAndTheOthersWork) {
  probes().Attach();
  ExpectAllWellBut(GetParam());
  const ProbeStatus status = StatusOf(GetParam());
  EXPECT_THAT(status.reason, HasSubstr("the kernel refused the programs"));
  EXPECT_THAT(status.programs, IsEmpty());
  for (const ProbeInfo& probe : AllProbes()) {
    if (probe.name == GetParam()) {
      EXPECT_THAT(status.reason, HasSubstr(std::string(probe.without)));
    }
  }
  Watch(top());
  ASSERT_EQ(top().Run({Actor(), "flow:10", "udp:1:9"})->exit_code, 0);
  auto is_seen = [&](FlowStage stage, uint8_t protocol) {
    return AwaitFlow(stage, top().id(), [&](const FlowEvent& f) { return f.protocol == protocol; })
        .has_value();
  };
  if (GetParam() != "process") {
    EXPECT_TRUE(AwaitExec("flow:10"));
  }
  if (GetParam() != "connect") {
    EXPECT_TRUE(is_seen(FlowStage::kOpen, IPPROTO_TCP));
  }
  if (GetParam() != "tcp") {
    EXPECT_TRUE(is_seen(FlowStage::kListening, IPPROTO_TCP));
    EXPECT_TRUE(is_seen(FlowStage::kAccepted, IPPROTO_TCP));
  }
  if (GetParam() != "udp") {
    EXPECT_TRUE(is_seen(FlowStage::kOpen, IPPROTO_UDP));
  }
}

INSTANTIATE_TEST_SUITE_P(EachProbe, RefusedTest,
                         ::testing::Values("cgroup", "process", "connect", "tcp", "udp",
                                           "privilege"));

// The iterators are no probe, and what they tell is not the end of the agent either.
class RefusedScanTest : public RefusedTest {};

TEST_P(RefusedScanTest, TheProbesWorkWithoutIterators) {
  probes().Attach();
  const ProbeStatus status = StatusOf(GetParam());
  EXPECT_FALSE(status.ok);
  EXPECT_THAT(status.reason, HasSubstr("what ran before the agent is not known"));
  EXPECT_EQ(probes().statuses().size(), kProbes + 1);
  EXPECT_EQ(probes().RunIterator("scan_processes", {}).status().code(),
            absl::StatusCode::kNotFound);
  Watch(top());
  ASSERT_EQ(top().Run({Actor(), "nothing:without"})->exit_code, 0);
  EXPECT_TRUE(AwaitExec("nothing:without"));
}

INSTANTIATE_TEST_SUITE_P(Iterators, RefusedScanTest, ::testing::Values("scan"));

class BrokenTest : public RefusedTest {
 protected:
  std::string Spoil(std::string elf) override { return elf.substr(0, elf.size() / 2); }
};

TEST_P(BrokenTest, AnObjectThatIsNoneIsDegradedToo) {
  probes().Attach();
  ExpectAllWellBut(GetParam());
  EXPECT_THAT(StatusOf(GetParam()).reason, HasSubstr("cannot be opened"));
}

INSTANTIATE_TEST_SUITE_P(OneProbe, BrokenTest, ::testing::Values("udp"));

}  // namespace
}  // namespace vedette::testing
