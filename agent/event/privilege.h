// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "agent/event/process.h"

namespace vedette {

enum class PrivilegeAct { kModuleLoad, kIoUring, kSignal, kCapability };

// A privileged act. What it is about is in the fields of its kind; the others are 0 or empty.
struct PrivilegeEvent {
  ProcessContext process;  // Who acted.
  PrivilegeAct act = PrivilegeAct::kModuleLoad;
  // kModuleLoad.
  std::string module;     // Its name: bytes, not text.
  bool name_cut = false;  // Of a lost record only the beginning of a long name is left.
  uint64_t taints = 0;    // As the kernel counts them: bit 12 is out of tree, bit 13 unsigned.
  // kIoUring: the flags that it was set up with.
  uint64_t setup_flags = 0;
  // kSignal.
  uint32_t signal = 0;
  ExecId target;  // Who it was sent to.
  std::string target_comm;
  uint64_t target_home_cgroup_id = 0;
  uint64_t target_workload_number = 0;
  // kCapability.
  uint32_t capability = 0;
  bool in_user_namespace = false;  // Not in the first one: over what belongs to that alone.
};

}  // namespace vedette
