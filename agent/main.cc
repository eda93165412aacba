// SPDX-License-Identifier: Apache-2.0
#include <link.h>
#include <malloc.h>
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <iostream>

#include "agent/base/deadline.h"
#include "agent/base/service_manager.h"
#include "agent/base/status.h"
#include "agent/base/text.h"
#include "agent/cli/cli.h"
#include "agent/config/config.h"
#include "agent/config/default_profiles.h"
#include "agent/pipeline/agent.h"
#include "agent/pipeline/log_format.h"
#include "agent/pipeline/self_check.h"

namespace vedette {
namespace {

void SetUpLog(const Config& config) {
  auto log = spdlog::stderr_color_mt("vedette");
  log->set_level(spdlog::level::from_str(config.log.level));
  log->set_formatter(MakeLogFormatter(config.log.format));
  log->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(log));
}

// The agent allocates little, from few threads: one arena beside the main one, and large blocks
// (the kernel's types while programs load) are given back at once, however often they were
// allocated.
void KeepMemorySmall() {
  constexpr int kArenas = 2;
  constexpr int kLargeBytes = 128 * 1024;
  mallopt(M_ARENA_MAX, kArenas);
  mallopt(M_MMAP_THRESHOLD, kLargeBytes);
}

// Each workload's part of the verdict cache is held by descriptors; shells allow 1024.
void AllowManyFiles() {
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

void Tell(std::string_view state) {
  if (absl::Status told = TellServiceManager(state); !told.ok()) {
    spdlog::warn("{}", Message(told));
  }
}

// Code and constants that only the start needed, of this program and of all libraries: linking,
// loading BPF programs, which are among the constants. What is used again comes back from the page
// cache. Only segments that are never written: in others a page may differ from its file.
void GiveBackPagesOfTheStart() {
  dl_iterate_phdr(
      [](dl_phdr_info* object, size_t, void*) {
        const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
        for (int i = 0; i < object->dlpi_phnum; ++i) {
          const auto& segment = object->dlpi_phdr[i];
          if (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) == 0) {
            const uintptr_t start = object->dlpi_addr + segment.p_vaddr;
            const uintptr_t begin = start & ~(page - 1);
            madvise(reinterpret_cast<void*>(begin), start + segment.p_memsz - begin, MADV_DONTNEED);
          }
        }
        return 0;
      },
      nullptr);
}

constexpr int kMaxDamages = 5;  // In one run; more is a disk that fails.
constexpr absl::Duration kTrimInterval = absl::Minutes(1);

enum class End { kStop, kStoreDamaged };

// Waits until `end`, for a signal that ends the agent, or until its store has to be begun anew.
End WaitForEnd(Agent& agent, const sigset_t& signals, Deadline end) {
  for (;;) {
    if (end.IsPassed()) {
      return End::kStop;
    }
    const timespec wait = absl::ToTimespec(std::min(end.Left(), kTrimInterval));
    switch (sigtimedwait(&signals, nullptr, &wait)) {
      case SIGINT:
      case SIGTERM:
        return End::kStop;
      case SIGHUP:
        agent.Reopen();
        break;
      case kStoreDamagedSignal:
        if (agent.store_damaged()) {
          return End::kStoreDamaged;
        }
        break;
      default:
        malloc_trim(0);  // What a burst needed.
        break;
    }
  }
}

int Run(const RunOptions& options) {
  absl::StatusOr<Config> config = LoadConfig(options.config_file, options.sets);
  absl::Status status = config.status();
  if (status.ok() && options.check_config) {
    status = CheckExporters(*config);
    status.Update(LoadDefaultProfiles(config->learning.default_profiles).status());
  }
  if (!status.ok()) {
    std::cerr << Message(status) << '\n';
    return kExitNo;
  }
  if (options.check_config) {
    std::cout << (options.config_file.empty()
                      ? std::string("there is no ") + kDefaultConfigFile + "; the defaults"
                      : PrintableUtf8(options.config_file) + ": the configuration")
              << (options.config_file.empty() ? " are valid\n" : " is valid\n");
    return kExitYes;
  }
  SetUpLog(*config);
  // Blocked before any thread starts, so that only WaitForEnd sees them.
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, kStoreDamagedSignal}) {
    sigaddset(&signals, signal);
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  KeepMemorySmall();
  AllowManyFiles();
  const Deadline end = Deadline::In(options.duration);
  StoreState store = StoreState::kUnknown;
  for (int damages = 0;; store = StoreState::kDamaged) {
    absl::StatusOr<std::unique_ptr<Agent>> agent = Agent::Start(*config, store);
    if (!agent.ok()) {
      std::cerr << "vedette: " << PrintableUtf8(Message(agent.status())) << '\n';
      return absl::IsInvalidArgument(agent.status()) ? kExitNo : kExitFailed;
    }
    malloc_trim(0);  // What only the start needed.
    GiveBackPagesOfTheStart();
    Tell("READY=1");
    const End why = WaitForEnd(**agent, signals, end);
    if (why == End::kStop) {
      Tell("STOPPING=1");
      spdlog::info("stopping");
    }
    agent->reset();
    if (why == End::kStop) {
      return kExitYes;
    }
    if (++damages == kMaxDamages) {
      std::cerr << "vedette: " << config->store.dir
                << ": the store was damaged again and again: set store.dir to another disk\n";
      return kExitFailed;
    }
  }
}

}  // namespace
}  // namespace vedette

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], vedette::kSelfCheckArgument) == 0) {
    return vedette::RunSelfCheckChild();
  }
  return vedette::RunCli(argc, argv, vedette::Run);
}
