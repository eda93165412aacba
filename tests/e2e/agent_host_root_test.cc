// SPDX-License-Identifier: Apache-2.0
// What a host does to the agent: logrotate takes its file away, people of a group ask it things,
// and the service manager wants to know when it is ready.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "absl/strings/str_replace.h"
#include "agent/api/api_server.h"
#include "agent/api/fake_backend.h"
#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"

namespace vedette::testing {
namespace {

constexpr char kGroup[] = "users";  // Debian's own, on every machine.
constexpr uid_t kStranger = 12345;

// The shipped file of logrotate, for the places of this agent.
std::string LogrotateConfig(const AgentProcess& agent) {
  return absl::StrReplaceAll(ReadFile("deploy/vedette.logrotate"),
                             {{"/var/log/vedette/*.jsonl", agent.jsonl_path()},
                              {"systemctl kill --kill-whom=main --signal=HUP vedette.service",
                               fmt::format("kill -HUP {}", agent.pid())}});
}

TEST(AgentHostTest, TheShippedConfigurationIsValid) {
  const auto result =
      Child::Run({VEDETTE_BINARY, "run", "--check-config", "--config", "deploy/vedette.yaml"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0) << result->err;
}

// What an agent needs to run beside others, as options.
std::vector<std::string> PlacesIn(const TempDir& dir) {
  return {"--set", "store.dir=" + dir / "store",
          "--set", "api.socket=" + dir / "agent.sock",
          "--set", fmt::format("bpf.pin_dir=/sys/fs/bpf/vedette-test-{}-host", getpid()),
          "--set", "sinks=[]"};
}

TEST(AgentHostTest, WithoutBtfItSaysWhatToDo) {
  const TempDir dir;
  std::vector<std::string> command = {
      "unshare",
      "--mount",
      "/bin/sh",
      "-c",
      R"(mount -t tmpfs none /sys/kernel/btf && exec "$0" run "$@")",
      VEDETTE_BINARY};
  for (const std::string& option : PlacesIn(dir)) {
    command.push_back(option);
  }
  const auto result = Child::Run(command, kAgentBound);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->err,
            "vedette: /sys/kernel/btf/vmlinux: this kernel has no BTF; use a kernel built with "
            "CONFIG_DEBUG_INFO_BTF=y\n");
}

// In a namespace of its own the agent does not know the numbers by which the kernel calls
// processes.
TEST(AgentHostTest, AFailedSelfCheckIsDegraded) {
  const TempDir dir;
  std::vector<std::string> command = {"unshare",      "--pid",        "--fork",
                                      "--kill-child", VEDETTE_BINARY, "run"};
  for (const std::string& option : PlacesIn(dir)) {
    command.push_back(option);
  }
  auto agent = Child::Spawn(command);
  ASSERT_TRUE(agent.ok()) << agent.status();
  const ApiClient client(dir / "agent.sock");
  nlohmann::json doctor;
  EXPECT_TRUE(WaitFor(
      [&] {
        auto answer = client.Get("/v1/doctor");
        doctor = answer.ok() ? *answer : nlohmann::json();
        return answer.ok();
      },
      kAgentBound));
  EXPECT_EQ(doctor.value("status", ""), "degraded");
  EXPECT_THAT(doctor.value("problems", nlohmann::json()).dump(),
              HasSubstr("self-check: the fork of a known child was not seen"));
  // An orderly end takes the pins away.
  const std::string inner = ReadFile(fmt::format("/proc/{0}/task/{0}/children", agent->pid()));
  ASSERT_FALSE(inner.empty());
  ASSERT_EQ(kill(std::stoi(inner), SIGTERM), 0);
  const auto result = agent->Wait(kAgentBound);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0) << result->err;
  EXPECT_THAT(result->err, HasSubstr("error self-check: the fork"));
}

TEST(AgentHostTest, AfterLogrotateTheNextFindingIsInANewFileAndNoneIsLost) {
  AgentProcess agent;
  ASSERT_TRUE(agent.Start().ok()) << agent.Log();
  const ScopedCgroup cgroup = ScopedCgroup::Create().value();
  const std::string workload = WorkloadOf(cgroup);
  const auto run = [&](const std::string& program) {
    EXPECT_TRUE(cgroup.Run({program}).ok()) << program;
  };
  run("/usr/bin/true");
  agent.FreezeOnce(workload, "/usr/bin/true", 1);
  run("/usr/bin/date");
  ASSERT_TRUE(WaitFor([&] { return agent.FindingLines("/usr/bin/date").size() == 1; }));

  const std::string config = agent.dir() + "/logrotate";
  ASSERT_TRUE(WriteFile(config, LogrotateConfig(agent)));
  std::filesystem::permissions(config, std::filesystem::perms(0644));
  const auto rotated =
      Child::Run({"/usr/sbin/logrotate", "-f", "-s", agent.dir() + "/logrotate.state", config});
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  ASSERT_EQ(rotated->exit_code, 0) << rotated->err;
  const std::string old = agent.jsonl_path() + ".1";
  const std::string before = ReadFile(old);
  EXPECT_THAT(before, HasSubstr("/usr/bin/date"));

  run("/usr/bin/uptime");
  ASSERT_TRUE(WaitFor([&] { return agent.FindingLines("/usr/bin/uptime").size() == 1; }))
      << agent.Log();
  EXPECT_EQ(ReadFile(old), before);
  agent.ExpectValidJsonLines();
}

// A process of another user, alone since before anything else was started: it asks when told where
// the socket is, and says what the agent answered to a question and to a change.
class Stranger {
 public:
  explicit Stranger(std::vector<gid_t> groups) {
    std::array<int, 2> ask;
    std::array<int, 2> answer;
    EXPECT_EQ(pipe2(ask.data(), O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(answer.data(), O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(ask[1]);
      Be(groups, ask[0], answer[1]);
    }
    close(ask[0]);
    close(answer[1]);
    ask_.Reset(ask[1]);
    answer_.Reset(answer[0]);
  }
  ~Stranger() {
    ask_.Reset();
    waitpid(pid_, nullptr, 0);
  }
  std::string Ask(const std::string& socket) {
    EXPECT_EQ(write(ask_.get(), socket.data(), socket.size()), ssize_t(socket.size()));
    ask_.Reset();
    std::string said;
    std::array<char, 1024> bytes;
    for (ssize_t size; (size = read(answer_.get(), bytes.data(), bytes.size())) > 0;) {
      said.append(bytes.data(), static_cast<size_t>(size));
    }
    return said;
  }

 private:
  [[noreturn]] static void Be(const std::vector<gid_t>& groups, int ask, int answer) {
    if (setgroups(groups.size(), groups.data()) != 0 ||
        setresgid(kStranger, kStranger, kStranger) != 0 ||
        setresuid(kStranger, kStranger, kStranger) != 0) {
      _exit(1);
    }
    std::array<char, 1024> path;
    const ssize_t size = read(ask, path.data(), path.size());
    const ApiClient client(std::string(path.data(), size < 0 ? 0 : static_cast<size_t>(size)));
    const auto list = client.Get("/v1/findings");
    const auto freeze = client.Post("/v1/profile/freeze", {{"all", true}});
    const std::string said =
        fmt::format("read: {}\nchange: {}\n", list.status().ToString(), freeze.status().ToString());
    const bool told = write(answer, said.data(), said.size()) == ssize_t(said.size());
    _exit(told ? 0 : 1);
  }

  pid_t pid_ = -1;
  UniqueFd ask_;
  UniqueFd answer_;
};

// The agent's API with a directory as systemd makes it for the unit: root and the group, 0750.
class ApiGroupTest : public ::testing::Test {
 protected:
  ApiGroupTest() : gid_(getgrnam(kGroup)->gr_gid), member_({gid_}), other_({}) {
    // A temporary directory is its owner's alone; the way to the socket has to be free.
    std::filesystem::permissions(dir_.path(), std::filesystem::perms(0711));
    const std::string run = dir_ / "run";
    std::filesystem::create_directory(run);
    std::filesystem::permissions(run, std::filesystem::perms(0750));
    EXPECT_EQ(chown(run.c_str(), 0, gid_), 0);
    options_.socket = run + "/agent.sock";
    options_.group = kGroup;
    api_ = ApiServer::Start(options_, &backend_).value();
  }

  TempDir dir_{"vedette-group"};
  const gid_t gid_;
  Stranger member_;
  Stranger other_;
  FakeBackend backend_;
  ApiOptions options_;
  std::unique_ptr<ApiServer> api_;
};

TEST_F(ApiGroupTest, AMemberReadsAndChangesNothing) {
  const std::string said = member_.Ask(options_.socket);
  EXPECT_THAT(said, HasSubstr("read: OK\n"));
  EXPECT_THAT(said, HasSubstr("change: PERMISSION_DENIED"));
  EXPECT_THAT(said, HasSubstr("only root may change the agent"));
  EXPECT_TRUE(backend_.freezes.empty());
}

TEST_F(ApiGroupTest, AnybodyElseDoesNeither) {
  const std::string said = other_.Ask(options_.socket);
  EXPECT_THAT(said, HasSubstr("read: PERMISSION_DENIED"));
  EXPECT_THAT(said, HasSubstr("change: PERMISSION_DENIED"));
  EXPECT_TRUE(backend_.freezes.empty());
}

// Restores the limit that it lowers; children inherit it.
class FewFiles {
 public:
  explicit FewFiles(rlim_t files) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit few = {files, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  }
  ~FewFiles() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_;
};

TEST(AgentHostTest, TheSoftLimitOfOpenFilesDoesNotBoundTheWorkloads) {
  const FewFiles few(160);  // Enough to load; three for each workload are not.
  AgentProcess agent;
  ASSERT_TRUE(agent.Start().ok()) << agent.Log();
  std::vector<ScopedCgroup> cgroups;
  for (int i = 0; i < 40; ++i) {
    cgroups.push_back(ScopedCgroup::Create().value());
    ASSERT_TRUE(cgroups.back().Run({"/usr/bin/true"}).ok());
  }
  for (const ScopedCgroup& cgroup : cgroups) {
    EXPECT_TRUE(WaitFor([&] { return agent.Top(WorkloadOf(cgroup)).has_value(); }));
  }
}

TEST(AgentHostTest, TheServiceManagerIsToldReadyOnceTheAgentAnswers) {
  AgentProcess agent;
  const std::string name = agent.dir() + "/notify";
  const UniqueFd manager(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, name.data(), name.size());
  ASSERT_EQ(bind(manager.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const auto told = [&] {
    pollfd wait = {manager.get(), POLLIN, 0};
    std::array<char, 100> bytes;
    if (poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(kAgentBound))) != 1) {
      return std::string("nothing");
    }
    const ssize_t size = recv(manager.get(), bytes.data(), bytes.size(), 0);
    return std::string(bytes.data(), size < 0 ? 0 : static_cast<size_t>(size));
  };
  setenv("NOTIFY_SOCKET", name.c_str(), 1);
  const absl::Status launched = agent.Launch();
  unsetenv("NOTIFY_SOCKET");
  ASSERT_TRUE(launched.ok()) << launched;
  EXPECT_EQ(told(), "READY=1") << agent.Log();
  EXPECT_TRUE(ApiClient(agent.socket()).Get("/v1/doctor").ok());
  EXPECT_EQ(agent.Stop().value_or(-1), 0);
  EXPECT_EQ(told(), "STOPPING=1");
}

}  // namespace
}  // namespace vedette::testing
