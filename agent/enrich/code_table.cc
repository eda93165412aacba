// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/code_table.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "agent/enrich/sha256.h"

namespace vedette {
namespace {

constexpr size_t kChunkBytes = 1 << 16;

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

CodeTable::CodeTable(CodeOpener open, KeyReader* keys, Limits limits)
    : open_(std::move(open)),
      keys_(keys),
      limits_(limits),
      entries_(limits.entries),
      reasons_("code") {}

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
  return entry == nullptr ? nullptr : &entry->code;
}

void CodeTable::Hash(const CodeKey& key, uint32_t tgid) {
  Entry* entry = Touch(key);
  if (entry == nullptr || entry->settled) {
    return;
  }
  if (keys_ == nullptr) {
    entry->settled = true;
    reasons_.Count("no_key_reader", "keys cannot be read on this node, so no program is hashed");
    return;
  }
  if (entry->code.origin == CodeOrigin::kUntrustedFs) {
    entry->settled = true;
    reasons_.Count("untrusted_fs", "a program on an untrusted filesystem is not hashed");
    return;
  }
  const Outcome outcome = HashAnyPlace(key, tgid, entry->code);
  ++entry->attempts;
  entry->settled = outcome == Outcome::kHashed || outcome == Outcome::kTooLarge ||
                   entry->attempts >= limits_.attempts;
  CountOutcome(outcome);
}

void CodeTable::HashLater(const CodeKey& key, uint32_t tgid) {
  const Entry* entry = entries_.Peek(key);
  if (entry == nullptr || entry->settled) {
    return;
  }
  if (pending_.size() >= limits_.pending) {
    reasons_.Count("queue_full", "too many programs wait to be hashed, one is left without a hash");
    return;
  }
  pending_.push_back({key, tgid});
}

size_t CodeTable::HashPending(uint64_t max_bytes) {
  uint64_t done_bytes = 0;
  while (!pending_.empty()) {
    const Pending next = pending_.front();
    const Entry* entry = entries_.Peek(next.key);
    const bool costs = entry != nullptr && !entry->settled;
    if (costs && done_bytes > 0 && done_bytes + next.key.size_bytes > max_bytes) {
      break;
    }
    pending_.pop_front();
    Hash(next.key, next.tgid);
    done_bytes += costs ? next.key.size_bytes + 1 : 0;
  }
  return pending_.size();
}

CodeTable::Outcome CodeTable::HashAnyPlace(const CodeKey& key, uint32_t tgid, Code& code) {
  std::vector<CodePlace> places = {CodePlace::kProcessImage};
  if (HasPath(code.origin)) {
    places.insert(places.end(), {CodePlace::kProcessRoot, CodePlace::kHostRoot});
  }
  Outcome outcome = Outcome::kGone;
  for (CodePlace place : places) {
    const UniqueFd fd = open_(place, tgid, code.path);
    if (!fd.valid()) {
      continue;
    }
    outcome = HashFile(fd.get(), key, code.sha256);
    if (outcome == Outcome::kHashed || outcome == Outcome::kTooLarge) {
      break;
    }
  }
  return outcome;
}

CodeTable::Outcome CodeTable::HashFile(int fd, const CodeKey& key, std::string& sha256) {
  struct stat info = {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return Outcome::kUnreadable;
  }
  // An open file has no flags: those say by which way it was executed.
  CodeKey expected = key;
  expected.flags = 0;
  const absl::StatusOr<CodeKey> before = keys_->Read(fd);
  if (!before.ok()) {
    return Outcome::kUnreadable;
  }
  if (*before != expected) {
    return Outcome::kChanged;
  }
  if (static_cast<uint64_t>(info.st_size) > limits_.max_hashed_bytes) {
    return Outcome::kTooLarge;
  }
  Sha256 hash;
  std::vector<char> chunk(kChunkBytes);
  uint64_t total = 0;
  while (true) {
    const ssize_t got = pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(total));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return Outcome::kUnreadable;
    }
    if (got == 0) {
      break;
    }
    total += static_cast<uint64_t>(got);
    if (total > limits_.max_hashed_bytes) {  // It grew while we read.
      return Outcome::kChanged;
    }
    hash.Update({chunk.data(), static_cast<size_t>(got)});
  }
  const absl::StatusOr<CodeKey> after = keys_->Read(fd);
  if (!after.ok()) {
    return Outcome::kUnreadable;
  }
  if (*after != expected) {
    return Outcome::kChanged;
  }
  sha256 = hash.Hex();
  return Outcome::kHashed;
}

void CodeTable::CountOutcome(Outcome outcome) {
  switch (outcome) {
    case Outcome::kHashed:
      ++hashed_;
      break;
    case Outcome::kGone:
      reasons_.Count("gone", "a program could not be opened any more, it has no hash");
      break;
    case Outcome::kChanged:
      reasons_.Count("changed", "a program's file was another one or changed, it has no hash");
      break;
    case Outcome::kTooLarge:
      reasons_.Count("too_large", "a program is too large to be hashed");
      break;
    case Outcome::kUnreadable:
      reasons_.Count("unreadable", "a program could not be read, it has no hash");
      break;
  }
}

}  // namespace vedette
