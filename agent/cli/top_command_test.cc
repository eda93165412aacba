// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "agent/cli/cli_fixture.h"
#include "agent/cli/table.h"

namespace vedette {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::json;

using TopTest = CliTest;

TEST_F(TopTest, TopFitsItsScreenAndLeavesWhatWasThereInTheTerminalsMemory) {
  Json workloads = Json::array(), flows = Json::array();
  for (int i = 0; i < 50; ++i) {
    const std::string name = fmt::format("host/system.slice/service-with-a-name-{:02}.service", i);
    workloads.push_back({{"name", name},
                         {"state", "learning"},
                         {"state_text", "learning (9 s of 24 h, quiet 9 s of 6 h)"},
                         {"execs", i},
                         {"flows", 1}});
    flows.push_back({{"workload", name}, {"peer", "dns:db.example"}, {"port", 1}});
  }
  backend_.top = Json{{"uptime_seconds", 10}, {"workloads", workloads}, {"flows", flows}};
  Start();
  terminal_ = true;
  size_ = {.rows = 24, .columns = 100};
  EXPECT_EQ(Run({"top"}), kExitYes);
  const std::string clear = "\x1b[H\x1b[2J";
  EXPECT_THAT(Out(), StartsWith(std::string(24, '\n')));
  std::string screen = Out().substr(Out().find(clear) + clear.size());
  EXPECT_THAT(screen,
              HasSubstr("vedette top: 50 workloads; refreshed each second, Ctrl-C ends it"));
  EXPECT_THAT(screen, HasSubstr("… and 42 more; -o json shows all\n"));
  EXPECT_EQ(std::count(screen.begin(), screen.end(), '\n'), 23);
  EXPECT_THAT(screen, HasSubstr("name-00.service  learning  "))
      << "names before how far learning is";
  std::istringstream lines(screen);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("host/")) {
      EXPECT_LE(DisplayWidth(line), 100u) << line;
    }
  }
}

TEST_F(TopTest, TheBusiestComesFirstOnceItIsKnown) {
  const auto answer = [](int a, int b) {
    return Json{{"uptime_seconds", a + b},
                {"workloads",
                 {{{"name", "host/a"}, {"execs", a}, {"flows", 0}},
                  {{"name", "host/b"}, {"execs", 0}, {"flows", b}}}}};
  };
  backend_.top = answer(100, 0);
  Start();
  terminal_ = true;
  looks_ = 2;
  on_wait_ = [&] { backend_.top = answer(101, 50); };
  EXPECT_EQ(Run({"top"}), kExitYes);
  const std::string second = Out().substr(Out().rfind("\x1b[H"));
  EXPECT_LT(second.find("host/b"), second.find("host/a")) << second;
}

TEST_F(TopTest, ATerminalThatDoesNotSayHowLargeItIsGets24Lines) {
  Json peers = Json::array();
  for (int i = 0; i < 50; ++i) {
    peers.push_back({{"workload", "host/a"}, {"peer", fmt::format("net:{}", i)}});
  }
  backend_.peers = Json{{"peers", peers}};
  Start();
  terminal_ = true;
  EXPECT_EQ(Run({"top", "--peers"}), kExitYes);
  EXPECT_THAT(Out(), HasSubstr("vedette top: 50 peers; "));
  EXPECT_THAT(Out(), HasSubstr("net:18\n… and 31 more; -o json shows all\n"));
}

}  // namespace
}  // namespace vedette
