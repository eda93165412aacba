// SPDX-License-Identifier: Apache-2.0
#include "agent/redact/command_line.h"

#include <absl/strings/ascii.h>

#include <algorithm>
#include <optional>

#include "agent/redact/programs.h"
#include "agent/redact/secret_name.h"

namespace vedette {
namespace {

constexpr int kMaxDepth = 3;
constexpr std::string_view kSpaces = " \t\r\v\f\n";
constexpr std::string_view kOperators = "\n;|&<>()";

bool IsIn(std::string_view set, char c) { return set.find(c) != set.npos; }
bool IsQuote(char c) { return c == '"' || c == '\'' || c == '`'; }

// A word of a command line: an argument, or a part of one.
struct Word {
  std::string_view text;
  size_t argument = 0;
  size_t offset = 0;  // In the argument.
};

Word Part(const Word& word, size_t begin, size_t size = std::string_view::npos) {
  return {word.text.substr(begin, size), word.argument, word.offset + begin};
}

size_t WordEnd(std::string_view text, size_t begin) {
  char quote = 0;
  for (size_t i = begin; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      ++i;
    } else if (quote != 0) {
      quote = c == quote ? 0 : quote;
    } else if (IsQuote(c)) {
      quote = c;
    } else if (IsIn(kSpaces, c) || IsIn(kOperators, c)) {
      return i;
    }
  }
  return text.size();
}

// The words of a text as a shell sees them, roughly: quotes hold words together, operators are
// words of their own.
std::vector<Word> WordsOf(const Word& whole) {
  std::vector<Word> words;
  size_t i = 0;
  while (i < whole.text.size()) {
    if (IsIn(kOperators, whole.text[i])) {
      words.push_back(Part(whole, i, 1));
      ++i;
    } else if (IsIn(kSpaces, whole.text[i])) {
      ++i;
    } else {
      const size_t end = WordEnd(whole.text, i);
      words.push_back(Part(whole, i, end - i));
      i = end;
    }
  }
  return words;
}

// Without the quotes around it, escaped or not.
Word Unquoted(Word word) {
  if (word.text.size() > 1 && word.text.front() == '\\' && IsQuote(word.text[1])) {
    word = Part(word, 1);
  }
  if (word.text.empty() || !IsQuote(word.text.front())) {
    return word;
  }
  const char quote = word.text.front();
  word = Part(word, 1);
  if (!word.text.empty() && word.text.back() == quote) {
    word.text.remove_suffix(1);
    if (!word.text.empty() && word.text.back() == '\\') {
      word.text.remove_suffix(1);
    }
  }
  return word;
}

bool IsLongOption(std::string_view text) {
  return text.size() > 3 && text.starts_with("--") &&
         std::all_of(text.begin() + 2, text.begin() + std::min(text.find('='), text.size()),
                     [](char c) { return c == '-' || absl::ascii_islower(c); });
}

std::string Lower(std::string_view text) {
  return absl::AsciiStrToLower({text.data(), text.size()});
}

// One command line, word by word.
class Walk {
 public:
  Walk(int depth, std::vector<Secrets>& secrets, uint64_t& too_deep)
      : depth_(depth), secrets_(secrets), too_deep_(too_deep) {}

  void Step(const Word& raw) {
    if (depth_ > 0 && raw.text.size() == 1 && IsIn(kOperators, raw.text.front())) {
      pending_.reset();
      return;
    }
    const Word word = depth_ > 0 ? Unquoted(raw) : raw;
    const bool is_option = word.text.size() > 1 && word.text.front() == '-';
    if (pending_ && !IsLongOption(word.text)) {
      const Pending pending = *pending_;
      pending_.reset();
      Hide(pending, word);
      // A value that looks like an option may be one, with a secret of its own.
      if (is_option) {
        Option(word);
      }
    } else {
      pending_.reset();
      is_option ? Option(word) : Bare(word);
    }
    if (word.text.find_first_of(kSpaces) != word.text.npos) {
      Descend(word);
    }
    before_ = word.text;
    ++steps_;
  }

 private:
  struct Pending {
    ValueHolds holds = ValueHolds::kSecret;
    NameSays says = NameSays::kSecret;
  };

  void Add(const Word& word) {
    secrets_[word.argument].Add(word.offset, word.offset + word.text.size());
  }

  void Hide(const Pending& pending, const Word& word) {
    char border = 0;
    switch (pending.holds) {
      case ValueHolds::kSecret:
        if (!IsHarmlessValue(pending.says, word.text) && !NamesAnotherPlace(word.text)) {
          Add(word);
        }
        return;
      case ValueHolds::kAfterColon:
        border = ':';
        break;
      case ValueHolds::kAfterPercent:
        border = '%';
        break;
      case ValueHolds::kAfterComma:
        border = ',';
        break;
    }
    if (const size_t at = word.text.find(border); at != word.text.npos) {
      Add(Part(word, at + 1));
    }
  }

  // "openssl … -passin env:NAME"
  bool NamesAnotherPlace(std::string_view text) const {
    return program_ != nullptr && program_ == KnownProgram("openssl") &&
           (text.starts_with("env:") || text.starts_with("file:") || text.starts_with("fd:") ||
            text == "stdin");
  }

