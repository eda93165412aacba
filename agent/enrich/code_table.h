// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "agent/enrich/enriched_event.h"
#include "agent/enrich/hash_request.h"
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

// Code key → path, hash and origin. Owned by the pipeline thread. It opens no file and waits for
// nobody unless told to: a hasher hashes, and what it found is taken over by TakeHashes. What the
// kernel says lies on an untrusted filesystem is never given to the hasher.
class CodeTable {
 public:
  struct Limits {
    size_t entries = 16384;
    size_t per_workload = 4096;  // Learned first by one workload; beyond it, its own oldest goes.
    size_t pending = 4096;       // Waiting for their turn to be hashed later.
    int attempts = 3;            // To find a file, over all its executions.
  };

  // `hasher` outlives the table; without one nothing is hashed.
  CodeTable(CodeHasher* hasher, Limits limits);
  explicit CodeTable(CodeHasher* hasher) : CodeTable(hasher, Limits()) {}

  // Notes what the kernel said of `key` when `workload` ran it; an unknown key (all zero) is
  // ignored.
  void Learn(const CodeKey& key, const Code& code, const std::string& workload);

  // What an earlier agent of this boot knew, where nothing is known: whoever ran it may be gone.
  void Restore(const CodeKey& key, const Code& code, const std::string& workload);

  // `key` is the program at `path` that starts containers or sessions. It may run as a copy that is
  // at no place in the tree, so that what it starts cannot write to it; such a copy is called by
  // its path, and has no hash, because nobody can open it.
  void KnowRuntime(const CodeKey& key, const std::string& path);

  // Has it hashed now, unless that is known, under way, or cannot be. `tgid` is a process that ran
  // it, `neighbour_tgid` another one with the same root, 0 for none.
  void Hash(const CodeKey& key, uint32_t tgid, uint32_t neighbour_tgid);

  // Has it hashed later, in HashPending: for the many programs that run when the agent starts.
  void HashLater(const CodeKey& key, uint32_t tgid);

  // Gives at most `max_bytes` of file size, and at least one file, to the hasher. Returns how many
  // still wait for their turn.
  size_t HashPending(uint64_t max_bytes);

  // Takes over what was hashed, and waits for something at most `patience`.
  void TakeHashes(absl::Duration patience);

  // The hasher has it and has not answered yet.
  bool IsBeingHashed(const CodeKey& key) const;

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
    bool waiting = false;  // The hasher has it.
  };
  struct Pending {
    CodeKey key;
    uint32_t tgid = 0;
  };

  Entry* Touch(const CodeKey& key);
  // The path of the runtime that `key` is such a copy of; nullptr where it is none.
  const std::string* CopyOf(CodeKey key) const;
  Entry& Insert(const CodeKey& key, const std::string& workload);
  bool MayBeHashed(const Entry* entry) const;
  void TakeHash(const HashResult& result);
  void CountOutcome(HashOutcome outcome, const std::string& path);

  CodeHasher* const hasher_;
  const Limits limits_;
  LruMap<CodeKey, Entry> entries_;
  std::unordered_map<std::string, LruMap<CodeKey, char>> by_workload_;
  std::deque<Pending> pending_;
  std::map<CodeKey, std::string> runtimes_;
  uint64_t hashed_ = 0;
  Reasons reasons_;
};

}  // namespace vedette
