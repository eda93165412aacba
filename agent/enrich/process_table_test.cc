// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/process_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace vedette {
namespace {

Code MakeCode(std::string path, CodeOrigin origin = CodeOrigin::kUnknown, std::string script = "") {
  Code code;
  code.path = std::move(path);
  code.origin = origin;
  code.script = std::move(script);
  return code;
}

constexpr char kBoot[] = "3b1f0c2e-9d4a-4f6e-8a77-0a1b2c3d4e5f\n";

ProcessContext Context(uint64_t start_ns, uint32_t tgid, uint64_t inode) {
  ProcessContext context;
  context.id = {start_ns, tgid};
  context.tgid = tgid;
  context.comm = "comm";
  context.code.inode = inode;
  return context;
}

class ProcessTableTest : public testing::Test {
 protected:
  CodeTable codes_{nullptr};
  ProcessTable table_{kBoot, &codes_};
};

TEST_F(ProcessTableTest, ExecIdsAreUniqueAcrossBoots) {
  EXPECT_EQ(table_.PrintableId({0x10, 0xff}), "3b1f0c2e-10-ff");
  ProcessTable other("3b1f0c2f-9d4a-4f6e-8a77-0a1b2c3d4e5f", &codes_);
  EXPECT_NE(other.PrintableId({0x10, 0xff}), table_.PrintableId({0x10, 0xff}));
  EXPECT_EQ(ProcessTable("", &codes_).PrintableId({1, 2}), "00000000-1-2");
}

TEST_F(ProcessTableTest, AnExecIsRememberedWithItsScript) {
  const Code code = MakeCode("/usr/bin/python3", CodeOrigin::kHost, "./job\n");
  table_.Add(Context(10, 4, 1), code, {"python3", "./job\n"}, false);
  const ProcessInfo info = table_.Describe(Context(10, 4, 1));
  EXPECT_EQ(info.code.path, "/usr/bin/python3");
  EXPECT_EQ(info.code.script, "./job\n");
  EXPECT_EQ(info.argv, (std::vector<std::string>{"python3", "./job\n"}));
  EXPECT_EQ(info.exec_id, "3b1f0c2e-a-4");
  EXPECT_FALSE(info.unknown);
}

TEST_F(ProcessTableTest, KeptArgumentsAreBounded) {
  const std::vector<std::string> argv = {"a", std::string(4000, 'x'), "b"};
  EXPECT_EQ(table_.Add(Context(10, 4, 1), {}, argv, false).argv, argv);
  const ProcessInfo later = table_.Describe(Context(10, 4, 1));
  EXPECT_TRUE(later.argv_truncated);
  ASSERT_EQ(later.argv.size(), 2u);
  EXPECT_EQ(later.argv[1].size(), ProcessTable::kMaxKeptArgvBytes - 2);
}

TEST_F(ProcessTableTest, ThatThereWereMoreArgumentsIsKeptAndHandedDown) {
  EXPECT_TRUE(table_.Add(Context(10, 4, 1), {}, {"a"}, true).argv_truncated);
  EXPECT_TRUE(table_.Describe(Context(10, 4, 1)).argv_truncated);
  ProcessContext fork = Context(20, 5, 1);
  fork.parent = {10, 4};
  EXPECT_TRUE(table_.AddFork(fork).argv_truncated);
  EXPECT_FALSE(table_.Add(Context(30, 6, 1), {}, {"a"}, false).argv_truncated);
}

TEST_F(ProcessTableTest, AForkRunsItsParentsProgram) {
  table_.Add(Context(10, 4, 1), MakeCode("/usr/bin/python3", CodeOrigin::kHost, "job"),
             {"python3", "job"}, false);
  ProcessContext fork = Context(20, 5, 1);
  fork.parent = {10, 4};
  const ProcessInfo info = table_.AddFork(fork);
  EXPECT_EQ(info.code.script, "job");
  EXPECT_EQ(info.argv.size(), 2u);
  ProcessContext other = Context(21, 6, 9);  // The parent has execed since.
  other.parent = {10, 4};
  EXPECT_EQ(table_.AddFork(other).code.path, "");
  EXPECT_TRUE(table_.Describe(other).argv.empty());
}

TEST_F(ProcessTableTest, NothingIsTakenFromAParentWhenTheExecWasNotReported) {
  codes_.Learn(Context(10, 4, 1).code, MakeCode("/usr/bin/python3"), "w");
  table_.Add(Context(10, 4, 1), MakeCode("/usr/bin/python3", CodeOrigin::kHost, "job"), {"python3"},
             false);
  ProcessContext child = Context(20, 5, 1);
  child.parent = {10, 4};
  EXPECT_EQ(table_.Describe(child).code.path, "/usr/bin/python3");
  EXPECT_EQ(table_.Describe(child).code.script, "");
  EXPECT_TRUE(table_.Describe(child).argv.empty());
}

TEST_F(ProcessTableTest, AProcessWhoseExecWasLostIsNamedByItsCode) {
  CodeKey key;
  key.inode = 7;
  codes_.Learn(key, MakeCode("/usr/sbin/nginx", CodeOrigin::kHost), "w");
  const ProcessInfo info = table_.Describe(Context(10, 4, 7));
  EXPECT_EQ(info.code.path, "/usr/sbin/nginx");
  EXPECT_TRUE(info.argv.empty());
}

TEST_F(ProcessTableTest, AncestorsComeFromProcessesElseCodeElseComm) {
  CodeKey known_code;
  known_code.inode = 2;
  codes_.Learn(known_code, MakeCode("/bin/sh"), "w");
  table_.Add(Context(10, 4, 1), MakeCode("/usr/bin/python3", CodeOrigin::kHost, "job"), {"python3"},
             false);
  ProcessContext context = Context(30, 9, 3);
  context.ancestors = {{.id = {10, 4}, .code = Context(10, 4, 1).code, .comm = "python3"},
                       {.id = {8, 3}, .code = known_code, .comm = "sh"},
                       {.id = {7, 2}, .code = {.inode = 99}, .comm = "\xff\n"},
                       {.id = {}, .code = {}, .comm = ""}};
  const std::vector<ProcessInfo> ancestors = table_.DescribeAncestors(context);
  ASSERT_EQ(ancestors.size(), 4u);
  EXPECT_EQ(ancestors[0].code.script, "job");
  EXPECT_EQ(ancestors[0].argv.size(), 1u);
  EXPECT_EQ(ancestors[1].code.path, "/bin/sh");
  EXPECT_EQ(ancestors[2].code.path, "");
  EXPECT_EQ(ancestors[2].comm, "\xff\n");
  EXPECT_FALSE(ancestors[2].unknown);
  EXPECT_TRUE(ancestors[3].unknown);
}

TEST_F(ProcessTableTest, AFullTableForgetsTheOldestAndGoesOn) {
  ProcessTable small(kBoot, &codes_, 4);
  for (uint32_t i = 1; i <= 100; ++i) {
    small.Add(Context(i, i, 1), MakeCode("/x"), {}, false);
  }
  EXPECT_EQ(small.size(), 4u);
  EXPECT_EQ(small.evictions(), 96u);
  EXPECT_EQ(small.Describe(Context(100, 100, 1)).code.path, "/x");
}

TEST_F(ProcessTableTest, AnUnknownExecutionIsNotStored) {
  EXPECT_TRUE(table_.Describe(Context(0, 4, 1)).unknown);
  table_.Add(Context(0, 4, 1), MakeCode("/x"), {}, false);
  EXPECT_EQ(table_.size(), 0u);
}

}  // namespace
}  // namespace vedette
