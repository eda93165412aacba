// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/privilege_names.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace vedette {
namespace {

constexpr std::array<std::string_view, 41> kCapabilityNames = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

// The first is signal 1.
constexpr std::array<std::string_view, 31> kSignalNames = {
    "HUP",  "INT",  "QUIT", "ILL",    "TRAP",   "ABRT",  "BUS",  "FPE",  "KILL", "USR1", "SEGV",
    "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "STOP", "TSTP", "TTIN", "TTOU",
    "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "IO",   "PWR",  "SYS",
};

constexpr uint32_t kFirstRealTime = 34;  // The C library keeps 32 and 33 for itself.
constexpr uint32_t kLastSignal = 64;

}  // namespace

std::string CapabilityName(uint32_t capability) {
  return capability < kCapabilityNames.size() ? fmt::format("CAP_{}", kCapabilityNames[capability])
                                              : fmt::format("CAP_{}", capability);
}

std::string SignalName(uint32_t signal) {
  if (signal >= 1 && signal <= kSignalNames.size()) {
    return fmt::format("SIG{}", kSignalNames[signal - 1]);
  }
  if (signal >= kFirstRealTime && signal <= kLastSignal) {
    return signal == kFirstRealTime ? "SIGRTMIN"
                                    : fmt::format("SIGRTMIN+{}", signal - kFirstRealTime);
  }
  return fmt::format("signal {}", signal);
}

}  // namespace vedette
