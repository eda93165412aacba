// SPDX-License-Identifier: Apache-2.0
// How runtimes get into the container that they start (ADR 4).
#include <fcntl.h>
#include <fmt/format.h>

#include <filesystem>
#include <map>

#include "agent/probes/file_key.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

using ::testing::ElementsAre;

// Where the runtime runs: below the root of its cgroup's start, or in a mount namespace of its own,
// in which every program is elsewhere.
enum class Mounts { kShared, kOwn };

// What the runtime does, the move excepted: that is done to it. kProgram is what it starts.
enum class Step { kMove, kItself, kBindCopy, kMemoryCopy, kStage, kOwnMounts, kProgram };

class RuntimeTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    std::filesystem::copy_file(Actor(), runtime());
    runtime_ = KeyOf(runtime());
    program_ = KeyOf(Actor());
    ASSERT_TRUE(cache().AddRuntime(runtime_).ok());
    Attach();
  }

  std::string runtime() const { return dir_ / "runtime"; }
  // The act by which it becomes a copy of itself.
  std::string Copy() const { return "again:" + dir_.path(); }

  // Returns the process that waits.
  static long AwaitWait(Child& child) {
    const absl::StatusOr<std::string> line = child.ReadLine();
    EXPECT_TRUE(line.ok()) << line.status() << child.Err();
    return line.ok() ? NumberIn(*line, "pid") : 0;
  }

  std::string NameOf(CodeKey code) const {
    const std::string place = code.flags == 0 ? "" : "elsewhere:";
    code.flags = 0;
    return place + (code == runtime_ ? "runtime" : code == program_ ? "program" : "memory");
  }

  // The runtime does these acts and moves a process from one cgroup to another: does what that
  // executes then belong to where it came?
  bool MayPlaceAfter(const std::vector<std::string>& acts) {
    const ScopedCgroup from = WatchedCgroup();
    const ScopedCgroup to = WatchedCgroup();
    absl::StatusOr<Child> child = from.Spawn({Actor(), "wait", "become:" + Actor() + ":nothing"});
    EXPECT_TRUE(child.ok()) << child.status();
    const long pid = AwaitWait(*child);
    std::vector<std::string> argv = {runtime()};
    argv.insert(argv.end(), acts.begin(), acts.end());
    argv.push_back(fmt::format("place:{}:{}", pid, to.directory()));
    const auto placed = Child::Run(std::move(argv));
    EXPECT_TRUE(placed.ok() && placed->exit_code == 0) << placed->err;
    child->CloseInput();
    const auto exec = Await<ExecEvent>([&](const ExecEvent& e) {
      return e.process.tgid == static_cast<uint32_t>(pid) && e.process.cgroup_id == to.id();
    });
    EXPECT_TRUE(exec);
    Forget();
    return exec && exec->body.process.home_cgroup_id == to.id();
  }

 private:
  CodeKey KeyOf(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    absl::StatusOr<CodeKey> key = ReadFileKey(probes(), fd.get());
    EXPECT_TRUE(key.ok()) << key.status();
    return key.value_or(CodeKey());
  }

  TempDir dir_{"vedette-runtime"};
  CodeKey runtime_, program_;
};

class RuntimesWayTest : public RuntimeTest, public ::testing::WithParamInterface<Mounts> {
 protected:
  // What was executed in the container's name, each as "caller > program". The last step is
  // kProgram.
  std::vector<std::string> ContainerDid(const std::vector<Step>& steps) {
    const ScopedCgroup cgroup = WatchedCgroup();
    Child child = Start(steps);
    long pid = AwaitWait(child);
    for (const Step step : steps) {
      if (step == Step::kMove) {
        EXPECT_TRUE(cgroup.Move(static_cast<pid_t>(pid)).ok());
        continue;
      }
      EXPECT_TRUE(child.Write("\n"));
      if (step != Step::kProgram) {
        pid = AwaitWait(child);
      }
    }
    const auto result = child.Wait();
    EXPECT_TRUE(result.ok() && result->exit_code == 0) << result->err;
    EXPECT_TRUE(Await<ExecEvent>([&](const ExecEvent& e) {
      return e.process.home_cgroup_id == cgroup.id() && NameOf(e.process.code) == "program";
    }));
    return ExecsOf(cgroup);
  }

  // As the runtime is called that is in a mount namespace of its own.
  static std::string Runtime() {
    return GetParam() == Mounts::kOwn ? "elsewhere:runtime" : "runtime";
  }

 private:
  // It waits before each step that is its own.
  Child Start(const std::vector<Step>& steps) const {
    std::vector<std::string> argv;
    if (GetParam() == Mounts::kOwn) {
      argv = {"/usr/bin/unshare", "--mount"};
    }
    argv.push_back(runtime());
    const std::map<Step, std::string> acts = {
        {Step::kItself, "again:itself"},     {Step::kBindCopy, Copy()},
        {Step::kMemoryCopy, "again:memory"}, {Step::kStage, "stage"},
        {Step::kOwnMounts, "own-mounts"},    {Step::kProgram, "become:" + Actor() + ":nothing"}};
    for (const Step step : steps) {
      if (step != Step::kMove) {
        argv.insert(argv.end(), {"wait", acts.at(step)});
      }
    }
    absl::StatusOr<Child> child = Child::Spawn(std::move(argv));
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }

