// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

struct bpf_program;

namespace vedette {

// Is it attached to a cgroup?
bool IsCgroupProgram(const bpf_program* program);

// Is it run by reading, and attached to nothing?
bool IsIterator(const bpf_program* program);

// Is it attached to nothing, and run by others that go on as it?
bool IsBody(const bpf_program* program);

// Does a program of this name belong to the probe? It begins with the name of that.
bool IsOfProbe(std::string_view program, std::string_view probe);

// How many instructions the verifier went through; 0: not known.
uint64_t VerifiedInstructions(int program_fd);

}  // namespace vedette
