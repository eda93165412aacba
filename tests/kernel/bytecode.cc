// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/bytecode.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "agent/base/status.h"
#include "agent/base/unique_fd.h"

namespace vedette::testing {
namespace {

constexpr size_t kRegisters = 11;
constexpr std::string_view kOwnPrograms = "vd_tcp_body";  // What it holds is looked at by itself.
constexpr uint8_t kKernelFunction = 2;                    // src_reg of a call of a kfunc.

constexpr size_t kStackSlots = 64;  // Of eight bytes.
// Stands in a register for the address of the program's context. No program holds such a number.
constexpr uint64_t kContext = 0xc0de'c0de'c0de'c0de;

// What is known of each register, and of each slot of the stack, at one instruction; nothing: any
// value. Of slots only that they hold the context: they can be written through other registers.
using State = std::array<std::optional<uint64_t>, kRegisters + kStackSlots>;

// The slot that an instruction reads or writes through the frame pointer.
std::optional<size_t> SlotOf(uint8_t base, int16_t offset) {
  return base == BPF_REG_10 && offset < 0 && offset >= -512
             ? std::optional(kRegisters + static_cast<size_t>(offset + 512) / 8)
             : std::nullopt;
}

absl::Status Refused(const Bytecode& program, size_t at, std::string_view why) {
  const bpf_insn& i = program.instructions[at];
  return absl::FailedPreconditionError(
      fmt::format("{}: instruction {} (code {:#04x} dst {} src {} off {} imm {}): {}", program.name,
                  at, i.code, int{i.dst_reg}, int{i.src_reg}, int{i.off}, int{i.imm}, why));
}

bool IsJump(const bpf_insn& i) {
  return BPF_CLASS(i.code) == BPF_JMP || BPF_CLASS(i.code) == BPF_JMP32;
}

void Move(const bpf_insn& i, State& state) {
  const bool wide = BPF_CLASS(i.code) == BPF_ALU64;
  std::optional<uint64_t> value;
  if (BPF_SRC(i.code) == BPF_K) {
    value = static_cast<uint64_t>(int64_t{i.imm});
  } else if (i.off == 0) {  // Else a move that extends the sign, or a cast of an arena's address.
    value = state[i.src_reg];
  }
  if (value && !wide) {
    value = *value & 0xffffffffu;
  }
  state[i.dst_reg] = value;
}

void Forget(State& state, std::initializer_list<size_t> registers) {
  for (size_t r : registers) {
    state[r].reset();
  }
}

bool HasContext(const State& state) {
  return std::find(state.begin(), state.end(), kContext) != state.end();
}

// What is written into a context of a connect or a send changes where it goes.
absl::Status Store(const Bytecode& program, size_t at, State& state) {
  const bpf_insn& i = program.instructions[at];
  if (state[i.dst_reg] == kContext) {
    return Refused(program, at, "writes to its context");
  }
  const std::optional<size_t> slot = SlotOf(i.dst_reg, i.off);
  if (!slot && BPF_CLASS(i.code) == BPF_STX && state[i.src_reg] == kContext) {
    return Refused(program, at, "keeps its context where this check does not follow it");
  }
  if (slot) {
    const bool keeps = BPF_CLASS(i.code) == BPF_STX && BPF_MODE(i.code) == BPF_MEM &&
                       BPF_SIZE(i.code) == BPF_DW && state[i.src_reg] == kContext;
    state[*slot] = keeps ? std::optional(kContext) : std::nullopt;
  }
  return absl::OkStatus();
}

// The state after an instruction that is neither a jump nor an exit. Only moves make constants.
absl::Status Step(const Bytecode& program, size_t at, State& state) {
  const bpf_insn& i = program.instructions[at];
  if (i.dst_reg >= kRegisters || i.src_reg >= kRegisters) {
    return Refused(program, at, "no such register");
  }
  switch (BPF_CLASS(i.code)) {
    case BPF_ALU:
    case BPF_ALU64:
      if (BPF_OP(i.code) == BPF_MOV) {
        Move(i, state);
      } else {
        state[i.dst_reg].reset();
      }
      return absl::OkStatus();
    case BPF_LDX: {
      const std::optional<size_t> slot = SlotOf(i.src_reg, i.off);
      state[i.dst_reg] = slot && BPF_SIZE(i.code) == BPF_DW ? state[*slot] : std::nullopt;
      return absl::OkStatus();
    }
    case BPF_LD:
      if (i.code != (BPF_LD | BPF_IMM | BPF_DW)) {
        return Refused(program, at, "a load of a kind that this check does not know");
      }
      state[i.dst_reg].reset();
      return absl::OkStatus();
    case BPF_STX:
      VEDETTE_RETURN_IF_ERROR(Store(program, at, state));
      if (BPF_MODE(i.code) == BPF_ATOMIC) {
        // What stood in memory comes back in the source register, or in r0.
        Forget(state, {i.src_reg, 0});
      }
      return absl::OkStatus();
    case BPF_ST:
      return Store(program, at, state);
    default:
      return Refused(program, at, "an instruction that this check does not know");
  }
}

// As deep as the verifier lets functions call each other.
constexpr int kMostFrames = 8;

// Walks all paths of one function until nothing new is known about any instruction, and those of
// the functions that get the context.
class Walk {
 public:
  Walk(const Bytecode& program, uint64_t only, int frame = 1)
      : program_(program), known_(program.instructions.size()), only_(only), frame_(frame) {}

