// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "agent/api/api_server.h"
#include "agent/api/fake_backend.h"
#include "agent/cli/cli.h"

namespace vedette {

// The command line against a real server on a socket of its own, with a backend that answers what
// the test says.
class CliTest : public ::testing::Test {
 protected:
  CliTest() : directory_(::testing::TempDir() + "vedette_cli_XXXXXX") {
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    socket_ = directory_ + "/agent.sock";
    setenv("VEDETTE_SOCKET", socket_.c_str(), 1);
    setenv("TZ", "UTC", 1);
  }
  ~CliTest() override {
    api_.reset();
    unsetenv("VEDETTE_SOCKET");
    std::filesystem::remove_all(directory_);
  }

  void Start(uid_t admin = geteuid()) {
    auto api = ApiServer::Start({.socket = socket_, .group = "", .admin = admin}, &backend_);
    ASSERT_TRUE(api.ok()) << api.status();
    api_ = *std::move(api);
  }

  int Run(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "vedette");
    out_.str("");
    err_.str("");
    CliIo io{out_, err_, terminal_,
             [this](absl::Duration) {
               on_wait_();
               return --looks_ > 0;
             },
             [this] { return size_; }};
    return RunCli(
        static_cast<int>(arguments.size()), arguments.data(),
        [this](const RunOptions& options) {
          ran_ = options;
          return 42;
        },
        io);
  }

  std::string Out() const { return out_.str(); }
  std::string Err() const { return err_.str(); }
  long Lines() const {
    std::string out = Out();
    return std::count(out.begin(), out.end(), '\n');
  }

  std::string directory_;
  std::string socket_;
  FakeBackend backend_;
  std::unique_ptr<ApiServer> api_;
  std::ostringstream out_, err_;
  bool terminal_ = false;
  int looks_ = 1;
  ScreenSize size_;
  std::function<void()> on_wait_ = [] {};
  RunOptions ran_;
};

}  // namespace vedette
