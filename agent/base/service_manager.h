// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace vedette {

// Tells systemd what became of this process, as sd_notify(3) has it: "READY=1", "STOPPING=1". Does
// nothing, and is OK, when no service manager asked for it in NOTIFY_SOCKET.
absl::Status TellServiceManager(std::string_view state);

}  // namespace vedette
