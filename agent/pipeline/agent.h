// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/config/config.h"
#include "agent/pipeline/store.h"
#include "agent/probes/decode.h"

namespace vedette {

// Sent to the own process when the store turns out to be damaged; blocked in every thread.
inline constexpr int kStoreDamagedSignal = SIGUSR1;

// The running agent: every stage, built back to front and stopped front to back. Owned by main, on
// the control thread. Composes and does nothing else.
class Agent {
 public:
  // Returns when the agent is ready and answers on its socket. Errors are sentences for people.
  // `witness` is called by several threads at once.
  static absl::StatusOr<std::unique_ptr<Agent>> Start(const Config& config,
                                                      StoreState state = StoreState::kUnknown,
                                                      const RecordWitness& witness = {});

  // Delivers what it can, detaches all programs and removes the pins; but for when the store does
  // not take what was found, which the next start then finds in the kernel.
  ~Agent();

  // The store has to be set aside: end this agent, and start one that does.
  bool store_damaged() const;

  // The log was rotated: files are opened anew.
  void Reopen();

 private:
  Agent() = default;
  static absl::StatusOr<std::unique_ptr<Agent>> StartOnce(const Config& config, StoreState state,
                                                          const RecordWitness& witness);
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Checks what only the libraries behind the exporters can judge. For --check-config.
absl::Status CheckExporters(const Config& config);

}  // namespace vedette
