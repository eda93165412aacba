// SPDX-License-Identifier: Apache-2.0
#include "agent/base/service_manager.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include "agent/base/status.h"
#include "agent/base/unique_fd.h"

namespace vedette {
namespace {

using testing::HasSubstr;

// NOTIFY_SOCKET as systemd sets it; `name` begins with '/' or, for an abstract name, '@'.
class ManagerSocket {
 public:
  explicit ManagerSocket(const std::string& name)
      : name_(name), fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') {
      address.sun_path[0] = '\0';
    }
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
              0);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  ~ManagerSocket() {
    unsetenv("NOTIFY_SOCKET");
    unlink(name_.c_str());
  }
  std::string Received() {
    std::array<char, 100> bytes;
    const ssize_t size = recv(fd_.get(), bytes.data(), bytes.size(), 0);
    return size < 0 ? "nothing" : std::string(bytes.data(), static_cast<size_t>(size));
  }

 private:
  std::string name_;
  UniqueFd fd_;
};

TEST(ServiceManagerTest, TellsASocketInAFileSystemAndAnAbstractOne) {
  for (const char* first : {"/tmp/vedette-notify", "@vedette-notify"}) {
    ManagerSocket manager(fmt::format("{}-{}", first, getpid()));
    EXPECT_TRUE(TellServiceManager("READY=1").ok());
    EXPECT_EQ(manager.Received(), "READY=1");
  }
}

TEST(ServiceManagerTest, NothingIsToldWhereNobodyAsked) {
  unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(TellServiceManager("READY=1").ok());
  setenv("NOTIFY_SOCKET", "", 1);
  EXPECT_TRUE(TellServiceManager("READY=1").ok());
  unsetenv("NOTIFY_SOCKET");
}

TEST(ServiceManagerTest, AnAddressThatCannotBeUsedIsASentence) {
  for (const std::string& name :
       {std::string("notify"), std::string("/") + std::string(200, 'x'), std::string("/nowhere")}) {
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    EXPECT_THAT(Message(TellServiceManager("READY=1")),
                HasSubstr("is not told when the agent is ready"));
  }
  unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace vedette
