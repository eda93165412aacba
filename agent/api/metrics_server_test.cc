// SPDX-License-Identifier: Apache-2.0
#include "agent/api/metrics_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "agent/api/fake_backend.h"
#include "agent/base/unique_fd.h"

namespace vedette {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Talk(uint16_t port, const std::string& line) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  std::string request = line + " HTTP/1.1\r\nHost: v\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t n; (n = recv(fd.get(), buffer, sizeof(buffer), 0)) > 0;) {
    answer.append(buffer, static_cast<size_t>(n));
  }
  return answer;
}

TEST(MetricsServerTest, ServesTheTextAndNothingElse) {
  FakeBackend backend;
  auto server = MetricsServer::Start("127.0.0.1:0", &backend);
  ASSERT_TRUE(server.ok()) << server.status();
  uint16_t port = (*server)->port();
  EXPECT_THAT(Talk(port, "GET /metrics"),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("text/plain; version=0.0.4"),
                    HasSubstr("\r\n\r\nvedette_build_info 1\n")));
  EXPECT_THAT(Talk(port, "GET /v1/doctor"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Talk(port, "POST /metrics"), StartsWith("HTTP/1.1 405"));
}

TEST(MetricsServerTest, WrongAddressesGetASentence) {
  FakeBackend backend;
  auto first = MetricsServer::Start("127.0.0.1:0", &backend);
  ASSERT_TRUE(first.ok()) << first.status();
  std::string taken = "127.0.0.1:" + std::to_string((*first)->port());
  EXPECT_EQ(MetricsServer::Start(taken, &backend).status().message(),
            "metrics.listen " + taken +
                ": cannot be listened on: Address already in use; choose another address");
  EXPECT_THAT(std::string(MetricsServer::Start("localhost:1", &backend).status().message()),
              HasSubstr("the host is not an IP address"));
  EXPECT_THAT(std::string(MetricsServer::Start("203.0.113.7:0", &backend).status().message()),
              HasSubstr("Cannot assign requested address"));
  EXPECT_FALSE(MetricsServer::Start("9477", &backend).ok());
}

}  // namespace
}  // namespace vedette
