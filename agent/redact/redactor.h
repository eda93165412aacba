// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/event/event.h"
#include "agent/redact/argv_capture.h"
#include "agent/redact/patterns.h"

namespace vedette {

// Takes secrets out of events before any other part of the agent sees them: the decoder calls it
// for each event it makes. Works on command lines and the names of tasks. Paths, names of scripts
// and DNS names stay as they are: the profile tells behaviours apart by them. Whatever cannot be
// looked at within its bounds is redacted as a whole and counted. Redact: one thread at a time;
// Counts: any.
class Redactor {
 public:
  struct Options {
    ArgvCapture argv = ArgvCapture::kRedacted;
    std::vector<std::string> patterns;  // Applied unless nothing is kept anyhow.
  };
  // InvalidArgument: a pattern that cannot be used.
  static absl::StatusOr<std::unique_ptr<Redactor>> Create(const Options& options);

  void Redact(Event& event);
  // A command line. `cut`: it was longer, so that the end of its last argument is missing.
  void RedactArguments(std::vector<std::string>& argv, bool cut);

  // By name: "arguments" that hold `[redacted]`; "too_long", "too_expensive", "too_deep": redacted
  // as a whole because they could not be looked at within the bounds.
  std::map<std::string, uint64_t> Counts() const;

  static constexpr size_t kMaxArgumentBytes = 16384;

 private:
  explicit Redactor(ArgvCapture capture) : capture_(capture) {}
  void RedactNames(ProcessContext& process);
  void RedactName(std::string& name);
  void Closed(std::atomic<uint64_t>& counter, uint64_t times, const char* reason);

  const ArgvCapture capture_;
  Patterns patterns_;
  std::atomic<uint64_t> arguments_{0}, too_long_{0}, too_expensive_{0}, too_deep_{0};
};

}  // namespace vedette
