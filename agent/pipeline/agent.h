// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/config/config.h"

namespace vedette {

// The running agent: every stage, built back to front and stopped front to back. Owned by main, on
// the control thread. Composes and does nothing else.
class Agent {
 public:
  // Returns when the agent is ready and answers on its socket. Errors are sentences for people.
  static absl::StatusOr<std::unique_ptr<Agent>> Start(const Config& config);

  // Delivers what it can, detaches all programs and removes the pins.
  ~Agent();

  // The log was rotated: files are opened anew.
  void Reopen();

 private:
  Agent() = default;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Checks what only the libraries behind the exporters can judge. For --check-config.
absl::Status CheckExporters(const Config& config);

}  // namespace vedette
