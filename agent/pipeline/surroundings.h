// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/base/clock.h"
#include "agent/cache/verdict_cache.h"
#include "agent/pipeline/pipeline.h"
#include "agent/probes/decode.h"
#include "agent/probes/probe_set.h"

namespace vedette {

// Tells the pipeline and the kernel what was there before the agent: cgroups, processes, sockets,
// and the programs that place processes. Control thread, before the pipeline's own thread runs.
class Surroundings {
 public:
  struct Parts {
    const Clock* clock = nullptr;
    const ProbeSet* probes = nullptr;
    VerdictCache* cache = nullptr;
    Decoder* decoder = nullptr;
    Pipeline* pipeline = nullptr;
  };
  explicit Surroundings(const Parts& parts) : parts_(parts) {}

  absl::Status SeeCgroups(const std::string& mount) const;
  absl::Status SeeProcesses() const;
  // `more`: paths besides the runtimes that everybody has. Those that are not there are passed
  // over.
  void PlaceRuntimes(const std::vector<std::string>& more) const;

 private:
  const Parts parts_;
};

}  // namespace vedette
