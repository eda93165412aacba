// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/event/process.h"

namespace vedette {

// "host", "image", "writable-layer", …, "unknown".
std::string_view OriginName(CodeOrigin origin);

// "ext4", "overlay", …; the magic number in hex where it has no name here; empty for 0.
std::string FilesystemName(uint32_t magic);

}  // namespace vedette