  std::vector<std::string> ExecsOf(const ScopedCgroup& cgroup) {
    // Rings are read one after the other, whatever came first.
    std::map<uint64_t, std::string> execs;
    for (const Event& event : events()) {
      const auto* exec = std::get_if<ExecEvent>(&event.body);
      if (exec != nullptr && exec->process.home_cgroup_id == cgroup.id()) {
        execs[exec->process.id.start_ns] =
            NameOf(exec->parent_code) + " > " + NameOf(exec->process.code);
      }
    }
    Forget();
    std::vector<std::string> in_order;
    for (auto& [when, what] : execs) {
      in_order.push_back(std::move(what));
    }
    return in_order;
  }
};

TEST_P(RuntimesWayTest, ItsWayIntoTheContainerIsNotTheContainers) {
  EXPECT_THAT(ContainerDid({Step::kBindCopy, Step::kMove, Step::kProgram}),
              ElementsAre("elsewhere:runtime > program"));
  EXPECT_THAT(ContainerDid({Step::kMove, Step::kBindCopy, Step::kProgram}),
              ElementsAre("elsewhere:runtime > program"));
  EXPECT_THAT(ContainerDid({Step::kMemoryCopy, Step::kMove, Step::kProgram}),
              ElementsAre("memory > program"));
  EXPECT_THAT(ContainerDid({Step::kMove, Step::kMemoryCopy, Step::kProgram}),
              ElementsAre("memory > program"));
  EXPECT_THAT(ContainerDid({Step::kMove, Step::kBindCopy, Step::kStage, Step::kProgram}),
              ElementsAre("elsewhere:runtime > program"));
}

TEST_P(RuntimesWayTest, WithoutACopyTheNextExecIsTheContainers) {
  EXPECT_THAT(ContainerDid({Step::kMove, Step::kProgram}), ElementsAre(Runtime() + " > program"));
  // From where it lies: that is seen below the root that the container has from then on.
  EXPECT_THAT(ContainerDid({Step::kMove, Step::kItself, Step::kProgram}),
              ElementsAre(Runtime() + " > runtime", "runtime > program"));
}

// What a container that wants to reach the runtime's file has executed in place of its program.
TEST_P(RuntimesWayTest, WhatTheCopyExecutesIsTheContainersItselfAgainIncluded) {
  const std::vector<std::string> again = {"elsewhere:runtime > elsewhere:runtime",
                                          "elsewhere:runtime > program"};
  EXPECT_EQ(ContainerDid({Step::kMove, Step::kBindCopy, Step::kItself, Step::kProgram}), again);
  EXPECT_EQ(ContainerDid({Step::kBindCopy, Step::kMove, Step::kItself, Step::kProgram}), again);
  EXPECT_EQ(
      ContainerDid({Step::kMove, Step::kBindCopy, Step::kStage, Step::kItself, Step::kProgram}),
      again);
  EXPECT_EQ(
      ContainerDid({Step::kBindCopy, Step::kStage, Step::kMove, Step::kItself, Step::kProgram}),
      again);
  EXPECT_THAT(ContainerDid({Step::kBindCopy, Step::kMove, Step::kMemoryCopy, Step::kProgram}),
              ElementsAre("elsewhere:runtime > memory", "memory > program"));
  EXPECT_THAT(ContainerDid({Step::kMove, Step::kMemoryCopy, Step::kItself, Step::kProgram}),
              ElementsAre("memory > memory", "memory > program"));
}

// With another root than when it was moved it may be in the container, and what it is told to
// execute there is the container's.
TEST_P(RuntimesWayTest, ACopyInAnotherRootIsTheContainers) {
  EXPECT_THAT(ContainerDid({Step::kMove, Step::kOwnMounts, Step::kMemoryCopy, Step::kProgram}),
              ElementsAre(Runtime() + " > memory", "memory > program"));
}

// crun is such a copy before it does anything else.
TEST_F(RuntimeTest, ItsCopyMayPlaceAsItMayAndWhatTheCopyExecutesMayNot) {
  EXPECT_TRUE(MayPlaceAfter({}));
  EXPECT_TRUE(MayPlaceAfter({Copy()}));
  EXPECT_TRUE(MayPlaceAfter({Copy(), "stage"}));
  EXPECT_TRUE(MayPlaceAfter({"again:memory"}));
  EXPECT_FALSE(MayPlaceAfter({Copy(), "again:itself"}));
  EXPECT_FALSE(MayPlaceAfter({Copy(), "again:memory"}));
  EXPECT_FALSE(MayPlaceAfter({"again:memory", "again:itself"}));
}

INSTANTIATE_TEST_SUITE_P(Mounts, RuntimesWayTest, ::testing::Values(Mounts::kShared, Mounts::kOwn),
                         [](const auto& param) {
                           return param.param == Mounts::kOwn ? "Own" : "Shared";
                         });

}  // namespace
}  // namespace vedette::testing
