// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

#include "agent/base/unique_fd.h"

namespace vedette::testing {

inline sockaddr_in LoopbackAddress(uint32_t address, uint16_t port) {
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(address);
  return at;
}

// A socket at 127.0.1.`host`, with a port that the kernel picks: to who listens at 127.0.0.1 each
// is another peer.
inline UniqueFd LoopbackPeer(int type, uint32_t host) {
  UniqueFd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const sockaddr_in own = LoopbackAddress(0x7f000100 + host, 0);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof(own)), 0);
  return fd;
}

// So many peers, from the host `first` on, connect to 127.0.0.1 over TCP and go.
inline void ConnectLoopbackPeers(uint16_t port, uint32_t first, uint32_t peers) {
  const sockaddr_in to = LoopbackAddress(INADDR_LOOPBACK, port);
  for (uint32_t i = 0; i < peers; ++i) {
    const UniqueFd peer = LoopbackPeer(SOCK_STREAM, first + i);
    ASSERT_EQ(connect(peer.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  }
}

}  // namespace vedette::testing
