// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/code_table.h"

#include <utility>

namespace vedette {
namespace {

// Memory and deleted files have no place in any tree but the process that runs them.
bool HasPath(CodeOrigin origin) {
  return origin != CodeOrigin::kMemfd && origin != CodeOrigin::kDeleted;
}

}  // namespace

std::string MarkedPath(const std::string& path, bool truncated) {
  if (!truncated) {
    return path;
  }
  return path.starts_with('/') ? "..." + path : ".../" + path;
}

std::string PlacedPath(const std::string& path, bool elsewhere) {
  return elsewhere && !path.empty() ? std::string(kElsewhere) + path : path;
}

CodeTable::CodeTable(CodeHasher* hasher, Limits limits)
    : hasher_(hasher), limits_(limits), entries_(limits.entries), reasons_("code") {}

void CodeTable::Learn(const CodeKey& key, const Code& code, const std::string& workload) {
  if (key == CodeKey()) {
    return;
  }
  Entry* entry = Touch(key);
  if (entry == nullptr) {
    entry = &Insert(key, workload);
  }
  if (!code.path.empty()) {
    entry->code.path = code.path;
  }
  if (code.origin != CodeOrigin::kUnknown) {
    entry->code.origin = code.origin;
  }
}

void CodeTable::Restore(const CodeKey& key, const Code& code, const std::string& workload) {
  if (key == CodeKey() || Touch(key) != nullptr) {
    return;
  }
  Entry& entry = Insert(key, workload);
  if (!entry.settled) {
    entry.code = code;
    entry.settled = !code.sha256.empty();
  }
}

CodeTable::Entry* CodeTable::Touch(const CodeKey& key) {
  Entry* entry = entries_.Find(key);
  if (entry != nullptr) {
    by_workload_.at(entry->workload).Find(key);
  }
  return entry;
}

CodeTable::Entry& CodeTable::Insert(const CodeKey& key, const std::string& workload) {
  by_workload_.try_emplace(workload, limits_.per_workload)
      .first->second.Put(key, 0, [this](const CodeKey& oldest, char&) {
        entries_.Erase(oldest);
        reasons_.Count("workload_full",
                       "a workload runs too many programs, its oldest is forgotten");
      });
  Entry entry;
  entry.workload = workload;
  if (const std::string* path = CopyOf(key); path != nullptr) {
    entry.code.path = PlacedPath(*path, /*elsewhere=*/true);
    entry.code.origin = CodeOrigin::kHost;
    entry.settled = true;
  }
  return entries_.Put(key, std::move(entry), [this](const CodeKey& oldest, Entry& gone) {
    auto share = by_workload_.find(gone.workload);
    share->second.Erase(oldest);
    if (share->second.size() == 0) {
      by_workload_.erase(share);
    }
  });
}

const Code* CodeTable::Find(const CodeKey& key) {
  Entry* entry = Touch(key);
  if (entry == nullptr && CopyOf(key) != nullptr) {
    entry = &Insert(key, "");
  }
  return entry == nullptr ? nullptr : &entry->code;
}

void CodeTable::KnowRuntime(const CodeKey& key, const std::string& path) {
  runtimes_.try_emplace(key, path);
}

const std::string* CodeTable::CopyOf(CodeKey key) const {
  if (key.flags == 0) {
    return nullptr;
  }
  key.flags = 0;
  auto found = runtimes_.find(key);
  return found == runtimes_.end() ? nullptr : &found->second;
}

bool CodeTable::MayBeHashed(const Entry* entry) const {
  return entry != nullptr && !entry->settled && !entry->waiting;
}

void CodeTable::Hash(const CodeKey& key, uint32_t tgid, uint32_t neighbour_tgid) {
  Entry* entry = Touch(key);
  if (!MayBeHashed(entry)) {
    return;
  }
  if (hasher_ == nullptr) {
    entry->settled = true;
    reasons_.Count("no_hasher", "keys cannot be read on this node, so no program is hashed");
    return;
  }
  if (entry->code.origin == CodeOrigin::kUntrustedFs) {
    entry->settled = true;
    CountOutcome(HashOutcome::kUntrusted, entry->code.path);
    return;
  }
  HashRequest request;
  request.key = key;
  request.tgid = tgid;
  request.neighbour_tgid = neighbour_tgid;
  request.path = HasPath(entry->code.origin) ? entry->code.path : "";
  if (request.path.starts_with(kElsewhere)) {  // Of another root: it may be the host's.
    request.path.erase(0, kElsewhere.size());
  }
  request.in_memory = entry->code.origin == CodeOrigin::kMemfd;
  if (!hasher_->Submit(std::move(request))) {
    reasons_.Count("queue_full", "too many programs wait to be hashed, one is left without a hash");
    return;
  }
  entry->waiting = true;
}

void CodeTable::HashLater(const CodeKey& key, uint32_t tgid) {
  if (!MayBeHashed(entries_.Peek(key))) {
    return;
  }
  if (pending_.size() >= limits_.pending) {
    reasons_.Count("queue_full", "too many programs wait to be hashed, one is left without a hash");
    return;
  }
  pending_.push_back({key, tgid});
}

size_t CodeTable::HashPending(uint64_t max_bytes) {
  uint64_t given_bytes = 0;
  while (!pending_.empty()) {
    const Pending next = pending_.front();
    const bool costs = MayBeHashed(entries_.Peek(next.key));
    if (costs && given_bytes > 0 && given_bytes + next.key.size_bytes > max_bytes) {
      break;
    }
    pending_.pop_front();
    Hash(next.key, next.tgid, 0);
    given_bytes += costs ? next.key.size_bytes + 1 : 0;
  }
  return pending_.size();
}

void CodeTable::TakeHashes(absl::Duration patience) {
  if (hasher_ == nullptr) {
    return;
  }
  for (const HashResult& result : hasher_->Take(patience)) {
    TakeHash(result);
  }
}

void CodeTable::TakeHash(const HashResult& result) {
  Entry* entry = entries_.Find(result.key);
  CountOutcome(result.outcome, entry == nullptr ? std::string() : entry->code.path);
  if (entry == nullptr) {
    return;  // Evicted meanwhile.
  }
  entry->waiting = false;
  ++entry->attempts;
  entry->settled = entry->attempts >= limits_.attempts;
  if (result.outcome == HashOutcome::kHashed) {
    entry->code.sha256 = result.sha256;
    entry->settled = true;
  } else if (result.outcome == HashOutcome::kTooLarge ||
             result.outcome == HashOutcome::kUntrusted) {
    entry->settled = true;
  } else if (result.outcome == HashOutcome::kStalled ||
             result.outcome == HashOutcome::kUnavailable) {
    // That says nothing of the file: the next execution tries again.
    --entry->attempts;
    entry->settled = false;
  }
}

bool CodeTable::IsBeingHashed(const CodeKey& key) const {
  const Entry* entry = entries_.Peek(key);
  return entry != nullptr && entry->waiting;
}

void CodeTable::CountOutcome(HashOutcome outcome, const std::string& path) {
  switch (outcome) {
    case HashOutcome::kHashed:
      ++hashed_;
      break;
    case HashOutcome::kGone:
      reasons_.Count("gone", "a program could not be opened any more, it has no hash", path);
      break;
    case HashOutcome::kChanged:
      reasons_.Count("changed", "a program's file was another one or changed, it has no hash",
                     path);
      break;
    case HashOutcome::kTooLarge:
      reasons_.Count("too_large", "a program is too large to be hashed, it has no hash", path);
      break;
    case HashOutcome::kUnreadable:
      reasons_.Count("unreadable", "a program could not be read, it has no hash", path);
      break;
    case HashOutcome::kUntrusted:
      reasons_.Count("untrusted_fs", "a program on an untrusted filesystem is not hashed", path);
      break;
    case HashOutcome::kStalled:
      reasons_.Count("stalled", "a program's filesystem does not answer, it has no hash", path);
      break;
    case HashOutcome::kUnavailable:
      reasons_.Count("unavailable", "no worker is left that could hash a program");
      break;
  }
}

}  // namespace vedette
