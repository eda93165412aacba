// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "agent/probes/embedded_objects.h"

namespace vedette {

// Does this kernel call programs of BPF LSM? Tried, not looked up: a program that counts is
// attached, this process opens a file, and the program is let go. OK, or why not, in the kernel's
// words, and what to change. Any thread; takes what loading an object takes.
absl::Status CheckLsm(const EmbeddedObject* object);

// What to tell of a kernel that takes programs of BPF LSM and calls none; `active` are its security
// modules as /sys/kernel/security/lsm names them, empty where it does not tell.
std::string LsmIsNotCalled(std::string_view active);

}  // namespace vedette
