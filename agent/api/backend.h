// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vedette {

struct EventFilter {
  std::vector<std::string> workloads;  // Full names, or their last parts; empty: all.
  std::vector<std::string> kinds;      // "exec", "connect", …; empty: all.
};

struct FindingQuery {
  std::string workload;  // Full name or its last part; empty: all.
  size_t limit = 0;      // The newest so many; never 0 in a call.
  enum class Status { kNew, kDismissed, kAll };
  Status status = Status::kNew;
};

// An open tap: one line of JSON per event, without newlines. Destroying it closes the tap. One
// reader.
class EventStream {
 public:
  virtual ~EventStream() = default;

  // Waits at most `timeout` for the next line; nullopt when none came.
  virtual std::optional<std::string> Next(absl::Duration timeout) = 0;
  // Lines that were lost so far because the reader was too slow.
  virtual uint64_t dropped() const = 0;
  // No line will come any more: the agent is stopping.
  virtual bool closed() const = 0;
};

// What the control API needs of the agent. Called from several control threads at once, so every
// method is thread-safe; none may wait for more than a few seconds. The shapes of the JSON values
// are in docs/api.md. Errors are whole sentences for the person who asked: NotFound,
// InvalidArgument, FailedPrecondition, Unavailable.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual absl::StatusOr<nlohmann::json> Doctor() = 0;
  virtual absl::StatusOr<std::string> Metrics() = 0;  // Prometheus' text format.
  virtual absl::StatusOr<nlohmann::json> Top() = 0;
  virtual absl::StatusOr<nlohmann::json> TopPeers() = 0;

  virtual absl::StatusOr<nlohmann::json> ProfileList() = 0;
  virtual absl::StatusOr<nlohmann::json> ProfileShow(const std::string& workload) = 0;
  virtual absl::StatusOr<nlohmann::json> ProfileExport(const std::string& workload) = 0;

  struct Freeze {
    std::vector<std::string> workloads;
    bool all = false;  // Then `workloads` is empty.
    std::string user;  // Who asked.
  };
  virtual absl::StatusOr<nlohmann::json> ProfileFreeze(const Freeze& freeze) = 0;

  virtual absl::StatusOr<nlohmann::json> FindingList(const FindingQuery& filter) = 0;
  virtual absl::StatusOr<nlohmann::json> FindingShow(const std::string& uid) = 0;

  struct Dismiss {
    std::string finding;  // Its uid.
    std::string reason;   // Not empty; of no meaning for FindingRestore.
    std::string user;     // Who asked.
    uint32_t uid = 0;
  };
  virtual absl::StatusOr<nlohmann::json> FindingDismiss(const Dismiss& dismiss) = 0;
  virtual absl::StatusOr<nlohmann::json> FindingRestore(const Dismiss& dismiss) = 0;

  virtual absl::StatusOr<std::unique_ptr<EventStream>> SubscribeEvents(
      const EventFilter& filter) = 0;
};

}  // namespace vedette
