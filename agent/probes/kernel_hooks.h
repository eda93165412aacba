// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "absl/container/flat_hash_set.h"

namespace vedette {

// The programs that can do without their tracepoint and whose tracepoint the running kernel does
// not have, as its own types in `btf_path` tell. Empty where they cannot be read: then the kernel
// says so at loading.
absl::flat_hash_set<std::string_view> ProgramsWithoutHook(
    const std::string& btf_path = "/sys/kernel/btf/vmlinux");

// What is to be told of a probe with some of these programs; empty: nothing, since what such a
// kernel cannot show cannot happen on it.
std::string MissingHooks(std::string_view probe,
                         const absl::flat_hash_set<std::string_view>& without_hook);

}  // namespace vedette
