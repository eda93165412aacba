// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/skipped_runs.h"

#include <fmt/format.h>
#include <linux/bpf.h>

#include <cstddef>

namespace vedette {

bool TellsSkippedRuns(uint32_t info_bytes) {
  return info_bytes >=
         offsetof(bpf_prog_info, recursion_misses) + sizeof(bpf_prog_info::recursion_misses);
}

uint64_t SumOfSkippedRuns(const std::vector<SkippedRuns>& runs, std::string_view probe) {
  uint64_t sum = 0;
  for (const SkippedRuns& program : runs) {
    sum += probe.empty() || program.probe == probe ? program.count : 0;
  }
  return sum;
}

std::vector<std::string> GapsOfSkippedRuns(const std::vector<SkippedRuns>& runs) {
  std::vector<std::string> gaps;
  for (const SkippedRuns& program : runs) {
    if (program.count > 0) {
      gaps.push_back(fmt::format(
          "the kernel skipped {} runs of program {} since it was attached: it was running on that "
          "CPU already; what they would have seen is lost",
          program.count, program.program));
    }
  }
  return gaps;
}

}  // namespace vedette
