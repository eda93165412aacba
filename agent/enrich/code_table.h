// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "agent/enrich/code_opener.h"
#include "agent/enrich/enriched_event.h"
#include "agent/enrich/lru_map.h"
#include "agent/enrich/reasons.h"

namespace vedette {

// The path as a Code carries it. A path that was cut gets a mark that no whole path starts with, so
// that it equals no other file's path.
std::string MarkedPath(const std::string& path, bool truncated);

// Starts the path of code that is not below the root that its container had at its start. No path
// that the kernel told starts so, and it equals no path below that root.
inline constexpr std::string_view kElsewhere = "elsewhere:";
std::string PlacedPath(const std::string& path, bool elsewhere);

// Code key → path, hash and origin. Owned by the pipeline thread. A hash is recorded only when the
// key of the open file was the expected one before and after hashing. It does not read keys itself,
// and it does not hash what lies on an untrusted filesystem, whose owner could keep us waiting.
class CodeTable {
 public:
  struct Limits {
    size_t entries = 16384;
    size_t per_workload = 4096;  // Learned first by one workload; beyond it, its own oldest goes.
    size_t pending = 4096;       // Waiting to be hashed.
    uint64_t max_hashed_bytes = 64ull << 20;  // Larger files have no hash.
    int attempts = 3;                         // To find a file, over all its executions.
  };

  // Both parameters outlive the table; without a reader nothing is hashed.
  CodeTable(CodeOpener open, KeyReader* keys, Limits limits);
  CodeTable(CodeOpener open, KeyReader* keys) : CodeTable(std::move(open), keys, Limits()) {}

  // Notes what the kernel said of `key` when `workload` ran it; an unknown key (all zero) is
  // ignored.
  void Learn(const CodeKey& key, const Code& code, const std::string& workload);

  // Hashes now, unless it is known already or cannot be. `tgid` is a process that ran it.
  void Hash(const CodeKey& key, uint32_t tgid);

  // Hashes later, in HashPending: for the many programs that are running when the agent starts.
  void HashLater(const CodeKey& key, uint32_t tgid);

  // Works off at most `max_bytes` of file size, and at least one file. Returns how many still wait.
  size_t HashPending(uint64_t max_bytes);

  // nullptr when unknown. `script` is never set: it belongs to an execution.
  const Code* Find(const CodeKey& key);

  size_t size() const { return entries_.size(); }
  size_t evictions() const { return entries_.evictions(); }
  uint64_t hashed() const { return hashed_; }
  const Reasons& reasons() const { return reasons_; }

 private:
  struct Entry {
    Code code;
    std::string workload;  // The first that ran it.
    int attempts = 0;
    bool settled = false;  // Hashed, or known never to be.
  };
  struct Pending {
    CodeKey key;
    uint32_t tgid = 0;
  };
  enum class Outcome { kHashed, kGone, kChanged, kTooLarge, kUnreadable };

  Entry* Touch(const CodeKey& key);
  Entry& Insert(const CodeKey& key, const std::string& workload);
  Outcome HashAnyPlace(const CodeKey& key, uint32_t tgid, Code& code);
  Outcome HashFile(int fd, const CodeKey& key, std::string& sha256);
  void CountOutcome(Outcome outcome);

  const CodeOpener open_;
  KeyReader* const keys_;
  const Limits limits_;
  LruMap<CodeKey, Entry> entries_;
  std::unordered_map<std::string, LruMap<CodeKey, char>> by_workload_;
  std::deque<Pending> pending_;
  uint64_t hashed_ = 0;
  Reasons reasons_;
};

}  // namespace vedette
