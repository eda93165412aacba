// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace vedette {

// What of a command line the agent keeps.
enum class ArgvCapture { kFull, kRedacted, kNone };

}  // namespace vedette
