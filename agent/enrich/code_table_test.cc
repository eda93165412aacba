// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/code_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "agent/enrich/sha256.h"
#include "fmt/format.h"

namespace vedette {
namespace {

Code MakeCode(std::string path, CodeOrigin origin = CodeOrigin::kUnknown, std::string script = "") {
  Code code;
  code.path = std::move(path);
  code.origin = origin;
  code.script = std::move(script);
  return code;
}

// Stands for the BPF iterator: the key is what fstat shows.
class StatKeyReader final : public KeyReader {
 public:
  absl::StatusOr<CodeKey> Read(int fd) override {
    if (fail) {
      return absl::UnavailableError("no iterator");
    }
    ++reads;
    if (on_read) {
      on_read();
    }
    struct stat info = {};
    fstat(fd, &info);
    return CodeKey{.device = info.st_dev,
                   .inode = info.st_ino,
                   .change_time_ns = 0,
                   .size_bytes = static_cast<uint64_t>(info.st_size)};
  }
  bool fail = false;
  int reads = 0;
  std::function<void()> on_read;
};

class CodeTableTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "code_table_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override {
    for (const std::string& file : files_) {
      unlink(file.c_str());
    }
    rmdir(dir_.c_str());
  }

  std::string Write(const std::string& name, const std::string& content) {
    const std::string path = dir_ + "/" + name;
    std::ofstream(path) << content;
    files_.push_back(path);
    return path;
  }
  CodeKey KeyOf(const std::string& path) {
    UniqueFd fd(open(path.c_str(), O_RDONLY));
    return *StatKeyReader().Read(fd.get());
  }
  // No process image: only the host's root is looked at.
  static UniqueFd HostOnly(CodePlace place, uint32_t tgid, const std::string& path) {
    return place == CodePlace::kHostRoot ? OpenCode(place, tgid, path) : UniqueFd();
  }

  StatKeyReader keys_;
  std::string dir_;
  std::vector<std::string> files_;
};

TEST_F(CodeTableTest, HashesAFileWhoseKeyIsTheExpectedOne) {
  const std::string path = Write("a", "abc");
  CodeTable table(HostOnly, &keys_);
  table.Learn(KeyOf(path), MakeCode(path, CodeOrigin::kHost), "w");
  table.Hash(KeyOf(path), 1);
  const Code* code = table.Find(KeyOf(path));
  ASSERT_NE(code, nullptr);
  EXPECT_EQ(code->path, path);
  EXPECT_EQ(code->sha256, Sha256::HexOf("abc"));
  EXPECT_EQ(code->origin, CodeOrigin::kHost);
  EXPECT_EQ(keys_.reads, 2);
  table.Hash(KeyOf(path), 1);
  EXPECT_EQ(keys_.reads, 2);  // Cached.
  EXPECT_EQ(table.hashed(), 1u);
}

TEST_F(CodeTableTest, AnotherFileAtThePathIsNotHashed) {
  const std::string path = Write("a", "abc");
  CodeKey other = KeyOf(path);
  other.inode += 1;
  CodeTable table(HostOnly, &keys_);
  table.Learn(other, MakeCode(path, CodeOrigin::kHost), "w");
  table.Hash(other, 1);
  EXPECT_EQ(table.Find(other)->sha256, "");
  EXPECT_EQ(table.reasons().count("changed"), 1u);
}

TEST_F(CodeTableTest, AFileThatChangesWhileItIsReadIsNotHashed) {
  const std::string path = Write("a", "abc");
  const CodeKey key = KeyOf(path);
  keys_.on_read = [&] {
    if (keys_.reads == 2) {
      std::ofstream(path, std::ios::app) << "x";
    }
  };
  CodeTable table(HostOnly, &keys_);
  table.Learn(key, MakeCode(path, CodeOrigin::kHost), "w");
  table.Hash(key, 1);
  EXPECT_EQ(table.Find(key)->sha256, "");
  EXPECT_EQ(table.reasons().count("changed"), 1u);
}

