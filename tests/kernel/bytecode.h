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

// OK when every way through the main function ends with r0 == 1, and nothing is written to the
// context. Follows constants and the context through the registers over all paths, whether or not
// they can be taken, and the context through the stack and into functions; what it does not
// understand is an error. A context that a function finds behind a pointer to its caller's stack is
// not seen.
absl::Status CheckReturnsOnlyOne(const Bytecode& program);

// The same of r0 == 0, by which a program of BPF LSM lets an act go on.
absl::Status CheckReturnsOnlyZero(const Bytecode& program);

// OK when all that the program calls is on the list of what only reads, or writes to maps and
// rings. A call that cannot be named is an error.
absl::Status CheckOnlyObserves(const Bytecode& program);

}  // namespace vedette::testing
