// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/kernel_hooks.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>
#include <string>

#include "agent/probes/program_kind.h"

namespace vedette {
namespace {

// A tracepoint that a kernel may lack.
struct KernelHook {
  std::string_view program;
  std::string_view tracepoint;
  std::string_view without;  // What to tell then; empty: without it there is nothing to see.
};

constexpr KernelHook kHooks[] = {
    {"privilege_module_load", "module_load", ""},   // A kernel that loads no modules.
    {"privilege_io_uring", "io_uring_create", ""},  // One that has no io_uring.
    {"capability_used", "cap_capable",
     "this kernel has no tracepoint cap_capable, which Linux has since 6.14; set "
     "probes.capabilities to off"},
};

}  // namespace

absl::flat_hash_set<std::string_view> ProgramsWithoutHook(std::string_view btf_path) {
  std::ifstream file{std::string(btf_path), std::ios::binary};
  std::ostringstream read;
  read << file.rdbuf();
  const std::string types = std::move(read).str();
  absl::flat_hash_set<std::string_view> programs;
  if (types.empty()) {
    return programs;
  }
  // Each tracepoint has a type of this name; names end with NUL. Looking for the name in all of the
  // bytes takes a hundredth of the time that reading them as types does.
  for (const KernelHook& hook : kHooks) {
    const std::string name = fmt::format("{}btf_trace_{}{}", '\0', hook.tracepoint, '\0');
    if (types.find(name) == std::string::npos) {
      programs.insert(hook.program);
    }
  }
  return programs;
}

std::string MissingHooks(std::string_view probe,
                         const absl::flat_hash_set<std::string_view>& without_hook) {
  for (const KernelHook& hook : kHooks) {
    if (IsOfProbe(hook.program, probe) && without_hook.contains(hook.program) &&
        !hook.without.empty()) {
      return std::string(hook.without);
    }
  }
  return "";
}

}  // namespace vedette
