// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/support/child.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_for.h"

namespace vedette::testing {
namespace {

TEST(TempDirTest, IsItsOwnAndGoesWithAllInIt) {
  std::string first;
  {
    TempDir a;
    TempDir b;
    first = a.path();
    EXPECT_NE(a.path(), b.path());
    ASSERT_TRUE(WriteFile(a / "x", "bytes\0\xff"));
    EXPECT_EQ(ReadFile(a / "x"), "bytes");
    EXPECT_FALSE(WriteFile(a / "none/x", ""));
  }
  EXPECT_FALSE(std::filesystem::exists(first));
}

TEST(WaitForTest, SaysWhetherItHeld) {
  int asked = 0;
  EXPECT_TRUE(WaitFor([&asked] { return ++asked == 3; }));
  EXPECT_EQ(asked, 3);
  EXPECT_FALSE(WaitFor([] { return false; }, absl::Milliseconds(5)));
}

TEST(ChildTest, GivesOutputAndExitCode) {
  auto result = Child::Run({"sh", "-c", "echo out; echo err >&2; exit 7"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 7);
  EXPECT_EQ(result->out, "out\n");
  EXPECT_EQ(result->err, "err\n");
}

TEST(ChildTest, CollectsMoreThanAPipeHolds) {
  auto result = Child::Run({"head", "-c", "1000000", "/dev/zero"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out.size(), 1000000u);
}

TEST(ChildTest, TalksLineByLine) {
  auto child = Child::Spawn({"cat"});
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_TRUE(child->Write("one\ntwo\n"));
  EXPECT_EQ(child->ReadLine().value(), "one");
  EXPECT_EQ(child->ReadLine().value(), "two");
  EXPECT_EQ(child->ReadLine(absl::Milliseconds(10)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(child->Running());
  child->CloseInput();
  EXPECT_EQ(child->Wait()->exit_code, 0);
  EXPECT_EQ(child->ReadLine().status().code(), absl::StatusCode::kOutOfRange);
}

TEST(ChildTest, AProgramThatIsNotThereIsNamed) {
  auto child = Child::Spawn({"/no/such/program"});
  EXPECT_EQ(child.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(child.status().message(), HasSubstr("/no/such/program"));
}

TEST(ChildTest, WaitIsBoundedAndKillEndsIt) {
  auto child = Child::Spawn({VEDETTE_ACTOR_PATH, "pause"});
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(child->Wait(absl::Milliseconds(20)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  child->Kill();
  auto result = child->Wait();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->signal, SIGKILL);
  EXPECT_EQ(result->exit_code, -1);
}

TEST(ChildTest, DiesWithItsOwner) {
  pid_t pid;
  {
    auto child = Child::Spawn({VEDETTE_ACTOR_PATH, "pause"});
    ASSERT_TRUE(child.ok()) << child.status();
    pid = child->pid();
    ASSERT_EQ(kill(pid, 0), 0);
  }
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST(ActorTest, DoesItsActsInOrder) {
  auto result = Child::Run({VEDETTE_ACTOR_PATH, "exec:3", "fork:2", "flow:10000", "udp:4",
                            "thread-exec", "leader-exit", "exit:4"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 4) << result->err;
  EXPECT_THAT(result->out, StartsWith("exec done=3\nfork done=2\nlisten port="));
  EXPECT_THAT(result->out, EndsWith("flow bytes=10000\nudp ok=4 failed=0\nthread-exec done=1\n"
                                    "leader-exit done=1\n"));
}

TEST(ActorTest, ConnectsToWhatServes) {
  auto server = Child::Spawn({VEDETTE_ACTOR_PATH, "serve:2"});
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string line = server->ReadLine().value();
  ASSERT_THAT(line, StartsWith("listen port="));
  const std::string port = line.substr(line.find('=') + 1);
  auto client = Child::Run({VEDETTE_ACTOR_PATH, "connect:" + port + ":2"});
  EXPECT_EQ(client->out, "connect ok=2 failed=0\n");
  EXPECT_EQ(server->Wait()->out, "serve done=2\n");
  client = Child::Run({VEDETTE_ACTOR_PATH, "connect:" + port});
  EXPECT_EQ(client->out, "connect ok=0 failed=1\n");
}

TEST(ActorTest, RefusesWhatItDoesNotKnow) {
  auto result = Child::Run({VEDETTE_ACTOR_PATH, "dance"});
  EXPECT_EQ(result->exit_code, 2);
  EXPECT_THAT(result->err, HasSubstr("unknown act 'dance'"));
}

}  // namespace
}  // namespace vedette::testing
