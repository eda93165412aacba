// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/cli/cli.h"
#include "agent/cli/client.h"

namespace vedette {

enum class Output { kTable, kJson, kJsonl, kDot };

// What every client command is told.
struct ClientOptions {
  std::string socket;
  Output output = Output::kTable;
};

struct EventsOptions {
  std::vector<std::string> workloads;
  std::vector<std::string> kinds;
  size_t limit = 0;  // 0: until interrupted.
};

// Each does one command and gives its exit code.
int DoctorCommand(const ClientOptions& options, const CliIo& io);
int EventsCommand(const ClientOptions& options, const EventsOptions& events, const CliIo& io);
int TopCommand(const ClientOptions& options, bool once, const CliIo& io);
// The service map; the only one that knows Output::kDot.
int PeersCommand(const ClientOptions& options, bool once, const CliIo& io);
int ProfileListCommand(const ClientOptions& options, const CliIo& io);
int ProfileShowCommand(const ClientOptions& options, const std::string& workload, const CliIo& io);
int ProfileExportCommand(const ClientOptions& options, const std::string& workload,
                         const CliIo& io);
// Every workload when `workloads` is empty.
int ProfileFreezeCommand(const ClientOptions& options, const std::vector<std::string>& workloads,
                         const CliIo& io);
struct FindingListOptions {
  std::string workload;
  size_t limit = 100;
  bool all = false;  // Also what was dismissed.
};
int FindingListCommand(const ClientOptions& options, const FindingListOptions& list,
                       const CliIo& io);
int FindingShowCommand(const ClientOptions& options, const std::string& uid, const CliIo& io);

// Takes back a dismissal where `reason` is empty.
int FindingDismissCommand(const ClientOptions& options, const std::string& uid,
                          const std::string& reason, const CliIo& io);

// Prints the sentence of an error and gives the exit code that fits.
int Fail(const absl::Status& status, const CliIo& io);

// For -o json the whole value; for jsonl one line per item of `list_key`, or the value as one line
// where that is empty. Escaped to ASCII, so harmless on a terminal.
void PrintJson(const nlohmann::json& value, const std::string& list_key, Output output,
               const CliIo& io);

}  // namespace vedette
