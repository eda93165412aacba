// SPDX-License-Identifier: Apache-2.0
// What is made anew is what was learned: a container of podman, a transient unit, a package.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/e2e/acts.h"
#include "tests/support/agent/agent_process.h"
#include "tests/support/podman.h"
#include "tests/support/scoped_mounts.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Duration kPackageBound = absl::Seconds(60);

class AgentLastingNamesTest : public ::testing::Test {
 protected:
  uint64_t Execs(const std::string& workload, std::string_view object) const {
    uint64_t count = 0;
    const Json profile = agent_.Profile(workload);
    for (const char* list : {"behaviours", "deviations"}) {
      for (const Json& entry : AgentProcess::Entries(profile, list, "exec", object)) {
        count += entry["count"].get<uint64_t>();
      }
    }
    return count;
  }
  void AwaitExecs(const std::string& workload, std::string_view object, uint64_t count) const {
    EXPECT_TRUE(WaitFor([&] { return Execs(workload, object) >= count; }))
        << agent_.Get("/v1/profiles").dump() << agent_.Profile(workload).dump();
  }
  std::vector<std::string> Titles(const std::string& workload) const {
    std::vector<std::string> titles;
    for (const Json& finding : agent_.Findings(workload)) {
      titles.push_back(finding["title"]);
    }
    return titles;
  }
  uint64_t Degradations(const std::string& which) const {
    return agent_.Doctor()["degradations"].value(which, uint64_t{0});
  }

  AgentProcess agent_;
};

class AgentPodmanTest : public AgentLastingNamesTest,
                        public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteProgram(programs_ / "known", "known"));
    ASSERT_TRUE(WriteProgram(programs_ / "fresh", "fresh"));
    auto podman = Podman::Create(GetParam(), {programs_ / "known", programs_ / "fresh"});
    if (absl::IsUnavailable(podman.status())) {
      GTEST_SKIP() << podman.status().message();
    }
    ASSERT_TRUE(podman.ok()) << podman.status();
    podman_ = *std::move(podman);
    agent_.SetConfig(fmt::format("identity: {{ storage_roots: [{}] }}", podman_->storage_root()));
    ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
    name_ = fmt::format("web-{}", getpid());
    workload_ = "container/podman/" + name_;
  }
  // Its first process executes a program and stays.
  void Run(std::string_view name, const std::string& program) {
    const auto id = podman_->Run(name, {"/bin/vedette_actor", "spawn:1:/bin/" + program, "pause"});
    ASSERT_TRUE(id.ok()) << id.status();
    id_ = *id;
  }

  TempDir programs_{"vedette-programs"};
  std::unique_ptr<Podman> podman_;
  std::string name_, workload_, id_;
};

TEST_P(AgentPodmanTest, AContainerThatIsMadeAnewIsTheWorkloadThatWasLearned) {
  Run(name_, "known");
  AwaitExecs(workload_, "/bin/known", 1);
  agent_.Freeze(workload_);
  const std::string first = id_;
  for (uint64_t times = 2; times <= 4; ++times) {
    ASSERT_TRUE(podman_->Remove(name_).ok());
    Run(name_, "known");
    AwaitExecs(workload_, "/bin/known", times);
  }
  EXPECT_NE(id_, first);
  // What the runtime does to get into the container is not the container's.
  EXPECT_THAT(AgentProcess::Entries(agent_.Profile(workload_), "behaviours", "exec", ""),
              SizeIs(2));
  EXPECT_THAT(Titles(workload_), IsEmpty());
  // It is that workload, and what is new is told.
  ASSERT_TRUE(podman_->Remove(name_).ok());
  Run(name_, "fresh");
  EXPECT_TRUE(WaitFor([&] { return !Titles(workload_).empty(); }));
  EXPECT_THAT(Titles(workload_), ElementsAre(HasSubstr("/bin/fresh")));
  EXPECT_EQ(Degradations("workloads/no_metadata"), 0u);
  EXPECT_EQ(Degradations("workloads/named_late"), 0u);
}

TEST_P(AgentPodmanTest, TheWayOfARuntimeWithMountsOfItsOwnIsNotTheContainersEither) {
  ScopedMounts mounts;
  ASSERT_TRUE(mounts.Enter().ok());
  Run(name_, "known");
  AwaitExecs(workload_, "/bin/known", 1);
  agent_.Freeze(workload_);
  for (uint64_t times = 2; times <= 4; ++times) {
    ASSERT_TRUE(podman_->Remove(name_).ok());
    Run(name_, "known");
    AwaitExecs(workload_, "/bin/known", times);
  }
  EXPECT_THAT(AgentProcess::Entries(agent_.Profile(workload_), "behaviours", "exec", ""),
              SizeIs(2));
  EXPECT_THAT(Titles(workload_), IsEmpty());
  EXPECT_TRUE(podman_->Remove(name_).ok());
}

