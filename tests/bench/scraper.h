// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "agent/base/mutex.h"

namespace vedette::bench {

// A port that nobody has at the moment; whoever is told binds it.
absl::StatusOr<int> FreePort();

// Asks for the agent's metrics each second, as a Prometheus would, over a connection of its own.
// Has a thread of its own; the other calls are for one thread.
class Scraper {
 public:
  explicit Scraper(int port);
  ~Scraper();
  Scraper(const Scraper&) = delete;
  Scraper& operator=(const Scraper&) = delete;

  // Ends it and gives how many were answered; what was wrong with the first that was not.
  absl::StatusOr<int> Stop();

 private:
  void Run();

  const int port_;
  Mutex mutex_;
  // Guarded by mutex_.
  bool stopping_ = false;
  int answered_ = 0;
  absl::Status failure_;

  std::thread thread_;
};

}  // namespace vedette::bench