  bool ProgramOption(const Word& word) {
    if (program_ == nullptr || (program_->only_login && !login_)) {
      return false;
    }
    for (const SecretOption* option = program_->begin; option != program_->end; ++option) {
      if (word.text.starts_with("--")) {
        const size_t equals = std::min(word.text.find('='), word.text.size());
        if (option->long_name.empty() || word.text.substr(2, equals - 2) != option->long_name) {
          continue;
        }
        if (equals == word.text.size()) {
          pending_ = Pending{option->holds};
        } else {
          Hide({option->holds}, Part(word, equals + 1));
        }
        return true;
      }
      size_t at = 1;
      while (at < word.text.size() && IsIn(option->switches, word.text[at])) {
        ++at;
      }
      if (at == word.text.size() || word.text[at] != option->letter) {
        continue;
      }
      const bool attached = at + 1 < word.text.size();
      if (attached && option->stands != ValueStands::kNext) {
        Hide({option->holds}, Part(word, at + 1));
        return true;
      }
      if (!attached && option->stands != ValueStands::kAttached) {
        pending_ = Pending{option->holds};
        return true;
      }
    }
    return false;
  }

  void Option(const Word& word) {
    // With its value in the same argument it was found by its name already.
    if (ProgramOption(word) || word.text.find('=') != word.text.npos) {
      return;
    }
    const std::string_view name = word.text.substr(word.text.starts_with("--") ? 2 : 1);
    if (name.size() < 3) {
      return;
    }
    if (const NameSays says = WhatNameSays(name); says != NameSays::kNothing) {
      pending_ = Pending{ValueHolds::kSecret, says};
    }
  }

  void Bare(const Word& word) {
    if (const ProgramOptions* program = KnownProgram(word.text)) {
      program_ = program;
      login_ = false;
      return;
    }
    if (word.text == "login") {
      login_ = true;
      return;
    }
    if (steps_ > 0 && AsksForValue(word.text)) {
      pending_ = Pending{ValueHolds::kSecret, NameSays::kKey};
    }
  }

  // Words without dashes after which a secret stands: "config set requirepass X", "aws configure
  // set aws_secret_access_key X", "IDENTIFIED BY 'x'", "Bearer X".
  bool AsksForValue(std::string_view text) const {
    const std::string lower = Lower(text.substr(0, 64));
    if (lower == "password" || lower == "passphrase" || lower == "requirepass" ||
        lower == "masterauth" || lower == "bearer") {
      return true;
    }
    if (lower == "by") {
      return Lower(before_.substr(0, 16)) == "identified";
    }
    const size_t tail = text.find_last_of("./:");
    const char border = tail == text.npos ? 0 : text[tail];
    const std::string_view name = tail == text.npos ? text : text.substr(tail + 1);
    const bool is_name = std::all_of(name.begin(), name.end(), [](char c) {
      return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
    });
    if (!is_name || border == '/' || (border != ':' && text.find('/') != text.npos) ||
        (border == 0 && name.find('_') == name.npos)) {
      return false;
    }
    return WhatNameSays(name) == NameSays::kSecret;
  }

  void Descend(const Word& word) {
    std::vector<Word> words = WordsOf(word);
    if (words.size() == 1) {
      // "--command='…'": what the quotes hold.
      const size_t quote = word.text.find_first_of("\"'`");
      if (quote == word.text.npos) {
        return;
      }
      words = WordsOf(Unquoted(Part(word, quote)));
    }
    if (depth_ == kMaxDepth) {
      ++too_deep_;
      Add(word);
      return;
    }
    Walk inner(depth_ + 1, secrets_, too_deep_);
    for (const Word& part : words) {
      inner.Step(part);
    }
  }

  const int depth_;
  std::vector<Secrets>& secrets_;
  uint64_t& too_deep_;
  std::optional<Pending> pending_;
  const ProgramOptions* program_ = nullptr;
  bool login_ = false;
  std::string_view before_;
  size_t steps_ = 0;
};

bool RunsScripts(std::string_view argument) {
  const std::string_view name = argument.substr(argument.rfind('/') + 1);
  return name.ends_with("sh") || name == "su" || name == "runuser" || name == "flock" ||
         name == "script" || name == "busybox";
}

}  // namespace

void FindSecretsByPlace(absl::Span<const std::string> argv, std::vector<Secrets>& secrets,
                        uint64_t& too_deep) {
  Walk walk(0, secrets, too_deep);
  for (size_t i = 0; i < argv.size(); ++i) {
    walk.Step({argv[i], i, 0});
  }
}

bool IsScript(absl::Span<const std::string> argv, size_t index) {
  if (index < 2) {
    return false;
  }
  const std::string& option = argv[index - 1];
  return option.size() >= 2 && option.size() <= 8 && option.front() == '-' &&
         option.back() == 'c' && option[1] != '-' &&
         std::any_of(argv.begin(), argv.begin() + static_cast<ptrdiff_t>(index) - 1,
                     [](const std::string& argument) { return RunsScripts(argument); });
}

}  // namespace vedette
