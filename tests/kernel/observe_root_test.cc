// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/unique_fd.h"
#include "agent/probes/kernel_hooks.h"
#include "agent/probes/lsm_check.h"
#include "agent/probes/objects.h"
#include "agent/probes/program_kind.h"
#include "agent/probes/registry.h"
#include "tests/kernel/bytecode.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

// That the agent only observes is read from what the kernel runs, not from the sources.
class ObserveTest : public KernelTest {
 protected:
  // All programs but those that watch files, which see each system call.
  void Change(ProbeOptions& options) override { options.capabilities = true; }
};

// All programs that there are.
class ObserveAllTest : public ObserveTest {
 protected:
  void Change(ProbeOptions& options) override {
    ObserveTest::Change(options);
    options.files = true;
  }
};

constexpr bpf_insn Instruction(uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm) {
  bpf_insn i = {};
  i.code = code;
  i.dst_reg = dst & 0xf;
  i.src_reg = src & 0xf;
  i.off = off;
  i.imm = imm;
  return i;
}

constexpr bpf_insn Set(uint8_t to, int32_t value) {
  return Instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
constexpr bpf_insn SetLow(uint8_t to, int32_t value) {
  return Instruction(BPF_ALU | BPF_MOV | BPF_K, to, 0, 0, value);
}
constexpr bpf_insn Copy(uint8_t to, uint8_t from) {
  return Instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}
constexpr bpf_insn Add(uint8_t to, int32_t value) {
  return Instruction(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value);
}
constexpr bpf_insn Load(uint8_t to, uint8_t from, int16_t off) {
  return Instruction(BPF_LDX | BPF_MEM | BPF_W, to, from, off, 0);
}
constexpr bpf_insn SkipIfZero(uint8_t reg, int16_t by) {
  return Instruction(BPF_JMP | BPF_JEQ | BPF_K, reg, 0, by, 0);
}
constexpr bpf_insn Skip(int16_t by) { return Instruction(BPF_JMP | BPF_JA, 0, 0, by, 0); }
constexpr bpf_insn Call(int32_t helper) { return Instruction(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
constexpr bpf_insn Exit() { return Instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

UniqueFd LoadProgram(bpf_prog_type type, const std::vector<bpf_insn>& code) {
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  if (type == BPF_PROG_TYPE_CGROUP_SOCK_ADDR) {
    options.expected_attach_type = BPF_CGROUP_INET4_CONNECT;
  }
  if (type == BPF_PROG_TYPE_CGROUP_SKB) {
    options.expected_attach_type = BPF_CGROUP_INET_EGRESS;
  }
  UniqueFd fd(bpf_prog_load(type, "planted", "GPL", code.data(), code.size(), &options));
  EXPECT_TRUE(fd.valid()) << strerror(errno);
  return fd;
}

// Loaded into the kernel, so that the check sees what it sees of ours.
absl::Status ReturnsOfSkb(const std::vector<bpf_insn>& code) {
  const UniqueFd fd = LoadProgram(BPF_PROG_TYPE_CGROUP_SKB, code);
  absl::StatusOr<Bytecode> program = ReadBytecode(fd.get());
  EXPECT_TRUE(program.ok()) << program.status();
  EXPECT_TRUE(IsCgroupType(program->type));
  EXPECT_TRUE(CheckOnlyObserves(*program).ok());
  return CheckReturnsOnlyOne(*program);
}

TEST_F(ObserveTest, TheSkippedRunsOfEveryAttachedProgramAreCounted) {
  const auto names = [&] {
    std::set<std::string> programs;
    for (const ProbeStatus& probe : probes().statuses()) {
      programs.insert(probe.programs.begin(), probe.programs.end());
    }
    return programs;
  };
  const auto counted = [&] {
    std::set<std::string> programs;
    for (const SkippedRuns& runs : probes().ReadSkippedRuns()) {
      EXPECT_EQ(runs.program.substr(0, runs.probe.size() + 1), runs.probe + "_");
      programs.insert(runs.program);
    }
    return programs;
  };
  EXPECT_TRUE(counted().empty());
  Attach();
  EXPECT_EQ(names().count("tcp_state"), 1u);
  EXPECT_EQ(names().count("tcp_body"), 0u) << "nothing is attached to it";
  EXPECT_EQ(counted(), names());
  // Of an adopted link they are those of the program that runs, not of the one just loaded.
  KillAndLoad();
  Attach();
  EXPECT_EQ(counted(), names());
  probes().Detach();
  EXPECT_TRUE(counted().empty());
}

// `bpftool link detach`, which an intruder with root may try.
TEST_F(ObserveTest, AProgramThatSomebodyElseDetachedIsAGapUntilTheNextStart) {
  const auto gaps = [&] { return GapsOfSkippedRuns(probes().ReadSkippedRuns()); };
  Attach();
  EXPECT_TRUE(gaps().empty());
  const std::string pin = probes().pin_dir() + "/links/connect_v4";
  const UniqueFd link(bpf_obj_get(pin.c_str()));
  ASSERT_TRUE(link.valid()) << strerror(errno);
  ASSERT_EQ(bpf_link_detach(link.get()), 0) << strerror(errno);
  ASSERT_EQ(gaps().size(), 1u);
  EXPECT_NE(gaps()[0].find("program connect_v4 was detached by somebody else"), std::string::npos);
  // It is not taken over as it is.
  KillAndLoad();
  Attach();
  EXPECT_TRUE(gaps().empty());
}

// Whatever fires at each system call of each process costs all of them.
TEST_F(ObserveTest, NothingThatIsOnByDefaultFiresAtEverySystemCall) {
  const std::unique_ptr<btf, decltype(&btf__free)> kernel(btf__load_vmlinux_btf(), btf__free);
  ASSERT_NE(kernel, nullptr);
  size_t tracing = 0;
  for (const auto& [name, fd] : probes().ProgramFds()) {
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    ASSERT_EQ(bpf_obj_get_info_by_fd(fd, &info, &size), 0) << name;
    // Of these two the kernel does not say where they are attached.
    EXPECT_NE(info.type, BPF_PROG_TYPE_TRACEPOINT) << name;
    EXPECT_NE(info.type, BPF_PROG_TYPE_RAW_TRACEPOINT) << name;
    if (info.attach_btf_id != 0) {
      const btf_type* type = btf__type_by_id(kernel.get(), info.attach_btf_id);
      const std::string_view hook = btf__name_by_offset(kernel.get(), type->name_off);
      EXPECT_EQ(hook.find("sys_enter"), std::string_view::npos) << name;
      EXPECT_EQ(hook.find("sys_exit"), std::string_view::npos) << name;
      tracing += hook.substr(0, 10) == "btf_trace_" ? 1 : 0;
    }
  }
  EXPECT_GE(tracing, 6u);
}

TEST_F(ObserveAllTest, NoProgramCanDenyAnythingAndNoneSendsASignal) {
  std::set<std::string_view> unseen = {kScanObject};
  for (const ProbeInfo& probe : AllProbes()) {
    unseen.insert(probe.name);
  }
  size_t cgroup_programs = 0;
  size_t lsm_programs = 0;
  for (const auto& [name, fd] : probes().ProgramFds()) {
    absl::StatusOr<Bytecode> program = ReadBytecode(fd);
    ASSERT_TRUE(program.ok()) << name << ": " << program.status();
    absl::Status observes = CheckOnlyObserves(*program);
    EXPECT_TRUE(observes.ok()) << observes;
    if (IsCgroupType(program->type)) {
      absl::Status returns = CheckReturnsOnlyOne(*program);
      EXPECT_TRUE(returns.ok()) << returns;
      ++cgroup_programs;
    }
    if (program->type == BPF_PROG_TYPE_LSM) {
      absl::Status returns = CheckReturnsOnlyZero(*program);
      EXPECT_TRUE(returns.ok()) << returns;
      ++lsm_programs;
    }
    std::erase_if(unseen, [&](std::string_view probe) { return IsOfProbe(name, probe); });
  }
  // connect4/6, sendmsg4/6, bind4/6, egress, ingress, sock_release.
  EXPECT_EQ(cgroup_programs, 9u);
  EXPECT_EQ(lsm_programs, CheckLsm(FindObject(EmbeddedBpfObjects(), kLsmObject)).ok() ? 1u : 0u);
  // Where the kernel has no hook for it there is no program of it either.
  if (ProgramsWithoutHook().contains("capability_used")) {
    unseen.erase(kCapabilityProbe);
  }
  EXPECT_THAT(unseen, IsEmpty()) << "none of their programs was looked at";
}

// A program may go on as another where that is one of ours, checked as all are.
TEST_F(ObserveTest, WhatProgramsGoOnAsIsOneOfThem) {
  std::set<uint32_t> ours;
  for (const auto& [name, fd] : probes().ProgramFds()) {
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    ASSERT_EQ(bpf_obj_get_info_by_fd(fd, &info, &size), 0) << name;
    ours.insert(info.id);
  }
  size_t found = 0;
  uint32_t id = 0;
  for (uint32_t i = 0; i < probes().MaxEntries("vd_tcp_body"); ++i) {
    if (bpf_map_lookup_elem(probes().MapFd("vd_tcp_body"), &i, &id) == 0) {
      EXPECT_EQ(ours.count(id), 1u);
      ++found;
    }
  }
  EXPECT_EQ(found, 1u);
}

TEST(BytecodeTest, TheCheckFindsATailCallToAnythingElse) {
  const UniqueFd map(bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "elsewhere", 4, 4, 1, nullptr));
  ASSERT_TRUE(map.valid()) << strerror(errno);
  const UniqueFd fd = LoadProgram(
      BPF_PROG_TYPE_RAW_TRACEPOINT,
      {Instruction(BPF_LD | BPF_IMM | BPF_DW, 2, BPF_PSEUDO_MAP_FD, 0, map.get()),
       Instruction(0, 0, 0, 0, 0), Set(3, 0), Call(BPF_FUNC_tail_call), Set(0, 0), Exit()});
  absl::StatusOr<Bytecode> program = ReadBytecode(fd.get());
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_THAT(std::string(CheckOnlyObserves(*program).message()),
              HasSubstr("goes on as a program that this check does not know"));
}

TEST(BytecodeTest, TheCheckFindsAProgramThatReturnsZero) {
  EXPECT_FALSE(ReturnsOfSkb({Set(0, 0), Exit()}).ok());
  EXPECT_FALSE(ReturnsOfSkb({SetLow(0, 0), Exit()}).ok());
  EXPECT_TRUE(ReturnsOfSkb({Set(0, 1), Exit()}).ok());
  EXPECT_TRUE(ReturnsOfSkb({SetLow(0, 1), Exit()}).ok());
}

TEST(BytecodeTest, TheCheckFindsAProgramOfLsmThatDenies) {
  const auto returns = [](const std::vector<bpf_insn>& code) {
    Bytecode program;
    program.name = "planted";
    program.type = BPF_PROG_TYPE_LSM;
    program.instructions = code;
    return CheckReturnsOnlyZero(program).ok();
  };
  EXPECT_TRUE(returns({Set(0, 0), Exit()}));
  EXPECT_FALSE(returns({Set(0, -1), Exit()}));
  EXPECT_FALSE(returns({Set(0, 1), Exit()}));
  EXPECT_FALSE(returns({Load(2, 1, 0), Set(0, 0), SkipIfZero(2, 1), Exit(), Set(0, -13), Exit()}));
}

TEST(BytecodeTest, TheCheckFindsAZeroOnOneOfTwoWays) {
  // if (skb->len) return 1; return 0; with one exit, and with two.
  EXPECT_FALSE(
      ReturnsOfSkb({Load(2, 1, 0), Set(0, 1), SkipIfZero(2, 1), Exit(), Set(0, 0), Exit()}).ok());
  EXPECT_FALSE(
      ReturnsOfSkb({Load(2, 1, 0), Set(0, 1), SkipIfZero(2, 1), Skip(1), Set(0, 0), Exit()}).ok());
  EXPECT_FALSE(
      ReturnsOfSkb({Load(2, 1, 0), Set(0, 0), SkipIfZero(2, 1), Skip(1), Set(0, 1), Exit()}).ok());
}

TEST(BytecodeTest, TheCheckFollowsTheValueAndNotTheText) {
  EXPECT_TRUE(ReturnsOfSkb({Set(6, 1), Call(BPF_FUNC_ktime_get_ns), Copy(0, 6), Exit()}).ok());
  // r0 = 1 stands right before, but of the exit of another value.
  EXPECT_FALSE(ReturnsOfSkb({Set(0, 1), Set(6, 0), Copy(0, 6), Exit()}).ok());
  EXPECT_FALSE(ReturnsOfSkb({Set(0, 1), Add(0, -1), Exit()}).ok());
  EXPECT_FALSE(ReturnsOfSkb({Load(0, 1, 0), SkipIfZero(0, 1), Set(0, 1), Exit()}).ok());
}

TEST(BytecodeTest, TheCheckFindsAProgramThatSendsASignal) {
  for (int32_t helper : {BPF_FUNC_send_signal, BPF_FUNC_send_signal_thread}) {
    const UniqueFd fd =
        LoadProgram(BPF_PROG_TYPE_RAW_TRACEPOINT, {Set(1, 0), Call(helper), Set(0, 0), Exit()});
    absl::StatusOr<Bytecode> program = ReadBytecode(fd.get());
    ASSERT_TRUE(program.ok()) << program.status();
    absl::Status status = CheckOnlyObserves(*program);
    EXPECT_THAT(std::string(status.message()), HasSubstr("calls bpf_send_signal"));
  }
}

constexpr bpf_insn Store(uint8_t size, uint8_t to, uint8_t from, int16_t off) {
  return Instruction(BPF_STX | BPF_MEM | size, to, from, off, 0);
}

constexpr bpf_insn CallFunction(int32_t distance) {
  return Instruction(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, distance);
}

TEST(BytecodeTest, TheCheckFindsAProgramThatSendsAConnectElsewhere) {
  constexpr int16_t kUserIp4 = 4;
  const auto check = [](const std::vector<bpf_insn>& code) {
    const UniqueFd fd = LoadProgram(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, code);
    absl::StatusOr<Bytecode> program = ReadBytecode(fd.get());
    EXPECT_TRUE(program.ok()) << program.status();
    return std::string(CheckReturnsOnlyOne(*program).message());
  };
  EXPECT_THAT(check({Set(2, 0), Store(BPF_W, 1, 2, kUserIp4), Set(0, 1), Exit()}),
              HasSubstr("writes to its context"));
  // Through a copy, and through the stack.
  EXPECT_THAT(check({Copy(6, 1), Set(2, 0), Store(BPF_W, 6, 2, kUserIp4), Set(0, 1), Exit()}),
              HasSubstr("writes to its context"));
  EXPECT_THAT(check({Store(BPF_DW, 10, 1, -8), Set(1, 0),
                     Instruction(BPF_LDX | BPF_MEM | BPF_DW, 6, 10, -8, 0), Set(2, 0),
                     Store(BPF_W, 6, 2, kUserIp4), Set(0, 1), Exit()}),
              HasSubstr("writes to its context"));
  // In a function, and by one that gets it from a function.
  EXPECT_THAT(check({CallFunction(2), Set(0, 1), Exit(), Set(2, 0), Store(BPF_W, 1, 2, kUserIp4),
                     Set(0, 0), Exit()}),
              HasSubstr("writes to its context"));
  EXPECT_THAT(check({CallFunction(2), Set(0, 1), Exit(), CallFunction(2), Set(0, 0), Exit(),
                     Set(2, 0), Store(BPF_W, 1, 2, kUserIp4), Set(0, 0), Exit()}),
              HasSubstr("writes to its context"));
  EXPECT_THAT(check({Copy(2, 10), Add(2, -8), Store(BPF_DW, 2, 1, 0), Set(0, 1), Exit()}),
              HasSubstr("keeps its context"));
  EXPECT_EQ(check({Load(2, 1, kUserIp4), Store(BPF_DW, 10, 2, -8), Set(0, 1), Exit()}), "");
  EXPECT_EQ(check({CallFunction(2), Set(0, 1), Exit(), Load(2, 1, kUserIp4), Set(0, 0), Exit()}),
            "");
}

TEST(BytecodeTest, TheCheckFindsACallThatIsNotKnownToObserve) {
  // bind() to port 0 of any address.
  const UniqueFd fd =
      LoadProgram(BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
                  {Set(3, 0), Store(BPF_DW, 10, 3, -8), Store(BPF_DW, 10, 3, -16), Copy(2, 10),
                   Add(2, -16), Set(3, 16), Call(BPF_FUNC_bind), Set(0, 1), Exit()});
  absl::StatusOr<Bytecode> program = ReadBytecode(fd.get());
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_THAT(std::string(CheckOnlyObserves(*program).message()), HasSubstr("calls bpf_bind"));
}

TEST(BytecodeTest, TheCheckRefusesWhatItDoesNotUnderstand) {
  Bytecode program{"made-up", BPF_PROG_TYPE_CGROUP_SKB, {Set(0, 1), Exit()}};
  EXPECT_TRUE(CheckReturnsOnlyOne(program).ok());
  program.instructions = {Set(0, 1), Skip(5), Exit()};
  EXPECT_FALSE(CheckReturnsOnlyOne(program).ok());
  program.instructions = {Set(0, 1), Call(BPF_FUNC_tail_call), Set(0, 1), Exit()};
  EXPECT_FALSE(CheckReturnsOnlyOne(program).ok());
  program.instructions = {Skip(-1)};
  EXPECT_FALSE(CheckReturnsOnlyOne(program).ok()) << "no exit";
  program.instructions = {Set(0, 1), Instruction(BPF_LD | BPF_ABS | BPF_W, 0, 0, 0, 0), Exit()};
  EXPECT_FALSE(CheckReturnsOnlyOne(program).ok());
  program.instructions = {Call(12345), Exit()};
  EXPECT_FALSE(CheckOnlyObserves(program).ok());
}

}  // namespace
}  // namespace vedette::testing
