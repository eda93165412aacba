// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "agent/probes/file_key.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

class ProcessTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) {
      Attach();
    }
  }

  // The execs of a process are told in order; the last one is of what it became.
  std::optional<Seen<ExecEvent>> AwaitExecOf(pid_t pid, std::string_view comm) {
    return Await<ExecEvent>([&](const ExecEvent& exec) {
      return exec.process.tgid == static_cast<uint32_t>(pid) && exec.process.comm == comm;
    });
  }

  CodeKey KeyOf(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    absl::StatusOr<CodeKey> key = ReadFileKey(probes(), fd.get());
    EXPECT_TRUE(key.ok()) << path << ": " << key.status();
    return key.value_or(CodeKey());
  }
};

TEST_F(ProcessTest, AProcessOnATerminalHasItsDevice) {
  constexpr uint32_t kPseudoTerminals = 136;  // The kernel's list of device numbers.
  ScopedCgroup cgroup = WatchedCgroup();
  const auto run = cgroup.Run({"script", "-qec", Actor() + " nothing nothing", "/dev/null"});
  ASSERT_TRUE(run.ok() && run->exit_code == 0) << run.status();
  const auto exec = AwaitExec("nothing");
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->body.process.tty >> 20, kPseudoTerminals);
}

TEST_F(ProcessTest, ExecTellsWhoRanWhatWhereAndWhen) {
  ScopedCgroup cgroup = WatchedCgroup();
  const uint64_t before = BootNow();
  absl::StatusOr<Child> child = cgroup.Spawn({Actor(), "wait", "nothing"});
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_TRUE(child->ReadLine().ok());
  auto exec = AwaitExecOf(child->pid(), "vedette_actor");
  ASSERT_TRUE(exec);
  const ProcessContext& process = exec->body.process;
  EXPECT_EQ(exec->header.reason, Reason::kNews);
  EXPECT_NE(exec->header.slot.slot, 0u);
  EXPECT_THAT(exec->body.argv, ElementsAre(Actor(), "wait", "nothing"));
  EXPECT_FALSE(exec->body.argv_truncated);
  EXPECT_EQ(exec->body.path, std::filesystem::canonical(Actor()).string());
  EXPECT_FALSE(exec->body.path_truncated);
  EXPECT_EQ(exec->body.script, "");
  EXPECT_EQ(exec->body.origin, CodeOrigin::kHost);
  EXPECT_EQ(process.code, KeyOf(Actor()));
  EXPECT_EQ(exec->body.parent_code, KeyOf("/proc/self/exe"));
  EXPECT_GT(process.id.start_ns, before);
  EXPECT_LT(process.id.start_ns, BootNow());
  EXPECT_EQ(process.id.tgid, static_cast<uint32_t>(child->pid()));
  EXPECT_EQ(exec->body.previous.tgid, process.id.tgid);
  EXPECT_LT(exec->body.previous.start_ns, process.id.start_ns);
  EXPECT_EQ(process.parent_tgid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(process.parent.tgid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(process.tgid_in_namespace, process.tgid);
  EXPECT_EQ(process.credentials.uid, 0u);
  EXPECT_EQ(process.credentials.gid, 0u);
  EXPECT_NE(process.credentials.cap_effective, 0u);
  EXPECT_EQ(process.namespaces.pid, NamespaceId(getpid(), "pid"));
  EXPECT_EQ(process.namespaces.mnt, NamespaceId(getpid(), "mnt"));
  EXPECT_EQ(process.namespaces.net, NamespaceId(getpid(), "net"));
  EXPECT_EQ(process.namespaces.user, NamespaceId(getpid(), "user"));
  EXPECT_EQ(process.cgroup_id, cgroup.id());
  EXPECT_EQ(process.home_cgroup_id, cgroup.id());
  EXPECT_EQ(process.workload_number, WorkloadOf(cgroup.id()));
  EXPECT_LT(absl::AbsDuration(absl::Now() - exec->header.time), absl::Minutes(1));
}

TEST_F(ProcessTest, AncestorsAreNearestFirstAndAtMostEight) {
  ScopedCgroup cgroup = WatchedCgroup();
  // Ten shells in a row by a script that calls itself, each with a number.
  TempDir dir;
  const std::string script = dir / "nest";
  ASSERT_TRUE(WriteFile(script,
                        "#!/bin/sh\n"
                        "if [ \"$1\" = 0 ]; then " +
                            Actor() +
                            " nothing deepest; exit; fi\n"
                            "/bin/sh " +
                            script + " $(($1 - 1))\n:\n"));
  absl::StatusOr<ChildResult> result = cgroup.Run({"/bin/sh", script, "9"});
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->exit_code, 0) << result->err;
  auto exec = Await<ExecEvent>(
      [](const ExecEvent& e) { return e.argv.size() == 3 && e.argv[2] == "deepest"; });
  ASSERT_TRUE(exec);
  const std::vector<Ancestor>& ancestors = exec->body.process.ancestors;
  ASSERT_EQ(ancestors.size(), 8u);
  EXPECT_EQ(ancestors[0].id, exec->body.process.parent);
  const CodeKey shell = KeyOf("/bin/sh");
  for (size_t i = 0; i < ancestors.size(); ++i) {
    EXPECT_EQ(ancestors[i].comm, "sh") << i;
    EXPECT_EQ(ancestors[i].code, shell) << i;
    if (i > 0) {
      EXPECT_LT(ancestors[i].id.start_ns, ancestors[i - 1].id.start_ns);
    }
  }
}

TEST_F(ProcessTest, ExecInAContainerHasThePathFromItsRootAndItsNamespaces) {
  std::unique_ptr<RuncContainer> container = WatchedContainer();
  absl::StatusOr<ChildResult> result = container->Exec({"/bin/vedette_actor", "exec:1", "nothing"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  auto exec = Await<ExecEvent>([](const ExecEvent& e) {
    return !e.argv.empty() && e.argv[0] == "/bin/vedette_actor" && e.argv.size() == 3;
  });
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->body.path, "/bin/vedette_actor");
  EXPECT_FALSE(exec->body.path_truncated);
  EXPECT_EQ(exec->body.process.namespaces.pid, NamespaceId(container->pid(), "pid"));
  EXPECT_EQ(exec->body.process.namespaces.mnt, NamespaceId(container->pid(), "mnt"));
  EXPECT_NE(exec->body.process.namespaces.mnt, NamespaceId(getpid(), "mnt"));
  EXPECT_LT(exec->body.process.tgid_in_namespace, exec->body.process.tgid);
  // CAP_KILL and CAP_NET_BIND_SERVICE.
  EXPECT_EQ(exec->body.process.credentials.cap_permitted, (1u << 5) | (1u << 10));
  EXPECT_EQ(exec->body.process.workload_number, WorkloadOf(exec->body.process.cgroup_id));
  // Its child is told too, by the path of the same file.
  auto child = Await<ExecEvent>([&](const ExecEvent& e) {
    return e.process.parent == exec->body.process.id && e.path == "/bin/vedette_actor";
  });
  ASSERT_TRUE(child);
  EXPECT_EQ(child->body.process.code, exec->body.process.code);
}

TEST_F(ProcessTest, ArgumentsAreBytesAndAreMarkedWhenCut) {
  ScopedCgroup cgroup = WatchedCgroup();
  const std::string bytes = "\xff\xfe line\nbreak \x1b[31m";
  ASSERT_TRUE(cgroup.Run({Actor(), "nothing", bytes}).ok());
  auto exec = Await<ExecEvent>(
      [&](const ExecEvent& e) { return e.argv.size() == 3 && e.argv[2] == bytes; });
  ASSERT_TRUE(exec);
  EXPECT_FALSE(exec->body.argv_truncated);

  // Over the small record's room, below the large one's.
  const std::string middling(2000, 'm');
  ASSERT_TRUE(cgroup.Run({Actor(), "nothing", middling}).ok());
  auto large = Await<ExecEvent>(
      [&](const ExecEvent& e) { return e.argv.size() == 3 && e.argv[2] == middling; });
  ASSERT_TRUE(large);
  EXPECT_FALSE(large->body.argv_truncated);

  const std::string huge(6000, 'h');
  ASSERT_TRUE(cgroup.Run({Actor(), "nothing", huge, "unseen"}).ok());
  auto cut = Await<ExecEvent>([](const ExecEvent& e) { return e.argv_truncated; });
  ASSERT_TRUE(cut);
  ASSERT_EQ(cut->body.argv.size(), 3u);
  size_t total = 0;
  for (const std::string& argument : cut->body.argv) {
    total += argument.size() + 1;
  }
  EXPECT_EQ(total, 4096u + 1);  // No NUL ends what was cut.
  EXPECT_EQ(cut->body.argv[2], huge.substr(0, cut->body.argv[2].size()));
}

TEST_F(ProcessTest, APathThatIsTooDeepIsMarkedAsCut) {
  ScopedCgroup cgroup = WatchedCgroup();
  TempDir dir;
  std::string deep = dir.path();
  for (int i = 0; i < 100; ++i) {
    deep += "/d";
  }
  std::error_code error;
  ASSERT_TRUE(std::filesystem::create_directories(deep, error)) << error.message();
  const std::string program = deep + "/actor";
  ASSERT_TRUE(std::filesystem::copy_file(Actor(), program, error)) << error.message();
  ASSERT_EQ(cgroup.Run({program, "nothing:deep"})->exit_code, 0);
  auto exec = Await<ExecEvent>(
      [](const ExecEvent& e) { return e.argv.size() == 2 && e.argv[1] == "nothing:deep"; });
  ASSERT_TRUE(exec);
  EXPECT_TRUE(exec->body.path_truncated);
  EXPECT_NE(exec->body.path, program);
  // What there is of it is its end.
  EXPECT_EQ(program.substr(program.size() - exec->body.path.size()), exec->body.path);
}

TEST_F(ProcessTest, ALongPathIsWholeAndALongNameToo) {
  ScopedCgroup cgroup = WatchedCgroup();
  TempDir dir;
  const std::string folder = dir / std::string(255, 'n') + "/" + std::string(255, 'o');
  std::error_code error;
  ASSERT_TRUE(std::filesystem::create_directories(folder, error)) << error.message();
  const std::string program = folder + "/" + std::string(255, 'p');
  ASSERT_TRUE(std::filesystem::copy_file(Actor(), program, error)) << error.message();
  ASSERT_EQ(cgroup.Run({program, "nothing:long"})->exit_code, 0);
  auto exec = Await<ExecEvent>(
      [](const ExecEvent& e) { return e.argv.size() == 2 && e.argv[1] == "nothing:long"; });
  ASSERT_TRUE(exec);
  EXPECT_FALSE(exec->body.path_truncated);
  EXPECT_EQ(exec->body.path, std::filesystem::canonical(program).string());
}

TEST_F(ProcessTest, AScriptIsTheInterpretersCodeAndTheScriptsName) {
  ScopedCgroup cgroup = WatchedCgroup();
  TempDir dir;
  const std::string one = dir / "one";
  const std::string two = dir / "two";
  for (const std::string& script : {one, two}) {
    ASSERT_TRUE(WriteFile(script, "#!/bin/sh\nexit 3\n"));
    ASSERT_EQ(chmod(script.c_str(), 0755), 0);
    ASSERT_EQ(cgroup.Run({script, "argument"})->exit_code, 3);
  }
  auto find = [&](const std::string& script) {
    return Await<ExecEvent>([&](const ExecEvent& e) { return e.script == script; });
  };
  auto first = find(one);
  auto second = find(two);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->body.process.code, KeyOf("/bin/sh"));
  EXPECT_EQ(first->body.path, std::filesystem::canonical("/bin/sh").string());
  EXPECT_THAT(first->body.argv, ElementsAre("/bin/sh", one, "argument"));
  // The same interpreter with another script is another behaviour.
  EXPECT_EQ(second->header.reason, Reason::kNews);
  EXPECT_NE(first->header.slot, second->header.slot);
}

TEST_F(ProcessTest, AKnownExecIsCountedAndToldOnlyToATap) {
  ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_EQ(cgroup.Run({Actor(), "exec:5"})->exit_code, 0);
  auto is_child = [&](const ExecEvent& e) {
    return e.argv.size() == 2 && e.argv[1] == "nothing" && e.process.home_cgroup_id == cgroup.id();
  };
  auto exec = Await<ExecEvent>(is_child);
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->header.reason, Reason::kNews);
  ASSERT_TRUE(WaitFor([&] {
    ReadRings();
    return Count<ExecEvent>(is_child) == 5;
  }));
  ASSERT_TRUE(cache().SetTap(WorkloadOf(cgroup.id()), false).ok());
  Forget();
  ASSERT_EQ(cgroup.Run({Actor(), "exec:7"})->exit_code, 0);
  uint64_t acts = 0;
  EXPECT_TRUE(cache()
                  .ReadCounts([&](const CacheSlot& slot, const BehaviourCount& count) {
                    if (slot == exec->header.slot) {
                      acts = count.acts;
                    }
                  })
                  .ok());
  EXPECT_EQ(acts, 12u);
  ReadRings();
  EXPECT_EQ(Count<ExecEvent>(is_child), 0u);
}

