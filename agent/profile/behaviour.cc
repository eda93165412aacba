// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/behaviour.h"

namespace vedette {

std::string_view ChannelName(Channel channel) {
  switch (channel) {
    case Channel::kExec:
      return "exec";
    case Channel::kConnect:
      return "connect";
    case Channel::kAccept:
      return "accept";
    case Channel::kListen:
      return "listen";
    case Channel::kCredential:
      return "credential";
    case Channel::kModule:
      return "module";
    case Channel::kIoUring:
      return "io_uring";
    case Channel::kSignal:
      return "signal";
    case Channel::kCapability:
      return "capability";
    case Channel::kFile:
      return "file";
  }
  return "unknown";
}

std::optional<Channel> ChannelFromName(std::string_view name) {
  for (const Channel channel : kChannels) {
    if (ChannelName(channel) == name) {
      return channel;
    }
  }
  return std::nullopt;
}

}  // namespace vedette
