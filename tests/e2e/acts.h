// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>

#include "agent/base/unique_fd.h"
#include "tests/support/scoped_cgroup.h"
#include "tests/support/temp_dir.h"

namespace vedette::testing {

// The whole program is one page: exit(0). Bytes after its end make it different code.
inline std::string TinyProgram(const std::string& tail) {
  static constexpr std::array<unsigned char, 132> kElf = {0x7f, 'E',  'L',  'F',  2,    1,    1,
                                                          0,    0,    0,    0,    0,    0,    0,
                                                          0,    0,  // 64 bits, little endian
                                                          2,    0,    62,   0,    1,    0,    0,
                                                          0,    0x78, 0,    0x40, 0,    0,    0,
                                                          0,    0,  // entry 0x400078
                                                          64,   0,    0,    0,    0,    0,    0,
                                                          0,    0,    0,    0,    0,    0,    0,
                                                          0,    0,  // program header at 64
                                                          0,    0,    0,    0,    64,   0,    56,
                                                          0,    1,    0,    0,    0,    0,    0,
                                                          0,    0,  // one of 56 bytes
                                                          1,    0,    0,    0,    5,    0,    0,
                                                          0,    0,    0,    0,    0,    0,    0,
                                                          0,    0,  // load, read and execute
                                                          0,    0,    0x40, 0,    0,    0,    0,
                                                          0,    0,    0,    0x40, 0,    0,    0,
                                                          0,    0,  // at 0x400000
                                                          132,  0,    0,    0,    0,    0,    0,
                                                          0,    132,  0,    0,    0,    0,    0,
                                                          0,    0,    0,    16,   0,    0,    0,
                                                          0,    0,    0,    0x31, 0xff, 0xb8, 60,
                                                          0,    0,    0,    0x0f, 0x05, 0,    0,
                                                          0};  // exit(0)
  return std::string(reinterpret_cast<const char*>(kElf.data()), kElf.size()) + tail;
}

inline bool WriteProgram(const std::string& path, const std::string& tail) {
  return WriteFile(path, TinyProgram(tail)) && chmod(path.c_str(), 0755) == 0;
}

// Accepts and closes whatever connects, on a port of 127.0.0.1, in a thread and cgroup of the test.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), stop_(eventfd(0, EFD_CLOEXEC)) {
    sockaddr_in address = {};
    socklen_t size = sizeof(address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
    listen(fd_.get(), 4096);
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~Listener() {
    eventfd_write(stop_.get(), 1);
    thread_.join();
  }
  int port() const { return port_; }

 private:
  void Run() {
    for (;;) {
      pollfd wait[] = {{fd_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
      poll(wait, 2, -1);
      if (wait[1].revents != 0) {
        return;
      }
      const int peer = accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (peer >= 0) {
        close(peer);
      }
    }
  }

  UniqueFd fd_;
  UniqueFd stop_;
  int port_ = 0;
  std::thread thread_;
};

inline std::string WorkloadOf(const ScopedCgroup& cgroup) { return "host" + cgroup.path(); }

}  // namespace vedette::testing