TEST_F(ProcessTest, CodeWithoutAFileSaysWhereItCameFrom) {
  ScopedCgroup cgroup = WatchedCgroup();
  TempDir dir;
  absl::StatusOr<ChildResult> result =
      cgroup.Run({Actor(), "memfd-exec", "deleted-exec:" + dir / "gone"});
  ASSERT_TRUE(result.ok() && result->exit_code == 0) << result->err;
  auto origin = [&](std::string_view name) {
    return Await<ExecEvent>(
        [&](const ExecEvent& e) { return !e.argv.empty() && e.argv[0] == name; });
  };
  auto memfd = origin("memfd");
  ASSERT_TRUE(memfd);
  EXPECT_EQ(memfd->body.origin, CodeOrigin::kMemfd);
  EXPECT_THAT(memfd->body.path, HasSubstr("memfd:vedette-actor"));
  auto deleted = origin("deleted");
  ASSERT_TRUE(deleted);
  EXPECT_EQ(deleted->body.origin, CodeOrigin::kDeleted);
  EXPECT_EQ(memfd->body.process.code.size_bytes, deleted->body.process.code.size_bytes);
  EXPECT_NE(memfd->body.process.code, deleted->body.process.code);
}

TEST_F(ProcessTest, ExitHasTheStatusAndTheLifetime) {
  ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_EQ(cgroup.Run({Actor(), "exit:7"})->exit_code, 7);
  auto exec = AwaitExec("exit:7");
  ASSERT_TRUE(exec);
  auto exit = AwaitExit(exec->body.process.id);
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->header.reason, Reason::kFollowUp);
  EXPECT_EQ(exit->body.status, 7u << 8);
  EXPECT_GT(exit->body.lifetime, absl::ZeroDuration());
  EXPECT_LT(exit->body.lifetime, absl::Minutes(1));

  absl::StatusOr<Child> child = cgroup.Spawn({Actor(), "wait"});
  ASSERT_TRUE(child.ok() && child->ReadLine().ok());
  child->Kill(SIGKILL);
  auto killed = Await<ExitEvent>(
      [&](const ExitEvent& e) { return e.process.tgid == static_cast<uint32_t>(child->pid()); });
  ASSERT_TRUE(killed);
  EXPECT_EQ(killed->body.status, static_cast<uint32_t>(SIGKILL));
}

