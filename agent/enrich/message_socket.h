// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "agent/base/unique_fd.h"

namespace vedette {

// Messages between processes of the agent, each whole or not at all, some with a file handle.
using SocketPair = std::pair<UniqueFd, UniqueFd>;
SocketPair MakeSocketPair();  // Both invalid where the kernel gives none.

bool SendMessage(int socket, std::string_view bytes, int handle = -1);

struct SocketMessage {
  std::string bytes;
  UniqueFd handle;
};
// Waits for a message; false: the other end is closed.
bool ReceiveMessage(int socket, SocketMessage& message);

}  // namespace vedette
