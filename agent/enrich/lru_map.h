// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace vedette {

// A map that holds at most `capacity` entries and forgets the one unused for longest. Pointers stay
// valid until their entry is forgotten or erased. One thread.
template <typename Key, typename Value>
class LruMap {
 public:
  explicit LruMap(size_t capacity) : capacity_(capacity) {}

  // The entry, now the most recently used one; nullptr when absent.
  Value* Find(const Key& key) {
    auto found = index_.find(key);
    if (found == index_.end()) {
      return nullptr;
    }
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->second;
  }

  // As Find, without making the entry more recent.
  const Value* Peek(const Key& key) const {
    auto found = index_.find(key);
    return found == index_.end() ? nullptr : &found->second->second;
  }

  Value* Peek(const Key& key) {
    return const_cast<Value*>(static_cast<const LruMap*>(this)->Peek(key));
  }

  // Every entry, the most recently used first. `visit` changes nothing here.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (const auto& [key, value] : entries_) {
      visit(key, value);
    }
  }

  // Inserts or replaces. The entry that had to go, if any, is handed to `evicted`.
  Value& Put(const Key& key, Value value,
             const std::function<void(const Key&, Value&)>& evicted = nullptr) {
    if (Value* known = Find(key); known != nullptr) {
      *known = std::move(value);
      return *known;
    }
    if (entries_.size() >= capacity_ && !entries_.empty()) {
      if (evicted) {
        evicted(entries_.back().first, entries_.back().second);
      }
      index_.erase(entries_.back().first);
      entries_.pop_back();
      ++evictions_;
    }
    entries_.emplace_front(key, std::move(value));
    index_[key] = entries_.begin();
    return entries_.front().second;
  }

  bool Erase(const Key& key) {
    auto found = index_.find(key);
    if (found == index_.end()) {
      return false;
    }
    entries_.erase(found->second);
    index_.erase(found);
    return true;
  }

  size_t size() const { return entries_.size(); }
  size_t evictions() const { return evictions_; }

 private:
  using Entries = std::list<std::pair<Key, Value>>;

  const size_t capacity_;
  size_t evictions_ = 0;
  Entries entries_;  // Most recently used first.
  absl::flat_hash_map<Key, typename Entries::iterator> index_;
};

}  // namespace vedette
