// SPDX-License-Identifier: Apache-2.0
// What a command says when neither it nor the agent did anything wrong.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

#include "agent/base/unique_fd.h"
#include "agent/cli/cli_fixture.h"

namespace vedette {
namespace {

TEST_F(CliTest, AnEmptyNameOfAConfigurationIsNotNone) {
  EXPECT_EQ(Run({"run", "--config", ""}), 2);
  EXPECT_EQ(Err(), "vedette: --config: the name is empty; name a file; see `vedette run --help`\n");
}

TEST_F(CliTest, AnAgentWithAsManyClientsAsItTakesIsNotSaidToBeAway) {
  Start();
  std::vector<UniqueFd> clients;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, socket_.data(), socket_.size());
  // With those that wait in the socket's queue.
  constexpr int kMany = 200;
  for (int i = 0; i < kMany; ++i) {
    clients.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (connect(clients.back().get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) !=
        0) {
      break;
    }
  }
  EXPECT_EQ(Run({"doctor"}), 3);
  EXPECT_EQ(Err(), "vedette: " + socket_ +
                       ": the agent takes no further connection, or is stopping: end other "
                       "clients, or try again\n");
}

TEST_F(CliTest, OutputThatCannotBeWrittenIsNoSuccess) {
  Start();
  std::ofstream full("/dev/full");
  std::ostringstream err;
  const CliIo io{full, err, false, [](absl::Duration) { return false; }};
  for (const char* command : {"doctor", "--help"}) {
    const char* arguments[] = {"vedette", command};
    full.clear();
    err.str("");
    EXPECT_EQ(RunCli(2, arguments, [](const RunOptions&) { return 0; }, io), 3);
    EXPECT_EQ(err.str(),
              "vedette: the output could not be written; is the disk full, or the reader gone?\n");
  }
}

}  // namespace
}  // namespace vedette
