// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/hash_thread.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <string>

#include "absl/time/clock.h"
#include "agent/base/sha256.h"

namespace vedette {
namespace {

constexpr absl::Duration kBound = absl::Seconds(20);
constexpr uint32_t kNobody = 0x7fffffff;

// Stands for the BPF iterator: the key is what stat shows, in the kernel's way to write a device.
class StatKeyReader final : public KeyReader {
 public:
  absl::StatusOr<CodeKey> Read(int fd) override {
    if (on_read) {
      on_read(++reads);
    }
    struct stat info = {};
    if (fail || fstat(fd, &info) != 0) {
      return absl::UnavailableError("no iterator");
    }
    return CodeKey{.device = uint64_t{major(info.st_dev)} << 20 | minor(info.st_dev),
                   .inode = info.st_ino,
                   .change_time_ns = 0,
                   .size_bytes = static_cast<uint64_t>(info.st_size)};
  }
  bool fail = false;
  int reads = 0;
  std::function<void(int)> on_read;
};

class HashThreadTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "hash_thread_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override {
    thread_.reset();
    std::filesystem::remove_all(dir_);
  }
  void Start(HashThread::Limits limits = {}) {
    auto spawner = HashSpawner::Fork();
    ASSERT_TRUE(spawner.ok()) << spawner.status();
    thread_ = std::make_unique<HashThread>(*std::move(spawner), &keys_, limits);
  }
  std::string Write(const std::string& name, const std::string& content) {
    const std::string path = dir_ + "/" + name;
    std::ofstream(path) << content;
    return path;
  }
  CodeKey KeyOf(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_PATH | O_CLOEXEC));
    return StatKeyReader().Read(fd.get()).value();
  }
  HashResult Hash(HashRequest request) {
    EXPECT_TRUE(thread_->Submit(std::move(request)));
    const std::vector<HashResult> results = thread_->Take(kBound);
    EXPECT_EQ(results.size(), 1u);
    return results.empty() ? HashResult() : results[0];
  }
  HashResult HashPath(const std::string& path) {
    return Hash({.key = KeyOf(path), .tgid = kNobody, .path = path});
  }

  StatKeyReader keys_;
  std::string dir_;
  std::unique_ptr<HashThread> thread_;
};

TEST_F(HashThreadTest, TheRunningImageIsReadWhateverItsPath) {
  // It is this test itself, which is large under sanitizers.
  Start({.max_hashed_bytes = 1ull << 30, .deadline = absl::Minutes(1)});
  const HashResult result = Hash({.key = KeyOf("/proc/self/exe"),
                                  .tgid = static_cast<uint32_t>(getpid()),
                                  .path = "/nowhere/at/all"});
  EXPECT_EQ(result.outcome, HashOutcome::kHashed);
  EXPECT_EQ(result.sha256.size(), 64u);
  EXPECT_EQ(keys_.reads, 0);
}

TEST_F(HashThreadTest, AProgramThatIsGoneIsFoundByItsPath) {
  Start();
  const std::string path = Write("a", "abc");
  const HashResult result = HashPath(path);
  EXPECT_EQ(result.outcome, HashOutcome::kHashed);
  EXPECT_EQ(result.sha256, Sha256::HexOf("abc"));
  EXPECT_EQ(result.key, KeyOf(path));
  // Executed by another way it is other code of the same content.
  CodeKey flagged = KeyOf(path);
  flagged.flags = 1;
  const HashResult other = Hash({.key = flagged, .tgid = kNobody, .path = path});
  EXPECT_EQ(other.outcome, HashOutcome::kHashed);
  EXPECT_EQ(other.key, flagged);
  // As a neighbour sees it.
  const HashResult below = Hash({.key = KeyOf(path),
                                 .tgid = kNobody,
                                 .neighbour_tgid = static_cast<uint32_t>(getpid()),
                                 .path = path});
  EXPECT_EQ(below.outcome, HashOutcome::kHashed);
}

TEST_F(HashThreadTest, AnotherFileAtThePathIsNotHashed) {
  Start();
  const std::string path = Write("a", "abc");
  CodeKey other = KeyOf(path);
  other.inode += 1;
  EXPECT_EQ(Hash({.key = other, .tgid = kNobody, .path = path}).outcome, HashOutcome::kChanged);
}

TEST_F(HashThreadTest, AFileThatChangesWhileItIsReadIsNotHashed) {
  const std::string path = Write("a", "abc");
  const CodeKey key = KeyOf(path);
  keys_.on_read = [&](int reads) {
    if (reads == 2) {
      std::ofstream(path, std::ios::app) << "x";
    }
  };
  Start();
  const HashResult result = Hash({.key = key, .tgid = kNobody, .path = path});
  EXPECT_EQ(result.outcome, HashOutcome::kChanged);
  EXPECT_EQ(result.sha256, "");
  EXPECT_EQ(keys_.reads, 2);
}

