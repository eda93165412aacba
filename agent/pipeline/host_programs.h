// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/clock.h"
#include "agent/event/process.h"
#include "agent/probes/probe_set.h"
#include "agent/profile/default_cover.h"

namespace vedette {

// Which code the programs are that the default profiles name: the files at their paths in the
// agent's own root, owned and writable by root alone. What was there once stays known, so that a
// program may be replaced while it runs; what is there now is looked up when a code is met that is
// not known, at most every ten seconds for a path. Pipeline thread. Opens only regular files at
// these paths.
class HostPrograms {
 public:
  HostPrograms(const ProbeSet* probes, const Clock* steady) : probes_(probes), steady_(steady) {}

  bool Is(const CodeKey& code, const std::string& path);

 private:
  struct Program {
    std::vector<CodeKey> codes;
    absl::Time next_look = absl::InfinitePast();
  };
  void Look(const std::string& path, Program& program) const;

  const ProbeSet* const probes_;
  const Clock* const steady_;
  absl::flat_hash_map<std::string, Program> programs_;
};

// What the default profiles of the configuration cover; `programs` outlives it.
absl::StatusOr<std::unique_ptr<DefaultCover>> MakeDefaultCover(const std::string& setting,
                                                               HostPrograms& programs);

}  // namespace vedette