TEST_F(CodeTableTest, TheRunningImageIsFoundThoughItsPathIsNot) {
  CodeTable table(OpenCode, &keys_);
  const CodeKey self = KeyOf("/proc/self/exe");
  table.Learn(self, MakeCode("/nowhere/at/all", CodeOrigin::kImage), "w");
  table.Hash(self, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(table.Find(self)->sha256.size(), 64u);
}

TEST_F(CodeTableTest, AFileBelowTheProcessRootIsFoundAfterItExecedSomethingElse) {
  const std::string path = Write("a", "abc");
  CodeTable table(OpenCode, &keys_);
  table.Learn(KeyOf(path), MakeCode(path, CodeOrigin::kHost), "w");
  table.Hash(KeyOf(path), static_cast<uint32_t>(getpid()));
  EXPECT_EQ(table.Find(KeyOf(path))->sha256, Sha256::HexOf("abc"));
}

TEST_F(CodeTableTest, EachFailureHasItsReasonAndAttemptsAreBounded) {
  const std::string big = Write("big", std::string(100, 'x'));
  CodeTable table(HostOnly, &keys_, {.max_hashed_bytes = 99});
  table.Learn(KeyOf(big), MakeCode(big, CodeOrigin::kHost), "w");
  table.Hash(KeyOf(big), 1);
  table.Hash(KeyOf(big), 1);
  EXPECT_EQ(table.reasons().count("too_large"), 1u);

  const CodeKey gone{.inode = 1};
  table.Learn(gone, MakeCode(dir_ + "/gone", CodeOrigin::kHost), "w");
  for (int i = 0; i < 10; ++i) {
    table.Hash(gone, 1);
  }
  EXPECT_EQ(table.reasons().count("gone"), 3u);

  const CodeKey directory{.inode = 2};
  table.Learn(directory, MakeCode(dir_, CodeOrigin::kHost), "w");
  table.Hash(directory, 1);
  keys_.fail = true;
  const std::string small = Write("small", "x");
  table.Learn({.inode = 3}, MakeCode(small, CodeOrigin::kHost), "w");
  table.Hash({.inode = 3}, 1);
  EXPECT_EQ(table.reasons().count("unreadable"), 2u);
}

TEST_F(CodeTableTest, AFifoAtThePathDoesNotBlock) {
  const std::string path = dir_ + "/fifo";
  files_.push_back(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  CodeTable table(HostOnly, &keys_);
  table.Learn({.inode = 1}, MakeCode(path, CodeOrigin::kHost), "w");
  table.Hash({.inode = 1}, 1);
  EXPECT_EQ(table.reasons().count("unreadable"), 1u);
}

TEST_F(CodeTableTest, UntrustedFilesystemsAndMemoryAreNotSearchedByPath) {
  int opened = 0;
  std::vector<CodePlace> places;
  CodeTable table(
      [&](CodePlace place, uint32_t, const std::string&) {
        ++opened;
        places.push_back(place);
        return UniqueFd();
      },
      &keys_);
  table.Learn({.inode = 1}, MakeCode("/mnt/x", CodeOrigin::kUntrustedFs), "w");
  table.Hash({.inode = 1}, 1);
  EXPECT_EQ(opened, 0);
  EXPECT_EQ(table.reasons().count("untrusted_fs"), 1u);
  table.Learn({.inode = 2}, MakeCode("memfd:x", CodeOrigin::kMemfd), "w");
  table.Hash({.inode = 2}, 1);
  EXPECT_EQ(places, std::vector<CodePlace>{CodePlace::kProcessImage});
}

TEST_F(CodeTableTest, WithoutAKeyReaderNothingIsOpened) {
  CodeTable table(HostOnly, nullptr);
  table.Learn({.inode = 1}, MakeCode(Write("a", "abc"), CodeOrigin::kHost), "w");
  table.Hash({.inode = 1}, 1);
  EXPECT_EQ(table.Find({.inode = 1})->sha256, "");
  EXPECT_EQ(table.reasons().count("no_key_reader"), 1u);
}

TEST_F(CodeTableTest, PendingIsWorkedOffInBoundedSteps) {
  CodeTable table(HostOnly, &keys_, {.pending = 3});
  for (int i = 0; i < 4; ++i) {
    const std::string path = Write(fmt::format("f{}", i), std::string(100, static_cast<char>(i)));
    table.Learn(KeyOf(path), MakeCode(path, CodeOrigin::kHost), "w");
    table.HashLater(KeyOf(path), 1);
  }
  EXPECT_EQ(table.reasons().count("queue_full"), 1u);
  EXPECT_EQ(table.HashPending(0), 2u);  // At least one file, so that it ends.
  EXPECT_EQ(table.HashPending(1 << 20), 0u);
  EXPECT_EQ(table.hashed(), 3u);
}

TEST_F(CodeTableTest, IsBoundedAndIgnoresTheUnknownKey) {
  CodeTable table(HostOnly, &keys_, {.entries = 10});
  table.Learn({}, MakeCode("/kthread"), "w");
  EXPECT_EQ(table.size(), 0u);
  for (uint64_t i = 1; i <= 1000; ++i) {
    table.Learn({.inode = i}, MakeCode("/x"), "w");
  }
  EXPECT_EQ(table.size(), 10u);
  EXPECT_EQ(table.evictions(), 990u);
  EXPECT_EQ(table.Find({.inode = 1}), nullptr);
}

TEST_F(CodeTableTest, AWorkloadWithManyProgramsForgetsOnlyItsOwn) {
  CodeTable table(HostOnly, &keys_, {.entries = 30, .per_workload = 10});
  table.Learn({.inode = 5000}, MakeCode("/usr/bin/quiet"), "quiet");
  table.Learn({.inode = 5001}, MakeCode("/bin/sh"), "loud");
  for (uint64_t i = 1; i <= 1000; ++i) {
    table.Learn({.inode = i}, MakeCode("/x"), "loud");
    table.Find({.inode = 5001});  // Others run it too.
  }
  EXPECT_EQ(table.size(), 11u);
  EXPECT_EQ(table.Find({.inode = 5000})->path, "/usr/bin/quiet");
  EXPECT_EQ(table.Find({.inode = 5001})->path, "/bin/sh");
  EXPECT_EQ(table.reasons().count("workload_full"), 991u);
}

TEST(MarkedPathTest, ACutPathEqualsNoWholePath) {
  EXPECT_EQ(MarkedPath("/usr/bin/x", false), "/usr/bin/x");
  EXPECT_EQ(MarkedPath("/usr/bin/x", true), ".../usr/bin/x");
  EXPECT_EQ(MarkedPath("bin/x", true), ".../bin/x");
}

TEST(PlacedPathTest, APathThatEndsElsewhereEqualsNoPathOfTheContainer) {
  EXPECT_EQ(PlacedPath("/usr/bin/x", false), "/usr/bin/x");
  EXPECT_EQ(PlacedPath("/usr/bin/x", true), "elsewhere:/usr/bin/x");
  EXPECT_EQ(PlacedPath(".../x", true), "elsewhere:.../x");
  EXPECT_EQ(PlacedPath("", true), "");
}

TEST(OpenCodeTest, RefusesPathsThatNameAnotherFile) {
  EXPECT_FALSE(OpenCode(CodePlace::kHostRoot, 1, std::string("/etc/passwd\0x", 13)).valid());
  EXPECT_FALSE(OpenCode(CodePlace::kHostRoot, 1, "CMakeLists.txt").valid());
  EXPECT_TRUE(OpenCode(CodePlace::kHostRoot, 1, "/proc/self/exe").valid());
}

}  // namespace
}  // namespace vedette