  absl::Status Run() {
    State start;
    start[BPF_REG_1] = kContext;
    return Run(0, start);
  }

 private:
  absl::Status Run(int64_t entry, const State& start) {
    Reach(entry, start);
    while (!todo_.empty()) {
      const size_t at = *todo_.begin();
      todo_.erase(todo_.begin());
      if (absl::Status status = Visit(at); !status.ok()) {
        return status;
      }
    }
    return exits_ > 0 ? status_
                      : absl::FailedPreconditionError(program_.name + ": no exit was found");
  }

  void Reach(int64_t at, const State& state) {
    if (at < 0 || at >= static_cast<int64_t>(known_.size())) {
      status_ = absl::FailedPreconditionError(
          fmt::format("{}: a path leaves the program at {}", program_.name, at));
      return;
    }
    std::optional<State>& known = known_[static_cast<size_t>(at)];
    if (!known) {
      known = state;
      todo_.insert(static_cast<size_t>(at));
      return;
    }
    for (size_t r = 0; r < known->size(); ++r) {
      if ((*known)[r] && (*known)[r] != state[r]) {
        (*known)[r].reset();
        todo_.insert(static_cast<size_t>(at));
      }
    }
  }

  absl::Status Visit(size_t at) {
    const bpf_insn& i = program_.instructions[at];
    State state = *known_[at];
    const auto next = static_cast<int64_t>(at) + 1;
    if (!IsJump(i)) {
      if (absl::Status status = Step(program_, at, state); !status.ok()) {
        return status;
      }
      Reach(i.code == (BPF_LD | BPF_IMM | BPF_DW) ? next + 1 : next, state);
      return absl::OkStatus();
    }
    switch (BPF_OP(i.code)) {
      case BPF_EXIT:
        ++exits_;
        return Exit(at, state);
      case BPF_CALL:
        if (absl::Status status = Call(at, state); !status.ok()) {
          return status;
        }
        Forget(state, {0, 1, 2, 3, 4, 5});
        Reach(next, state);
        return absl::OkStatus();
      case BPF_JA:
        Reach(next + (BPF_CLASS(i.code) == BPF_JMP ? int64_t{i.off} : int64_t{i.imm}), state);
        return absl::OkStatus();
      default:
        Reach(next, state);
        Reach(next + i.off, state);
        return absl::OkStatus();
    }
  }

  absl::Status Exit(size_t at, const State& state) const {
    if (frame_ > 1) {
      return state[0] == kContext ? Refused(program_, at, "a function returns its context")
                                  : absl::OkStatus();
    }
    return state[0] == std::optional<uint64_t>(only_)
               ? absl::OkStatus()
               : Refused(program_, at,
                         state[0] ? fmt::format("returns {}", *state[0])
                                  : fmt::format("returns what is not known to be {}", only_));
  }

