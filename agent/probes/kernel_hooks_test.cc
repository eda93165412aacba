// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/kernel_hooks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/btf.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

namespace vedette {
namespace {

using std::string_literals::operator""s;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// A file in the format BTF of types with these names, gone with the object.
class TypesFile {
 public:
  explicit TypesFile(const std::string& names) {
    const btf_header header = {.magic = BTF_MAGIC,
                               .version = BTF_VERSION,
                               .flags = 0,
                               .hdr_len = sizeof(btf_header),
                               .type_off = 0,
                               .type_len = kTypes.size(),
                               .str_off = kTypes.size(),
                               .str_len = static_cast<uint32_t>(names.size())};
    std::string path = ::testing::TempDir() + "types-XXXXXX";
    close(mkstemp(path.data()));
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&header), sizeof(header));
    file << kTypes << names;
    path_ = path;
  }
  ~TypesFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  // Looks like a name, and is none.
  static constexpr std::string_view kTypes{"\0btf_trace_cap_capable\0", 23};

  std::string path_;
};

TEST(KernelHooksTest, AHookIsThereIfItsTypeIs) {
  const TypesFile all(
      "\0btf_trace_module_load_too\0btf_trace_module_load\0btf_trace_io_uring_create\0btf_trace_cap_capable\0"s);
  EXPECT_THAT(ProgramsWithoutHook(all.path()), IsEmpty());
  // A longer name, and one that only ends like it.
  const TypesFile others(
      "\0btf_trace_module_load_x\0x_btf_trace_io_uring_create\0btf_trace_cap_capable\0"s);
  EXPECT_THAT(ProgramsWithoutHook(others.path()),
              UnorderedElementsAre("privilege_module_load", "privilege_io_uring"));
}

TEST(KernelHooksTest, OnlyWhatIsThereAndCannotBeSeenIsTold) {
  const TypesFile none("\0btf_trace_sched_process_exec\0"s);
  const auto without = ProgramsWithoutHook(none.path());
  EXPECT_EQ(MissingHooks("privilege", without), "") << "no modules and no io_uring";
  EXPECT_THAT(MissingHooks("capability", without), HasSubstr("no tracepoint cap_capable"));
  EXPECT_EQ(MissingHooks("process", without), "");
  EXPECT_EQ(MissingHooks("capability", {}), "");
}

TEST(KernelHooksTest, WhereTheTypesCannotBeReadTheKernelDecides) {
  EXPECT_THAT(ProgramsWithoutHook("/nonexistent/vmlinux"), IsEmpty());
  EXPECT_THAT(ProgramsWithoutHook("/proc/self/exe"), IsEmpty()) << "not BTF";
}

}  // namespace
}  // namespace vedette