TEST_F(ProcessTest, ALeaderThatEndsFirstIsNotTheEndOfTheProcess) {
  ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_EQ(cgroup.Run({Actor(), "leader-exit"})->exit_code, 0);
  auto fork = Await<ForkEvent>([&](const ForkEvent& e) {
    return e.process.home_cgroup_id == cgroup.id() && e.process.comm == "vedette_actor";
  });
  ASSERT_TRUE(fork);
  ASSERT_TRUE(AwaitExit(fork->body.process.id));
  EXPECT_EQ(Count<ExitEvent>(
                [&](const ExitEvent& e) { return e.process.tgid == fork->body.process.tgid; }),
            1u);
}

TEST_F(ProcessTest, AnExecByAThreadIsThatOfItsProcess) {
  ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_EQ(cgroup.Run({Actor(), "thread-exec"})->exit_code, 0);
  auto parent = AwaitExec("thread-exec");
  ASSERT_TRUE(parent);
  auto exec = Await<ExecEvent>(
      [&](const ExecEvent& e) { return e.process.parent == parent->body.process.id; });
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->body.previous.tgid, exec->body.process.tgid);
  EXPECT_EQ(exec->body.process.id.tgid, exec->body.process.tgid);
  ASSERT_FALSE(exec->body.process.ancestors.empty());
  EXPECT_EQ(exec->body.process.ancestors[0].id, parent->body.process.id);
  EXPECT_TRUE(AwaitExit(exec->body.process.id));
}

