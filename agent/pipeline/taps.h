// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "agent/pipeline/pipeline.h"

namespace vedette {

// Opens the kernel's tap for the workloads that somebody watches, and only for those. Any thread:
// the maps are written on the pipeline's.
class Taps {
 public:
  explicit Taps(Pipeline* pipeline) : pipeline_(pipeline) {}

  // Somebody began or ended watching.
  void Change();
  // On the pipeline thread, now and then: a workload that is watched by name may have come only
  // now, and what Change could not do is done.
  absl::Status Refresh();

 private:
  Pipeline* const pipeline_;
};

}  // namespace vedette
