// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "agent/base/mutex.h"

namespace vedette {

// The account of one counter of one stage at one moment.
struct LedgerEntry {
  std::string stage;    // "kernel", "collect", "pipeline", "export", …
  std::string counter;  // "cpu0/code", "events", …
  uint64_t received = 0;
  uint64_t delivered = 0;
  std::map<std::string, uint64_t> dropped = {};  // By reason.

  uint64_t DroppedTotal() const;
  // What was received and is neither delivered nor dropped: under way in a running stage, nothing
  // in one that was emptied. Negative: the stage counted wrongly.
  int64_t Balance() const;

  bool operator==(const LedgerEntry&) const = default;
};

// The totals of one stage's counter, as the kernel or the stage's own thread counted them.
// Thread-safe.
class LedgerAccount {
 public:
  void Set(uint64_t received, uint64_t delivered,
           const std::map<std::string, uint64_t, std::less<>>& dropped);

 private:
  friend class Ledger;
  LedgerEntry Read() const;

  mutable Mutex mutex_;
  uint64_t received_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t delivered_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, uint64_t, std::less<>> dropped_ ABSL_GUARDED_BY(mutex_);
};

// The account of every record: received = delivered + dropped by reason, per stage. Owned by main,
// which hands it to the stages; thread-safe. It counts and does not judge: what a gap means, the
// readers say.
class Ledger {
 public:
  // The account of a stage's counter, made at its first use; lives as long as the ledger.
  LedgerAccount& Account(std::string_view stage, std::string_view counter);

  // Every account, ordered by stage and counter.
  std::vector<LedgerEntry> Snapshot() const;

 private:
  mutable Mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<LedgerAccount>> accounts_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace vedette
