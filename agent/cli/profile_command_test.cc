// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/cli/cli_fixture.h"

namespace vedette {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

using ProfileCommandTest = CliTest;

TEST_F(ProfileCommandTest, APortThatTheKernelChoseIsAny) {
  backend_.profile["host/a"] = Json::parse(R"json({"workload": "host/a",
    "channels": {"listen": {"behaviours": 1, "deviations": 0}, "file": {"behaviours": 0}},
    "behaviours": [
      {"channel": "listen", "subject": "/bin/s", "object": "0/tcp"},
      {"channel": "accept", "subject": "/bin/s", "object": "net:10.0.0.0/24 -> 0/tcp"},
      {"channel": "listen", "subject": "/bin/s", "object": "80/tcp"},
      {"channel": "exec", "subject": "/bin/s", "object": "0/tcp"}]})json");
  Start();
  EXPECT_EQ(Run({"profile", "show", "host/a"}), kExitYes);
  EXPECT_THAT(Out(), AllOf(HasSubstr("listen   /bin/s  any/tcp\n"),
                           HasSubstr("accept   /bin/s  net:10.0.0.0/24 -> any/tcp\n"),
                           HasSubstr("listen   /bin/s  80/tcp\n"), HasSubstr("/bin/s  0/tcp\n")));
  EXPECT_THAT(Out(), Not(HasSubstr("file"))) << "channels in which nothing happened";
}

}  // namespace
}  // namespace vedette
