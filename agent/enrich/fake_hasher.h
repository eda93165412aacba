// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/enrich/hash_request.h"

namespace vedette {

// For tests of what depends on hashes: answers when it is told to, with what it is told.
class FakeHasher final : public CodeHasher {
 public:
  bool Submit(HashRequest request) override {
    if (asked.size() >= room) {
      return false;
    }
    asked.push_back(std::move(request));
    return true;
  }
  std::vector<HashResult> Take(absl::Duration) override {
    ++takes;
    if (answer_at_once) {
      AnswerAll(std::string(64, 'a'));
    }
    return std::exchange(results, {});
  }
  void AnswerAll(const std::string& sha256) {
    for (; answered < asked.size(); ++answered) {
      results.push_back({asked[answered].key,
                         sha256.empty() ? HashOutcome::kGone : HashOutcome::kHashed, sha256});
    }
  }

  std::vector<HashRequest> asked;
  std::vector<HashResult> results;
  size_t room = 1000;
  size_t answered = 0;
  int takes = 0;
  bool answer_at_once = false;
};

}  // namespace vedette
