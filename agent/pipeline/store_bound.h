// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/clock.h"
#include "agent/base/sqlite.h"
#include "agent/correlate/correlator.h"
#include "agent/profile/profiles.h"

namespace vedette {

// Keeps the directory of the store within its bound, and what is in it within its age. Goes, a step
// per commit: set-aside copies of damaged databases; findings, the least severe and of these the
// oldest first; profiles of workloads that are gone. What waits in the spool, which has a bound of
// its own, and profiles of what runs never go: if they alone are too much, `trouble` says so. Pages
// that became free are used again, and given back to the disk while the file is beyond its share.
// Pipeline thread.
class StoreBound {
 public:
  struct Options {
    uint64_t max_bytes = 512ULL << 20;
    absl::Duration max_age = absl::Hours(24 * 30);
  };
  struct Size {
    uint64_t database = 0;  // The file; `used` of it holds something.
    uint64_t used = 0;
    uint64_t log = 0;     // Written ahead, and the shared memory of its readers.
    uint64_t copies = 0;  // Of damaged databases, set aside.
    uint64_t total() const { return database + log + copies; }
  };
  struct Removed {
    uint64_t aged_findings = 0;
    uint64_t shed_findings = 0;
    uint64_t copies = 0;
  };

  // All outlive it.
  StoreBound(SqliteDatabase* db, const Clock* clock, Options options)
      : db_(db), clock_(clock), options_(options) {}

  // In the caller's open transaction, before the stages write what they forget here.
  absl::Status Step(Correlator& correlator, Profiles& profiles);
  // After the caller's commit: writes the log back if it has grown too long.
  void Committed();
  // The last step did not suffice: another commit is due soon.
  bool more() const { return more_; }

  Size Measure();
  uint64_t max_bytes() const { return options_.max_bytes; }
  const Removed& removed() const { return removed_; }
  // One sentence, or empty.
  const std::string& trouble() const { return moved_.empty() ? trouble_ : moved_; }

 private:
  absl::StatusOr<uint64_t> Pragma(const char* name);
  absl::Status ForgetOld(Correlator& correlator, Profiles& profiles);
  absl::Status Shed(Correlator& correlator, Profiles& profiles);
  bool RemoveCopy();
  void LookWhetherMoved();

  SqliteDatabase* const db_;
  const Clock* const clock_;
  const Options options_;
  bool uncommitted_ = false;  // The last step waits for its commit.
  bool more_ = false;
  absl::Time next_age_ = absl::InfinitePast();
  absl::Time next_write_back_ = absl::InfinitePast();
  Removed removed_;
  std::string trouble_;
  std::string moved_;  // The same, of a database that its path does not name any more.
};

}  // namespace vedette
