// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/statusor.h"
#include "agent/enrich/hash_thread.h"
#include "agent/probes/file_key.h"
#include "agent/probes/probe_set.h"

namespace vedette {

// The key that the kernel itself computes of an open file. Owner: the agent. Hash thread.
class BpfKeyReader final : public KeyReader {
 public:
  explicit BpfKeyReader(const ProbeSet* probes) : probes_(probes) {}
  absl::StatusOr<CodeKey> Read(int fd) override { return ReadFileKey(*probes_, fd); }

 private:
  const ProbeSet* const probes_;
};

}  // namespace vedette
