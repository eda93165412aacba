// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/base/deadline.h"
#include "exporters/schema/event.pb.h"

namespace vedette {

// Carries events out of the agent. Called from one thread, its own; `done` may come from any
// thread.
class Exporter {
 public:
  // OK: delivered and durable on the far side. Unavailable: try the whole batch again later.
  // Anything else: the batch cannot be delivered, ever; the caller drops and counts it.
  using Done = std::function<void(absl::Status)>;

  virtual ~Exporter() = default;
  virtual std::string_view name() const = 0;

  // Takes a batch in order. `done` runs exactly once, also after Shutdown.
  virtual void Export(std::vector<pb::Event> batch, Done done) = 0;

  // Waits at most until `deadline` for what is under way; what is left gets Unavailable.
  virtual absl::Status Shutdown(Deadline deadline) = 0;
};

}  // namespace vedette
