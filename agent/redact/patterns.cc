// SPDX-License-Identifier: Apache-2.0
#include "agent/redact/patterns.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/text.h"

namespace vedette {
namespace {

RE2::Options OptionsOfPatterns() {
  // Bytes: arguments need not be UTF-8, and a secret does not end at a byte that is not.
  RE2::Options options(RE2::Latin1);
  options.set_log_errors(false);
  options.set_dot_nl(true);
  options.set_max_mem(1 << 20);
  return options;
}

// RE2 names the piece that it stumbled over; its place is where the piece stands.
size_t PlaceOf(const std::string& pattern, const std::string& piece) {
  const size_t at = piece.empty() ? pattern.size() : pattern.rfind(piece);
  return (at == pattern.npos ? 0 : at) + 1;
}

std::string Check(const std::string& pattern, const RE2& compiled) {
  const std::string shown = PrintableUtf8(pattern);
  if (!compiled.ok()) {
    return fmt::format(
        "\"{}\" is no pattern: {} at character {}; write a regular expression of RE2", shown,
        PrintableUtf8(compiled.error()), PlaceOf(pattern, compiled.error_arg()));
  }
  if (pattern.empty() || RE2::FullMatch("", compiled)) {
    return fmt::format("\"{}\" matches where nothing is; write one that needs at least one byte",
                       shown);
  }
  if (compiled.ProgramSize() > Patterns::kMaxProgram) {
    return fmt::format(
        "\"{}\" is too expensive: {} steps, at most {}; write smaller repetitions or several "
        "patterns",
        shown, compiled.ProgramSize(), Patterns::kMaxProgram);
  }
  return "";
}

}  // namespace

std::string WhatIsWrongWithPattern(const std::string& pattern) {
  return Check(pattern, RE2(pattern, OptionsOfPatterns()));
}

absl::Status Patterns::Add(const std::string& pattern) {
  auto compiled = std::make_unique<RE2>(pattern, OptionsOfPatterns());
  if (const std::string wrong = Check(pattern, *compiled); !wrong.empty()) {
    return absl::InvalidArgumentError(wrong);
  }
  if (patterns_.size() == kMaxPatterns) {
    return absl::InvalidArgumentError(fmt::format("more than {} patterns", kMaxPatterns));
  }
  program_ += static_cast<uint64_t>(compiled->ProgramSize());
  patterns_.push_back(std::move(compiled));
  return absl::OkStatus();
}

bool Patterns::Find(std::string_view text, uint64_t& budget, Secrets& found) const {
  const uint64_t cost = program_ * text.size();
  if (cost > budget) {
    budget = 0;
    return false;
  }
  budget -= cost;
  for (const auto& pattern : patterns_) {
    const re2::StringPiece whole(text.data(), text.size());
    const int groups = std::min(pattern->NumberOfCapturingGroups(), 1);
    re2::StringPiece match[2];
    size_t at = 0;
    while (at < text.size() &&
           pattern->Match(whole, at, text.size(), RE2::UNANCHORED, match, groups + 1)) {
      const re2::StringPiece& secret =
          groups == 1 && match[1].data() != nullptr ? match[1] : match[0];
      const size_t begin = static_cast<size_t>(secret.data() - text.data());
      found.Add(begin, begin + secret.size());
      const size_t end = static_cast<size_t>(match[0].data() - text.data()) + match[0].size();
      at = std::max(end, at + 1);
    }
  }
  return true;
}

}  // namespace vedette