  absl::Status Call(size_t at, const State& state) const {
    const bpf_insn& i = program_.instructions[at];
    if (i.src_reg == 0 && i.imm == BPF_FUNC_tail_call) {
      return Refused(program_, at, "another program decides what is returned");
    }
    State arguments;
    std::copy_n(state.begin() + BPF_REG_1, 5, arguments.begin() + BPF_REG_1);
    if (i.src_reg != BPF_PSEUDO_CALL || !HasContext(arguments)) {
      return absl::OkStatus();
    }
    if (frame_ == kMostFrames) {
      return Refused(program_, at, "functions call each other deeper than the kernel allows");
    }
    // The kernel shows the distance here once it has compiled the program.
    return Walk(program_, only_, frame_ + 1).Run(static_cast<int64_t>(at) + 1 + i.off, arguments);
  }

  const Bytecode& program_;
  std::vector<std::optional<State>> known_;
  const uint64_t only_;  // What the program may return.
  const int frame_;
  std::set<size_t> todo_;
  size_t exits_ = 0;
  absl::Status status_;
};

using Symbols = std::multimap<uint64_t, std::string>;

const Symbols& KernelSymbols() {
  static const Symbols* const symbols = [] {
    auto* made = new Symbols();
    std::ifstream file("/proc/kallsyms");
    for (std::string line; std::getline(file, line);) {
      std::istringstream fields(line);
      std::string address, type, name;
      fields >> address >> type >> name;
      if (name == "__bpf_call_base" || name.rfind("bpf_", 0) == 0 || type == "t" || type == "T") {
        made->emplace(strtoull(address.c_str(), nullptr, 16), name);
      }
    }
    return made;
  }();
  return *symbols;
}

uint64_t CallBase() {
  static const uint64_t base = [] {
    for (const auto& [address, name] : KernelSymbols()) {
      if (name == "__bpf_call_base") {
        return address;
      }
    }
    return uint64_t{0};
  }();
  return base;
}

// The name of the map whose program a tail call goes on as; empty: it is not clear.
std::string ProgramArrayOf(const Bytecode& program, size_t at) {
  while (at-- > 0) {
    const bpf_insn& i = program.instructions[at];
    if (IsJump(i)) {
      return "";
    }
    if (i.dst_reg != BPF_REG_2 || BPF_CLASS(i.code) == BPF_ST || BPF_CLASS(i.code) == BPF_STX ||
        i.code == 0) {  // The second half of a load.
      continue;
    }
    if (i.code != (BPF_LD | BPF_IMM | BPF_DW) || i.src_reg != BPF_PSEUDO_MAP_FD) {
      return "";
    }
    const UniqueFd map(bpf_map_get_fd_by_id(static_cast<uint32_t>(i.imm)));
    bpf_map_info info = {};
    uint32_t size = sizeof(info);
    return bpf_obj_get_info_by_fd(map.get(), &info, &size) == 0 ? info.name : "";
  }
  return "";
}

absl::Status CheckTailCall(const Bytecode& program, size_t at) {
  return ProgramArrayOf(program, at) == kOwnPrograms
             ? absl::OkStatus()
             : Refused(program, at, "goes on as a program that this check does not know");
}

// What reads, what writes to maps and rings of its own, and nothing else.
const std::set<std::string>& Observing() {
  static const auto* const names = new std::set<std::string>{"__htab_map_lookup_elem",
                                                             "array_map_lookup_elem",
                                                             "bpf_get_current_cgroup_id",
                                                             "bpf_get_current_pid_tgid",
                                                             "bpf_get_current_task",
                                                             "bpf_get_current_task_btf",
                                                             "bpf_get_raw_cpu_id",
                                                             "bpf_get_smp_processor_id",
                                                             "bpf_get_socket_cookie",
                                                             "bpf_get_socket_cookie_sock",
                                                             "bpf_get_socket_cookie_sock_addr",
                                                             "bpf_get_socket_ptr_cookie",
                                                             "bpf_ktime_get_boot_ns",
                                                             "bpf_ktime_get_ns",
                                                             "bpf_map_delete_elem",
                                                             "bpf_map_lookup_elem",
                                                             "bpf_map_update_elem",
                                                             "bpf_probe_read_kernel",
                                                             "bpf_probe_read_kernel_str",
                                                             "bpf_probe_read_user",
                                                             "bpf_ringbuf_discard",
                                                             "bpf_ringbuf_query",
                                                             "bpf_ringbuf_reserve",
                                                             "bpf_ringbuf_submit",
                                                             "bpf_seq_write",
                                                             "bpf_sk_fullsock",
                                                             "bpf_sk_storage_get",
                                                             "bpf_sk_storage_get_tracing",
                                                             "bpf_skb_load_bytes",
                                                             "bpf_skc_to_tcp_sock",
                                                             "bpf_sock_from_file",
                                                             "bpf_task_pt_regs",
                                                             "htab_lru_map_update_elem",
                                                             "htab_map_delete_elem",
                                                             "htab_map_update_elem",
                                                             "htab_percpu_map_lookup_elem",
                                                             "htab_percpu_map_update_elem",
                                                             "percpu_array_map_lookup_elem"};
  return *names;
}

}  // namespace

bool IsCgroupType(uint32_t type) {
  switch (type) {
    case BPF_PROG_TYPE_CGROUP_SKB:
    case BPF_PROG_TYPE_CGROUP_SOCK:
    case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
    case BPF_PROG_TYPE_CGROUP_SOCKOPT:
    case BPF_PROG_TYPE_CGROUP_SYSCTL:
    case BPF_PROG_TYPE_CGROUP_DEVICE:
      return true;
    default:
      return false;
  }
}

absl::StatusOr<Bytecode> ReadBytecode(int program_fd) {
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(program_fd, &info, &size) != 0) {
    return absl::ErrnoToStatus(errno, "bpf_obj_get_info_by_fd");
  }
  Bytecode program;
  program.instructions.resize(info.xlated_prog_len / sizeof(bpf_insn));
  bpf_prog_info again = {};
  again.xlated_prog_len = info.xlated_prog_len;
  again.xlated_prog_insns = reinterpret_cast<uintptr_t>(program.instructions.data());
  size = sizeof(again);
  if (program.instructions.empty() || bpf_obj_get_info_by_fd(program_fd, &again, &size) != 0 ||
      again.xlated_prog_insns == 0) {
    return absl::PermissionDeniedError("the kernel does not show the bytecode");
  }
  program.name = info.name;
  program.type = info.type;
  return program;
}