TEST_P(AgentPodmanTest, OneThatNobodyNamedIsCalledByItsImage) {
  workload_ = "container/podman/image:localhost/vedette-test";
  Run("", "known");
  AwaitExecs(workload_, "/bin/known", 1);
  agent_.Freeze(workload_);
  ASSERT_TRUE(podman_->Remove(id_).ok());
  Run("", "known");
  AwaitExecs(workload_, "/bin/known", 2);
  EXPECT_THAT(Titles(workload_), IsEmpty());
}

TEST_P(AgentPodmanTest, AnAgentThatComesLaterFindsTheNameToo) {
  Run(name_, "known");
  AwaitExecs(workload_, "/bin/known", 1);
  agent_.Freeze(workload_);
  ASSERT_TRUE(agent_.Stop().ok());
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  ASSERT_TRUE(podman_->Remove(name_).ok());
  Run(name_, "known");
  AwaitExecs(workload_, "/bin/known", 2);
  EXPECT_THAT(Titles(workload_), IsEmpty());
}

TEST_P(AgentPodmanTest, MetadataThatIsMissingLeavesTheIdAndComesLateByAMove) {
  // Hidden behind a name that the agent does not look for.
  ASSERT_TRUE(agent_.Stop().ok());
  const std::string late = programs_ / "late";
  agent_.SetConfig(fmt::format("identity: {{ storage_roots: [{}] }}", late));
  ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  Run(name_, "known");
  const std::string by_id = "container/podman/" + id_.substr(0, 12);
  AwaitExecs(by_id, "/bin/known", 1);
  std::filesystem::create_directory_symlink(podman_->storage_root(), late);
  EXPECT_TRUE(WaitFor([&] { return Degradations("workloads/named_late") == 1; }));
  // From now on it is what it is called, and there is nothing learned under that name yet.
  ASSERT_TRUE(podman_->Exec(name_, {"/bin/fresh"}).ok());
  AwaitExecs(workload_, "/bin/fresh", 1);
  EXPECT_THAT(AgentProcess::Entries(agent_.Profile(by_id), "behaviours", "exec", "/bin/fresh"),
              IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Runtimes, AgentPodmanTest, ::testing::Values("runc", "crun"),
                         [](const auto& param) { return std::string(param.param); });

class AgentUnitTest : public AgentLastingNamesTest {
 protected:
  void SetUp() override {
    auto slice = ScopedCgroup::Create("/", ".slice");
    ASSERT_TRUE(slice.ok()) << slice.status();
    slice_.emplace(*std::move(slice));
    ASSERT_TRUE(agent_.Start().ok()) << agent_.Log();
  }
  // A unit that lives as long as its one program.
  void RunUnit(const std::string& unit, const std::string& program) {
    const std::string directory = slice_->directory() + "/" + unit;
    ASSERT_EQ(mkdir(directory.c_str(), 0755), 0) << directory;
    const UniqueFd cgroup(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    auto child = Child::Spawn({{VEDETTE_ACTOR_PATH, "spawn:1:" + program}, {}, cgroup.get()});
    ASSERT_TRUE(child.ok()) << child.status();
    const auto result = child->Wait();
    ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
    ASSERT_TRUE(RemoveCgroup(directory).ok());
  }
  std::string Workload(const std::string& unit) const { return WorkloadOf(*slice_) + "/" + unit; }

  TempDir programs_{"vedette-programs"};
  std::optional<ScopedCgroup> slice_;
};

TEST_F(AgentUnitTest, ATransientUnitThatIsMadeAnewIsTheWorkloadThatWasLearned) {
  const std::string known = programs_ / "known";
  const std::string fresh = programs_ / "fresh";
  ASSERT_TRUE(WriteProgram(known, "known"));
  ASSERT_TRUE(WriteProgram(fresh, "fresh"));
  const struct {
    const char* name;
    std::vector<std::string> units;
  } cases[] = {{"run.service",
                {"run-u17.service", "run-u18.service", "run-p4711-i4712.service",
                 "run-rfe0a7c2b4f4e4d0f8a1b2c3d4e5f6071.service"}},
               {"run.scope", {"run-u1.scope", "run-r0123456789abcdef0123456789abcdef.scope"}},
               {"session.scope", {"session-1.scope", "session-c2.scope"}},
               {"job@.service", {"job@one.service", "job@two.service"}}};
  for (const auto& [name, units] : cases) {
    const std::string workload = Workload(name);
    uint64_t times = 0;
    for (const std::string& unit : units) {
      RunUnit(unit, known);
      AwaitExecs(workload, known, ++times);
      if (times == 1) {
        agent_.Freeze(workload);
      }
    }
    EXPECT_THAT(Titles(workload), IsEmpty()) << name;
    RunUnit(units.back(), fresh);
    EXPECT_TRUE(WaitFor([&] { return !Titles(workload).empty(); })) << name;
    EXPECT_THAT(Titles(workload), ElementsAre(HasSubstr(fresh))) << name;
  }
}

// A package that the real dpkg unpacks, below a root of the test, driven by the real apt.
class AgentPackageTest : public AgentUnitTest {
 protected:
  void SetUp() override {
    AgentUnitTest::SetUp();
    for (const char* directory :
         {"etc/apt/preferences.d", "etc/apt/apt.conf.d", "etc/apt/trusted.gpg.d",
          "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers",
          "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log/apt"}) {
      ASSERT_TRUE(std::filesystem::create_directories(Root() + "/" + directory));
    }
    ASSERT_TRUE(WriteFile(Root() + "/var/lib/dpkg/status", ""));
    ASSERT_TRUE(WriteFile(Root() + "/etc/apt/sources.list", ""));
  }
  std::string Root() const { return root_ / "root"; }
  std::string Program() const { return Root() + "/usr/bin/vedette-test-tool"; }

  void Do(std::vector<std::string> argv) const {
    const auto result = Child::Run(std::move(argv), kPackageBound);
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(result->exit_code, 0) << result->out << result->err;
  }
  // Returns the package's file.
  std::string Build(int version) const {
    const std::string tree = root_ / fmt::format("tree-{}", version);
    std::filesystem::create_directories(tree + "/DEBIAN");
    std::filesystem::create_directories(tree + "/usr/bin");
    EXPECT_TRUE(WriteFile(tree + "/DEBIAN/control",
                          fmt::format("Package: vedette-test-tool\nVersion: {}\n"
                                      "Architecture: all\nMaintainer: A Test <test@example.org>\n"
                                      "Description: a program of a test\n",
                                      version)));
    EXPECT_TRUE(WriteProgram(tree + "/usr/bin/vedette-test-tool", std::to_string(version)));
    const std::string deb = root_ / fmt::format("tool_{}_all.deb", version);
    Do({"dpkg-deb", "--root-owner-group", "--build", tree, deb});
    return deb;
  }
  void AptInstall(const std::string& deb, bool again = false) const {
    std::vector<std::string> argv = {"apt-get",
                                     "-o",
                                     "Dir=" + Root(),
                                     "-o",
                                     "Dir::State::status=" + Root() + "/var/lib/dpkg/status",
                                     "-o",
                                     "Dir::Bin::dpkg=/usr/bin/dpkg",
                                     "-o",
                                     "DPkg::Options::=--root=" + Root(),
                                     "-o",
                                     "DPkg::Options::=--log=" + Root() + "/var/log/dpkg.log",
                                     "-o",
                                     "APT::Sandbox::User=root",
                                     "install",
                                     "--yes"};
    if (again) {
      argv.push_back("--reinstall");
    }
    argv.push_back(deb);
    Do(std::move(argv));
  }
  ino_t Inode() const {
    struct stat info = {};
    EXPECT_EQ(stat(Program().c_str(), &info), 0);
    return info.st_ino;
  }

  TempDir root_{"vedette-packages"};
};

TEST_F(AgentPackageTest, AReinstallIsNoNewsAndAnUpgradeIsOneNewRevision) {
  const std::string workload = Workload("tool.service");
  const std::string first = Build(1);
  AptInstall(first);
  RunUnit("tool.service", Program());
  AwaitExecs(workload, Program(), 1);
  ASSERT_TRUE(WaitFor([&] {
    const auto learned =
        AgentProcess::Entries(agent_.Profile(workload), "behaviours", "exec", Program());
    return learned.size() == 1 && learned[0].contains("object_sha256");
  })) << agent_.Profile(workload).dump();
  agent_.Freeze(workload);

  const ino_t before = Inode();
  AptInstall(first, /*again=*/true);
  EXPECT_NE(Inode(), before) << "dpkg wrote no new file, so nothing was tried";
  RunUnit("tool.service", Program());
  AwaitExecs(workload, Program(), 2);
  EXPECT_THAT(Titles(workload), IsEmpty());

  AptInstall(Build(2));
  for (uint64_t times = 3; times <= 5; ++times) {
    RunUnit("tool.service", Program());
    AwaitExecs(workload, Program(), times);
  }
  EXPECT_THAT(Titles(workload),
              ElementsAre(fmt::format("New revision of a program in {}: {}", workload, Program())));
}

}  // namespace
}  // namespace vedette::testing
