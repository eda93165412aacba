// SPDX-License-Identifier: Apache-2.0
// Records what a host does, for first_day_test.
//   first_day_recorder record FOLDER     as root: runs the agent with telemetry: full until
//   SIGTERM,
//                                        then writes FOLDER/{ring.bin,programs.txt}
//   first_day_recorder pack FOLDER OUT   cleans and compresses what was recorded
// FOLDER/ready says that it has begun.
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>

#include "agent/base/sha256.h"
#include "agent/base/status.h"
#include "agent/cli/client.h"
#include "agent/pipeline/agent.h"
#include "agent/pipeline/node.h"
#include "agent/pipeline/self_check.h"
#include "agent/probes/bpffs.h"
#include "bpf/wire/cgroup.h"
#include "bpf/wire/kinds.h"
#include "tests/recordings/recording.h"
#include "tests/support/temp_dir.h"

namespace vedette::testing {
namespace {

// What the kernel told since the start, by any thread.
class Witness {
 public:
  void See(std::string_view record) {
    std::lock_guard lock(mutex_);
    recording_.records.emplace_back(record);
  }
  Recording Take() {
    std::lock_guard lock(mutex_);
    return std::move(recording_);
  }

 private:
  std::mutex mutex_;
  Recording recording_{absl::UnixEpoch(), {}};
};

uint64_t BootNanoseconds() {
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(absl::ToInt64Nanoseconds(absl::DurationFromTimespec(now)));
}

// The agent reads the cgroups that are there already from the file system; in a recording they are
// records like those of later ones.
std::string RecordOf(const CgroupEvent& cgroup) {
  wire_cgroup record = {};
  record.header.kind = WIRE_KIND_CGROUP;
  record.header.version = WIRE_VERSION_CGROUP;
  record.header.size = sizeof(record);
  record.header.boot_ns = BootNanoseconds();
  record.header.reason = WIRE_REASON_CONTEXT;
  record.cgroup_id = cgroup.cgroup_id;
  record.parent_id = cgroup.parent_id;
  record.change = WIRE_CGROUP_CREATED;
  record.path_bytes =
      static_cast<__u16>(std::min<size_t>(cgroup.path.size(), WIRE_CGROUP_PATH_BYTES));
  memcpy(record.path, cgroup.path.data(), record.path_bytes);
  return std::string(reinterpret_cast<const char*>(&record), sizeof(record));
}

// Key and path of every program that ran.
std::map<CodeKey, std::string> ProgramsOf(const Recording& recording) {
  std::map<CodeKey, std::string> programs;
  const Decoder decoder(recording.boot);
  for (const std::string& record : recording.records) {
    std::vector<Event> events;
    decoder.Decode(record, events).IgnoreError();
    for (const Event& event : events) {
      if (const auto* exec = std::get_if<ExecEvent>(&event.body)) {
        programs.emplace(exec->process.code, exec->path);
      } else if (const auto* seen = std::get_if<ProcessSeenEvent>(&event.body)) {
        programs.emplace(seen->process.code, seen->path);
      }
    }
  }
  return programs;
}

// Those whose file is still the one that ran.
std::string HashesOf(const std::map<CodeKey, std::string>& programs) {
  std::string lines;
  for (const auto& [key, path] : programs) {
    struct stat file = {};
    if (stat(path.c_str(), &file) != 0 || file.st_ino != key.inode ||
        static_cast<uint64_t>(file.st_size) != key.size_bytes) {
      spdlog::warn("{}: is not there any more, and so has no hash", path);
      continue;
    }
    lines +=
        fmt::format("{} {} {} {} {} {} {} {}\n", key.device, key.inode, key.change_time_ns,
                    key.size_bytes, key.generation, key.flags, Sha256::HexOf(ReadFile(path)), path);
  }
  return lines;
}

absl::Status Record(const std::string& folder) {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, kStoreDamagedSignal}) {
    sigaddset(&signals, signal);
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  Config config;
  config.store.dir = folder + "/store";
  config.api.socket = folder + "/agent.sock";
  config.collect.ring_size_bytes = uint64_t{16} << 20;
  config.sinks = {{JsonlSinkConfig{folder + "/findings.jsonl"}}};
  Witness witness;
  VEDETTE_ASSIGN_OR_RETURN(const std::string mount, FindCgroup2Mount());
  VEDETTE_RETURN_IF_ERROR(
      WalkCgroups(mount, [&](const CgroupEvent& cgroup) { witness.See(RecordOf(cgroup)); }));
  VEDETTE_ASSIGN_OR_RETURN(auto agent,
                           Agent::Start(config, StoreState::kUnknown,
                                        [&](std::string_view record) { witness.See(record); }));
  // While somebody watches all, the kernel tells of every act, known or not.
  std::thread watcher([&] {
    bool begun = false;
    const absl::Status watched =
        ApiClient(config.api.socket)
            .Stream("/v1/events", {}, [&](std::string_view, std::string_view) {
              begun = begun || WriteFile(folder + "/ready", "ready\n");
              return true;
            });
    if (!watched.ok()) {
      spdlog::warn("{}", Message(watched));
    }
  });
  int signal = 0;
  sigwait(&signals, &signal);
  agent.reset();
  watcher.join();
  const Recording recording = witness.Take();
  VEDETTE_RETURN_IF_ERROR(WriteRecording(folder + "/ring.bin", recording));
  return WriteFile(folder + "/programs.txt", HashesOf(ProgramsOf(recording)))
             ? absl::OkStatus()
             : absl::InternalError("programs.txt cannot be written");
}

absl::Status Pack(const std::string& folder, const std::string& out) {
  VEDETTE_ASSIGN_OR_RETURN(Recording recording, ReadRecording(folder + "/ring.bin"));
  for (std::string& record : recording.records) {
    ClearRooms(record);
  }
  std::stable_sort(recording.records.begin(), recording.records.end(),
                   [](const std::string& a, const std::string& b) {
                     return HeaderOf(a).boot_ns < HeaderOf(b).boot_ns;
                   });
  std::filesystem::create_directories(out);
  for (const char* name : {"programs.txt", "hours.txt"}) {
    std::filesystem::copy_file(folder + "/" + name, out + "/" + name,
                               std::filesystem::copy_options::overwrite_existing);
  }
  return WriteCompressedRecording(out + "/ring.zst", recording);
}

int Run(const std::vector<std::string>& words) {
  absl::Status done = absl::InvalidArgumentError(
      "usage: first_day_recorder record FOLDER | first_day_recorder pack FOLDER OUT");
  if (words.size() == 2 && words[0] == "record") {
    done = Record(words[1]);
  } else if (words.size() == 3 && words[0] == "pack") {
    done = Pack(words[1], words[2]);
  }
  if (!done.ok()) {
    std::cerr << "first_day_recorder: " << Message(done) << '\n';
  }
  return done.ok() ? 0 : 1;
}

}  // namespace
}  // namespace vedette::testing

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], vedette::kSelfCheckArgument) == 0) {
    return vedette::RunSelfCheckChild();
  }
  return vedette::testing::Run({argv + 1, argv + argc});
}
