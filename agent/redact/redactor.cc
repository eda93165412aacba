// SPDX-License-Identifier: Apache-2.0
#include "agent/redact/redactor.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <type_traits>
#include <variant>

#include "agent/base/status.h"
#include "agent/redact/command_line.h"
#include "agent/redact/secret_shape.h"
#include "agent/redact/secret_text.h"

namespace vedette {
namespace {

// What the user's patterns may cost per event: steps of RE2's slowest way times bytes.
constexpr uint64_t kPatternBudget = 16u << 20;
constexpr size_t kCommBytes = 15;
constexpr std::string_view kSpaces = " \t\r\n\v\f";

// What would tell that the last word is a secret may be behind the cut.
void HideCutWord(std::string_view text, Secrets& secrets) {
  const size_t space = text.find_last_of(kSpaces);
  secrets.Add(space == text.npos ? 0 : space + 1, text.size());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Redactor>> Redactor::Create(const Options& options) {
  std::unique_ptr<Redactor> redactor(new Redactor(options.argv));
  for (const std::string& pattern : options.patterns) {
    VEDETTE_RETURN_IF_ERROR(redactor->patterns_.Add(pattern));
  }
  return redactor;
}

void Redactor::Redact(Event& event) {
  std::visit(
      [this](auto& body) {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<Body, ExecEvent>) {
          RedactArguments(body.argv, body.argv_truncated);
        } else if constexpr (std::is_same_v<Body, ProcessSeenEvent>) {
          RedactArguments(body.argv, false);
        }
        if constexpr (requires { body.process; }) {
          RedactNames(body.process);
        }
      },
      event.body);
}

void Redactor::RedactArguments(std::vector<std::string>& argv, bool cut) {
  if (capture_ == ArgvCapture::kNone) {
    argv.clear();
    return;
  }
  if (argv.empty() || (capture_ == ArgvCapture::kFull && patterns_.empty())) {
    return;
  }
  for (std::string& argument : argv) {
    if (argument.size() > kMaxArgumentBytes) {
      argument = kRedacted;
      ++arguments_;
      Closed(too_long_, 1, "longer than what is looked at");
    }
  }
  std::vector<Secrets> secrets(argv.size());
  if (capture_ == ArgvCapture::kRedacted) {
    uint64_t too_deep = 0;
    FindSecretsByPlace(argv, secrets, too_deep);
    Closed(too_deep_, too_deep, "command lines nested too deep");
    for (size_t i = 0; i < argv.size(); ++i) {
      FindNamedSecrets(argv[i], IsScript(argv, i), secrets[i]);
      FindUserInfo(argv[i], secrets[i]);
      FindShapedSecrets(argv[i], false, secrets[i]);
    }
  }
  uint64_t budget = kPatternBudget;
  for (size_t i = 0; i < argv.size() && !patterns_.empty(); ++i) {
    if (!patterns_.Find(argv[i], budget, secrets[i])) {
      secrets[i].Add(0, argv[i].size());
      Closed(too_expensive_, 1, "too expensive for the patterns of capture.redact");
    }
  }
  if (cut) {
    HideCutWord(argv.back(), secrets.back());
  }
  for (size_t i = 0; i < argv.size(); ++i) {
    if (!secrets[i].empty()) {
      argv[i] = secrets[i].Applied(argv[i]);
      ++arguments_;
    }
  }
}

void Redactor::RedactNames(ProcessContext& process) {
  RedactName(process.comm);
  for (Ancestor& ancestor : process.ancestors) {
    RedactName(ancestor.comm);
  }
}

void Redactor::RedactName(std::string& name) {
  if (capture_ == ArgvCapture::kFull && patterns_.empty()) {
    return;
  }
  Secrets secrets;
  if (capture_ != ArgvCapture::kFull) {
    FindNamedSecrets(name, false, secrets);
    FindShapedSecrets(name, name.size() >= kCommBytes, secrets);
  }
  uint64_t budget = kPatternBudget;
  patterns_.Find(name, budget, secrets);
  if (!secrets.empty()) {
    name = secrets.Applied(name);
  }
}

void Redactor::Closed(std::atomic<uint64_t>& counter, uint64_t times, const char* reason) {
  if (times > 0 && counter.fetch_add(times) == 0) {
    spdlog::warn("redact: an argument was redacted as a whole: {} (counted; said once)", reason);
  }
}

std::map<std::string, uint64_t> Redactor::Counts() const {
  return {{"arguments", arguments_},
          {"too_long", too_long_},
          {"too_expensive", too_expensive_},
          {"too_deep", too_deep_}};
}

}  // namespace vedette
