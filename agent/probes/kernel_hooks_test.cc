// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/kernel_hooks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace vedette {
namespace {

using std::string_literals::operator""s;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// A file with these bytes, gone with the object.
class TypesFile {
 public:
  explicit TypesFile(const std::string& bytes) {
    std::string path = ::testing::TempDir() + "types-XXXXXX";
    close(mkstemp(path.data()));
    std::ofstream(path, std::ios::binary) << bytes;
    path_ = path;
  }
  ~TypesFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(KernelHooksTest, AHookIsThereIfItsTypeIs) {
  const TypesFile all(
      "x\0btf_trace_module_load\0btf_trace_io_uring_create\0btf_trace_cap_capable\0"s);
  EXPECT_THAT(ProgramsWithoutHook(all.path()), IsEmpty());
  // A longer name, and one that only ends like it.
  const TypesFile others(
      "\0btf_trace_module_load_x\0x_btf_trace_io_uring_create\0btf_trace_cap_capable\0"s);
  EXPECT_THAT(ProgramsWithoutHook(others.path()),
              UnorderedElementsAre("privilege_module_load", "privilege_io_uring"));
}

TEST(KernelHooksTest, OnlyWhatIsThereAndCannotBeSeenIsTold) {
  const TypesFile none("\0btf_trace_sched_process_exec"s);
  const auto without = ProgramsWithoutHook(none.path());
  EXPECT_EQ(MissingHooks("privilege", without), "") << "no modules and no io_uring";
  EXPECT_THAT(MissingHooks("capability", without), HasSubstr("no tracepoint cap_capable"));
  EXPECT_EQ(MissingHooks("process", without), "");
  EXPECT_EQ(MissingHooks("capability", {}), "");
}

TEST(KernelHooksTest, WhereTheTypesCannotBeReadTheKernelDecides) {
  EXPECT_THAT(ProgramsWithoutHook("/nonexistent/vmlinux"), IsEmpty());
}

}  // namespace
}  // namespace vedette
