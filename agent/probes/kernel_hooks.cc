// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/kernel_hooks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/btf.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "agent/base/unique_fd.h"
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

// The names in a BTF file, each with a NUL before and after it; empty if it cannot be read.
std::string NamesOfTypes(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  btf_header header;
  if (!fd.valid() || pread(fd.get(), &header, sizeof(header), 0) != sizeof(header) ||
      header.magic != BTF_MAGIC) {
    return "";
  }
  std::string names(header.str_len, '\0');
  const off_t begin = static_cast<off_t>(header.hdr_len) + header.str_off;
  size_t bytes = 0;
  while (bytes < names.size()) {
    const ssize_t got = pread(fd.get(), names.data() + bytes, names.size() - bytes,
                              begin + static_cast<off_t>(bytes));
    if (got <= 0) {
      return "";
    }
    bytes += static_cast<size_t>(got);
  }
  return names;
}

// memmem, for a search by std::string stops at each NUL that begins a name.
bool HasName(std::string_view names, const std::string& name) {
  while (!names.empty()) {
    const void* at = memmem(names.data(), names.size(), name.c_str(), name.size() + 1);
    if (at == nullptr) {
      return false;
    }
    const size_t begin = static_cast<const char*>(at) - names.data();
    if (begin > 0 && names[begin - 1] == '\0') {
      return true;
    }
    names.remove_prefix(begin + 1);
  }
  return false;
}

}  // namespace

absl::flat_hash_set<std::string_view> ProgramsWithoutHook(const std::string& btf_path) {
  const std::string names = NamesOfTypes(btf_path);
  absl::flat_hash_set<std::string_view> programs;
  if (names.empty()) {
    return programs;
  }
  // Each tracepoint has a type of this name. Looking for it in the bytes of all names takes a
  // hundredth of the time that reading the types does.
  for (const KernelHook& hook : kHooks) {
    const std::string name = fmt::format("btf_trace_{}", hook.tracepoint);
    if (!HasName(names, name)) {
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
