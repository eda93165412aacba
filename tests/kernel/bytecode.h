// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/bpf.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vedette::testing {

// A program as the kernel runs it, after the verifier has rewritten it.
struct Bytecode {
  std::string name;
  uint32_t type = 0;  // enum bpf_prog_type
  std::vector<bpf_insn> instructions;
};

absl::StatusOr<Bytecode> ReadBytecode(int program_fd);

// True for programs whose return value decides about a packet, a socket or a system call.
bool IsCgroupType(uint32_t type);

// OK when every way through the main function ends with r0 == 1. Follows constants through the
// registers over all paths, whether or not they can be taken; what it does not understand is an
// error.
absl::Status CheckReturnsOnlyOne(const Bytecode& program);

// OK when nothing that the program calls can signal a task, change a return value or write user
// memory. A call that cannot be named is an error.
absl::Status CheckOnlyObserves(const Bytecode& program);

}  // namespace vedette::testing
