// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {

using Strings = std::vector<std::string>;

// The probe of files, and a directory whose name stands for itself.
class FilesTest : public KernelTest {
 protected:
  void Change(ProbeOptions& options) override { options.files = true; }

  void SetUp() override {
    KernelTest::SetUp();
    std::filesystem::create_directory(at_);
    if (!IsSkipped()) {
      absl::Status watched = cache().WatchFiles({Path("secret")});
      ASSERT_TRUE(watched.ok()) << watched;
      Attach();
    }
  }

  // Is the probe attached to BPF LSM, or to the exit of system calls?
  bool IsByLsm() {
    for (const ProbeStatus& probe : probes().statuses()) {
      if (probe.name == "files") {
        return probe.programs == Strings{"files_lsm_open"};
      }
    }
    return false;
  }
  Hook ItsHook() { return IsByLsm() ? Hook::kLsmFileOpen : Hook::kSysExit; }

  std::string Path(const std::string& name) const { return at_ + "/" + name; }

  // Runs a shell script in the cgroup and in our directory; all opens are the shell's.
  void Shell(const ScopedCgroup& cgroup, const std::string& script) {
    absl::StatusOr<ChildResult> result =
        cgroup.Run({"/bin/sh", "-c", "cd \"$0\" && " + script, at_});
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(result->exit_code, 0) << result->err;
  }

  std::optional<Seen<FileEvent>> AwaitFile(FileVerb verb, const std::string& name) {
    return Await<FileEvent>(
        [&](const FileEvent& f) { return f.verb == verb && f.path == Path(name); });
  }

  // Acts of the cgroup on files of our directory that were news since the last Forget.
  std::vector<std::string> News(const ScopedCgroup& cgroup) {
    ReadRings();
    std::vector<std::string> news;
    for (const Event& event : events()) {
      const auto* file = std::get_if<FileEvent>(&event.body);
      if (file != nullptr && event.header.reason == Reason::kNews &&
          file->process.home_cgroup_id == cgroup.id() && file->path.starts_with(at_ + "/")) {
        news.push_back(
            fmt::format("{} {}", FileVerbName(file->verb), file->path.substr(at_.size() + 1)));
      }
    }
    return news;
  }

  // What of a shell script is news.
  std::vector<std::string> NewsOf(const ScopedCgroup& cgroup, const std::string& script) {
    Forget();
    Shell(cgroup, script);
    return News(cgroup);
  }

  uint64_t ActsOf(const CacheSlot& slot) {
    uint64_t acts = 0;
    absl::Status read = cache().ReadCounts([&](const CacheSlot& s, const BehaviourCount& count) {
      acts += s == slot ? count.acts : 0;
    });
    EXPECT_TRUE(read.ok()) << read;
    return acts;
  }

  // As the agent does once the profile has generalised.
  CacheSlot MakeClassKnown(const Seen<FileEvent>& seen) {
    EXPECT_FALSE(seen.body.class_key.empty());
    absl::StatusOr<CacheSlot> slot = cache().ClassSlot(seen.header.slot, seen.body.class_key);
    EXPECT_TRUE(slot.ok()) << slot.status();
    absl::Status known = cache().MarkClassKnown(*slot, seen.body.class_key);
    EXPECT_TRUE(known.ok()) << known;
    return *slot;
  }

  TempDir dir_{"vedette-files"};
  const std::string at_ = dir_ / "at";  // A name that stands for itself.
};

}  // namespace vedette::testing
