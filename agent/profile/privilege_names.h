// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace vedette {

// "CAP_NET_RAW"; "CAP_63" for one that this build does not know. Any thread.
std::string CapabilityName(uint32_t capability);

// "SIGKILL", "SIGRTMIN+3"; "signal 99" for what is none. As Linux numbers them on x86 and Arm.
std::string SignalName(uint32_t signal);

}  // namespace vedette
