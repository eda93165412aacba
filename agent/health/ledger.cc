// SPDX-License-Identifier: Apache-2.0
#include "agent/health/ledger.h"

namespace vedette {

uint64_t LedgerEntry::DroppedTotal() const {
  uint64_t total = 0;
  for (const auto& [reason, count] : dropped) {
    total += count;
  }
  return total;
}

int64_t LedgerEntry::Balance() const {
  return static_cast<int64_t>(received - delivered - DroppedTotal());
}

void LedgerAccount::Set(uint64_t received, uint64_t delivered,
                        const std::map<std::string, uint64_t, std::less<>>& dropped) {
  MutexLock lock(&mutex_);
  received_ = received;
  delivered_ = delivered;
  dropped_ = dropped;
}

LedgerEntry LedgerAccount::Read() const {
  LedgerEntry entry;
  MutexLock lock(&mutex_);
  entry.received = received_;
  entry.delivered = delivered_;
  entry.dropped.insert(dropped_.begin(), dropped_.end());
  return entry;
}

LedgerAccount& Ledger::Account(std::string_view stage, std::string_view counter) {
  MutexLock lock(&mutex_);
  std::unique_ptr<LedgerAccount>& account =
      accounts_[std::pair(std::string(stage), std::string(counter))];
  if (account == nullptr) {
    account = std::make_unique<LedgerAccount>();
  }
  return *account;
}

std::vector<LedgerEntry> Ledger::Snapshot() const {
  MutexLock lock(&mutex_);
  std::vector<LedgerEntry> entries;
  entries.reserve(accounts_.size());
  for (const auto& [name, account] : accounts_) {
    LedgerEntry& entry = entries.emplace_back(account->Read());
    entry.stage = name.first;
    entry.counter = name.second;
  }
  return entries;
}

}  // namespace vedette