TEST_F(HashThreadTest, WhatIsNotAFileOrTooLargeOrUnreadableIsNotHashed) {
  Start({.max_hashed_bytes = 99});
  EXPECT_EQ(HashPath(Write("big", std::string(100, 'x'))).outcome, HashOutcome::kTooLarge);
  EXPECT_EQ(HashPath(dir_).outcome, HashOutcome::kUnreadable);
  ASSERT_EQ(mkfifo((dir_ + "/fifo").c_str(), 0600), 0);
  EXPECT_EQ(HashPath(dir_ + "/fifo").outcome, HashOutcome::kUnreadable);
  const std::string small = Write("small", "x");
  EXPECT_EQ(Hash({.key = KeyOf(small), .tgid = kNobody, .path = small + "-gone"}).outcome,
            HashOutcome::kGone);
}

TEST_F(HashThreadTest, LinksAndDotsAndNulNameNoProgram) {
  Start();
  const std::string path = Write("a", "abc");
  std::filesystem::create_symlink(path, dir_ + "/link");
  for (const std::string& name :
       {dir_ + "/link", dir_ + "/../" + dir_ + "/a", path + std::string("\0x", 2),
        std::string("CMakeLists.txt"), path + "/"}) {
    const HashOutcome outcome = Hash({.key = KeyOf(path), .tgid = kNobody, .path = name}).outcome;
    EXPECT_EQ(outcome == HashOutcome::kHashed, name == path + "/") << name;
  }
}

TEST_F(HashThreadTest, AWorkerThatIsKilledIsReplaced) {
  const std::string path = Write("a", "abc");
  Start();
  EXPECT_EQ(HashPath(path).outcome, HashOutcome::kHashed);
  const pid_t first = thread_->health().worker;
  ASSERT_GT(first, 0);
  ASSERT_EQ(kill(first, SIGKILL), 0);
  // The program that met the dead worker has no hash; the next one has another worker.
  const HashOutcome outcome = HashPath(path).outcome;
  EXPECT_TRUE(outcome == HashOutcome::kUnavailable || outcome == HashOutcome::kHashed);
  EXPECT_EQ(HashPath(path).outcome, HashOutcome::kHashed);
  EXPECT_NE(thread_->health().worker, first);
  EXPECT_EQ(thread_->health().stalls, 0u);
}

TEST_F(HashThreadTest, AWorkerThatDoesNotAnswerIsLeftBehindUntilItDoes) {
  const std::string path = Write("a", "abc");
  Start({.deadline = absl::Milliseconds(50), .hanging_workers = 1});
  EXPECT_EQ(HashPath(path).outcome, HashOutcome::kHashed);
  const pid_t first = thread_->health().worker;
  ASSERT_EQ(kill(first, SIGSTOP), 0);
  EXPECT_EQ(HashPath(path).outcome, HashOutcome::kStalled);
  EXPECT_EQ(thread_->health().stalls, 1u);
  EXPECT_NE(thread_->health().trouble, "");
}

TEST_F(HashThreadTest, ASpawnerThatSomebodyStoppedDoesNotKeepTheAgentFromEnding) {
  auto spawner = HashSpawner::Fork();
  ASSERT_TRUE(spawner.ok()) << spawner.status();
  const absl::StatusOr<HashWorker> worker = (*spawner)->Spawn();
  ASSERT_TRUE(worker.ok()) << worker.status();
  std::ifstream status("/proc/" + std::to_string(worker->pid) + "/status");
  pid_t parent = 0;
  for (std::string line; parent == 0 && std::getline(status, line);) {
    sscanf(line.c_str(), "PPid: %d", &parent);
  }
  ASSERT_GT(parent, 1);
  ASSERT_EQ(kill(parent, SIGSTOP), 0);
  std::future<void> end = std::async(std::launch::async, [&] { spawner->reset(); });
  const bool ended = end.wait_for(std::chrono::seconds(5)) == std::future_status::ready;
  EXPECT_TRUE(ended);
  if (!ended) {
    kill(parent, SIGCONT);
  }
}

TEST_F(HashThreadTest, WithoutAKeyThereIsNoHash) {
  const std::string path = Write("a", "abc");
  Start();
  keys_.fail = true;
  EXPECT_EQ(HashPath(path).outcome, HashOutcome::kUnreadable);
}

TEST_F(HashThreadTest, RequestsAreBoundedAndTheThreadEndsWithWorkLeft) {
  Start({.waiting = 2});
  const std::string path = Write("a", std::string(1 << 20, 'x'));
  const HashRequest request = {.key = KeyOf(path), .tgid = kNobody, .path = path};
  bool refused = false;
  for (int i = 0; i < 1000; ++i) {
    refused |= !thread_->Submit(request);
  }
  EXPECT_TRUE(refused);
  thread_.reset();
}

}  // namespace
}  // namespace vedette
