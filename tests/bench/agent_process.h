// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/cli/client.h"
#include "tests/bench/scraper.h"
#include "tests/support/child.h"

namespace vedette::bench {

// What one agent has of its own; all else is the default configuration, with metrics on.
struct AgentPlace {
  std::string program;
  std::string dir;      // Of its configuration, store, socket and findings.
  std::string pin_dir;  // On a bpffs.
  bool files = false;   // With the probe of files, which is off by default.
};

struct Resident {
  double total_mb = 0;
  double anonymous_mb = 0;
  double file_mb = 0;   // Program, libraries, files that are mapped.
  double rings_mb = 0;  // Both mappings of every ring.
};

// The real agent as a child. Stopped with SIGTERM at the end, and its pins are removed whatever
// became of it. One thread.
class AgentProcess {
 public:
  // Returns when the socket answers.
  static absl::StatusOr<AgentProcess> Start(const AgentPlace& place);
  AgentProcess(AgentProcess&& other) noexcept;
  AgentProcess& operator=(AgentProcess&&) = delete;
  ~AgentProcess();

  // From before the process was made until the socket answered.
  absl::Duration start_time() const { return start_time_; }
  const ApiClient& client() const { return client_; }
  // Of all its threads since its start.
  absl::StatusOr<absl::Duration> CpuTime() const;
  absl::StatusOr<Resident> ReadResident() const;
  // Records that the kernel side has numbered until now, over all lanes and processors.
  absl::StatusOr<uint64_t> RecordsSent() const;
  // Asks for its metrics each second from here on.
  void BeginScrapes() { scraper_ = std::make_unique<Scraper>(metrics_port_); }
  // How many were answered, which have to be all.
  absl::StatusOr<int> EndScrapes() { return scraper_->Stop(); }
  // Takes what the agent wrote, so that it never waits for us.
  void DrainLog() { child_->Err(); }

 private:
  AgentProcess(const AgentPlace& place, int metrics_port, testing::Child child);
  absl::Status WaitUntilReady(absl::Time started);

  AgentPlace place_;
  int metrics_port_;
  std::unique_ptr<Scraper> scraper_;
  std::optional<testing::Child> child_;
  ApiClient client_;
  absl::Duration start_time_;
};

}  // namespace vedette::bench