absl::Status CheckReturnsOnlyOne(const Bytecode& program) { return Walk(program, 1).Run(); }

absl::Status CheckReturnsOnlyZero(const Bytecode& program) { return Walk(program, 0).Run(); }

absl::Status CheckOnlyObserves(const Bytecode& program) {
  if (CallBase() == 0) {
    return absl::FailedPreconditionError("/proc/kallsyms does not name __bpf_call_base");
  }
  for (size_t at = 0; at < program.instructions.size(); ++at) {
    const bpf_insn& i = program.instructions[at];
    if (i.code == (BPF_LD | BPF_IMM | BPF_DW)) {
      ++at;  // Its second half is data.
      continue;
    }
    if (i.code != (BPF_JMP | BPF_CALL) || i.src_reg == BPF_PSEUDO_CALL) {
      continue;
    }
    if (i.src_reg == 0 && i.imm == BPF_FUNC_tail_call) {
      VEDETTE_RETURN_IF_ERROR(CheckTailCall(program, at));
      continue;
    }
    if (i.src_reg != 0 && i.src_reg != kKernelFunction) {
      return Refused(program, at, "a call of a kind that this check does not know");
    }
    const auto [first, last] =
        KernelSymbols().equal_range(CallBase() + static_cast<uint64_t>(int64_t{i.imm}));
    if (i.imm == 0 || first == last) {
      return Refused(program, at, "a call that /proc/kallsyms does not name");
    }
    if (std::none_of(first, last,
                     [](const auto& symbol) { return Observing().count(symbol.second) > 0; })) {
      return Refused(
          program, at,
          fmt::format("calls {}, which this check does not know to only observe", first->second));
    }
  }
  return absl::OkStatus();
}

}  // namespace vedette::testing