TEST_F(ProcessTest, AChangeOfCredentialsIsSeenAtTheNextLook) {
  ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_EQ(cgroup.Run({Actor(), "setuid:65534"})->exit_code, 0);
  auto change = Await<CredentialEvent>(
      [&](const CredentialEvent& e) { return e.process.home_cgroup_id == cgroup.id(); });
  ASSERT_TRUE(change);
  EXPECT_EQ(change->header.reason, Reason::kNews);
  EXPECT_EQ(change->body.before.euid, 0u);
  EXPECT_NE(change->body.before.cap_effective, 0u);
  EXPECT_EQ(change->body.process.credentials.uid, 65534u);
  EXPECT_EQ(change->body.process.credentials.euid, 65534u);
  EXPECT_EQ(change->body.process.credentials.cap_effective, 0u);
}

TEST_F(ProcessTest, AChangeOfCredentialsIsSeenAtAConnect) {
  ScopedCgroup cgroup = WatchedCgroup();
  absl::StatusOr<Child> child = cgroup.Spawn({Actor(), "setuid:65534", "connect:1", "wait"});
  ASSERT_TRUE(child.ok());
  // It neither executes nor ends: until a line it waits.
  auto change = Await<CredentialEvent>(
      [&](const CredentialEvent& e) { return e.process.home_cgroup_id == cgroup.id(); });
  ASSERT_TRUE(change);
  EXPECT_EQ(change->body.before.euid, 0u);
  EXPECT_EQ(change->body.process.credentials.euid, 65534u);
  auto open = AwaitFlow(FlowStage::kOpen, cgroup.id(), [](const FlowEvent&) { return true; });
  ASSERT_TRUE(open);
  EXPECT_EQ(open->body.process.credentials.uid, 65534u);
  EXPECT_EQ(open->body.process.id, change->body.process.id);
}

TEST_F(ProcessTest, AForkKeepsTheCodeAndGetsAnIdOfItsOwn) {
  ScopedCgroup cgroup = WatchedCgroup();
  ASSERT_EQ(cgroup.Run({Actor(), "fork:1"})->exit_code, 0);
  auto exec = AwaitExec("fork:1");
  ASSERT_TRUE(exec);
  auto fork = Await<ForkEvent>(
      [&](const ForkEvent& e) { return e.process.parent == exec->body.process.id; });
  ASSERT_TRUE(fork);
  EXPECT_EQ(fork->header.reason, Reason::kTap);
  EXPECT_EQ(fork->body.process.code, exec->body.process.code);
  EXPECT_NE(fork->body.process.id, exec->body.process.id);
  EXPECT_EQ(fork->body.process.parent_tgid, exec->body.process.tgid);
  EXPECT_EQ(fork->body.process.cgroup_id, cgroup.id());
}

}  // namespace
}  // namespace vedette::testing
