// SPDX-License-Identifier: Apache-2.0
#include "agent/redact/secret_text.h"

#include <absl/strings/ascii.h>

#include <algorithm>

#include "agent/redact/secret_name.h"

namespace vedette {
namespace {

constexpr size_t kMaxNameBytes = 128;
constexpr std::string_view kSpaces = " \t\r\n\v\f";

bool IsNameByte(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.' ||
         c == '[' || c == ']';
}
bool IsSpace(char c) { return kSpaces.find(c) != kSpaces.npos; }
bool IsQuote(char c) { return c == '"' || c == '\'' || c == '`'; }

// The end of a quoted text whose first byte is at `begin`: the same quote, behind as many
// backslashes as the opening one.
size_t QuoteEnd(std::string_view text, size_t begin, char quote, bool escaped) {
  for (size_t i = begin; i < text.size(); ++i) {
    if (text[i] == quote) {
      return escaped && i > begin && text[i - 1] == '\\' ? i - 1 : i;
    }
    if (text[i] == '\\' && !escaped) {
      ++i;
    }
  }
  return text.size();
}

// One pass over one text. `quote_` is the quote that the byte looked at stands in.
class NameScan {
 public:
  NameScan(std::string_view text, bool is_script, Secrets& found)
      : text_(text), is_script_(is_script), found_(found) {}

  void Run() {
    for (size_t i = 0; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '\\') {
        ++i;
      } else if (IsQuote(c)) {
        quote_ = quote_ == 0 ? c : quote_ == c ? 0 : quote_;
      } else if (c == '=' || c == ':' || c == '>') {
        i = std::max(i, Separator(i));
      }
    }
  }

 private:
  struct Name {
    size_t begin = 0, end = 0;
    bool spaced = false;  // Between the name and its separator.
    bool quoted = false;
    NameSays says = NameSays::kNothing;
  };

  Name NameBefore(size_t separator) const {
    Name name;
    size_t end = separator;
    while (end > 0 && (text_[end - 1] == ' ' || text_[end - 1] == '\t') && separator - end < 8) {
      --end;
      name.spaced = true;
    }
    if (end > 0 && IsQuote(text_[end - 1])) {
      name.quoted = true;
      --end;
      end -= end > 0 && text_[end - 1] == '\\';
    }
    size_t begin = end;
    while (begin > 0 && IsNameByte(text_[begin - 1]) && end - begin < kMaxNameBytes) {
      --begin;
    }
    name.begin = begin;
    name.end = end;
    name.says = WhatNameSays(text_.substr(begin, end - begin));
    const char before = begin > 0 ? text_[begin - 1] : 0;
    if (name.says == NameSays::kBareKey && before != '?' && before != '&') {
      name.says = NameSays::kNothing;
      // As an option it is one: "--key=…".
      if (begin == 0 && text_.front() == '-' && text_[separator] == '=') {
        name.says = NameSays::kBareKey;
      }
    }
    return name;
  }

  // Gives the last byte that needs no further look.
  size_t Separator(size_t at) {
    const Name name = NameBefore(at);
    if (name.says == NameSays::kNothing) {
      return at;
    }
    const char c = text_[at];
    if (c == '>' && (name.begin == 0 || text_[name.begin - 1] != '<')) {
      return at;
    }
    size_t begin = at + 1;
    if (c == ':' && begin < text_.size() &&
        ((text_[begin] == '/' && !name.quoted) || text_[begin] == ':')) {
      return at;  // A volume, a URL, a scope.
    }
    while (begin < text_.size() && begin < at + 3 && (text_[begin] == '=' || text_[begin] == '>')) {
      ++begin;
    }
    if (c == ':' || name.spaced || name.quoted) {
      begin = std::min(text_.find_first_not_of(kSpaces, begin), text_.size());
    }
    bool quoted = false;
    const size_t end = ValueEnd(name, at, begin, quoted);
    if (!IsHarmlessValue(name.says, text_.substr(begin, end - begin))) {
      found_.Add(begin, end);
    }
    // The quote that closes it was opened here, too.
    return quoted ? std::min(end, text_.size() - 1) : std::max(end, at + 1) - 1;
  }

  // `begin` moves behind an opening quote.
  size_t ValueEnd(const Name& name, size_t separator, size_t& begin, bool& quoted) const {
    const char c = text_[separator];
    if (c == '>') {
      return std::min(text_.find('<', begin), text_.size());
    }
    const bool first = !is_script_ && BeginsArgument(name.begin);
    if (first && c == '=') {
      return QueryEnd(begin);
    }
    const size_t slash = begin < text_.size() && text_[begin] == '\\' ? 1 : 0;
    if (begin + slash < text_.size() && IsQuote(text_[begin + slash]) &&
        (slash != 0 || text_[begin] != quote_)) {
      const char quote = text_[begin + slash];
      begin += slash + 1;
      quoted = true;
      size_t end = QuoteEnd(text_, begin, quote, slash != 0);
      // Shells join what stands side by side: 'a'"b".
      if (is_script_ && slash == 0 && end + 1 < text_.size() && !EndsWord(end + 1)) {
        end = WordEnd(end + 1);
        --begin;  // With its quotes: they do not pair any more.
      }
      return end;
    }
    if (c == ':' && (first || quote_ != 0 || IsHeader(name))) {
      return LineEnd(begin);
    }
    return WordEnd(begin);
  }

  // "NAME=…", or "--option=NAME=…".
  bool BeginsArgument(size_t begin) const {
    return begin == 0 || (text_.front() == '-' && text_.find('=') == begin - 1);
  }

  bool IsHeader(const Name& name) const {
    const std::string_view text = text_.substr(name.begin, name.end - name.begin);
    return text.size() >= 6 && (text.find('-') != text.npos || text.ends_with("orization"));
  }

  bool EndsWord(size_t at) const {
    return IsSpace(text_[at]) || text_[at] == ';' || text_[at] == '|' || text_[at] == '&' ||
           text_[at] == ')' || text_[at] == ',' || text_[at] == '}' || text_[at] == quote_;
  }

  // To the end of the line or of the quotes around.
  size_t LineEnd(size_t begin) const {
    size_t end = begin;
    while (end < text_.size() && text_[end] != '\n' && text_[end] != '\r' &&
           (quote_ == 0 || text_[end] != quote_)) {
      ++end;
    }
    return end;
  }

  // To the end, but for further parameters of a query.
  size_t QueryEnd(size_t begin) const {
    for (size_t i = begin; i < text_.size(); ++i) {
      if (text_[i] == '&' && NameFollows(i + 1)) {
        return i;
      }
    }
    return text_.size();
  }

  bool NameFollows(size_t at) const {
    size_t end = at;
    while (end < text_.size() && IsNameByte(text_[end]) && end - at < kMaxNameBytes) {
      ++end;
    }
    return end > at && end < text_.size() && text_[end] == '=';
  }

  // A comma, a semicolon, a bracket can be part of a secret: they end it only where something of
  // the text's own follows.
  bool Closes(size_t at) const {
    const char c = text_[at];
    if (c == '&' || c == ',' || c == ';' || c == '|') {
      return at + 1 == text_.size() || IsSpace(text_[at + 1]) || IsQuote(text_[at + 1]) ||
             (c != '|' && NameFollows(at + 1)) || text_[at + 1] == c;
    }
    if (c != '}' && c != ']' && c != ')') {
      return false;
    }
    size_t end = at;
    while (end < text_.size() && (text_[end] == '}' || text_[end] == ']' || text_[end] == ')')) {
      ++end;
    }
    return end == text_.size() || IsSpace(text_[end]) || IsQuote(text_[end]) || text_[end] == ',' ||
           text_[end] == ';';
  }

  size_t WordEnd(size_t begin) const {
    size_t i = begin;
    if (text_.substr(begin).starts_with(kRedacted)) {
      i += kRedacted.size();
    }
    while (i < text_.size() && !IsSpace(text_[i])) {
      const char c = text_[i];
      if (c == '\\' && i + 1 < text_.size()) {
        if (text_[i + 1] == quote_ || IsQuote(text_[i + 1])) {
          return i;
        }
        i += 2;
      } else if (quote_ != 0 && c == quote_) {
        return i;
      } else if (quote_ == 0 && IsQuote(c)) {
        i = std::min(QuoteEnd(text_, i + 1, c, false) + 1, text_.size());
      } else if (Closes(i)) {
        return i;
      } else {
        ++i;
      }
    }
    return std::min(i, text_.size());
  }

  const std::string_view text_;
  const bool is_script_;
  Secrets& found_;
  char quote_ = 0;
};

// "user:password@host" without a scheme, as a whole word.
void FindBareUserInfo(std::string_view text, size_t begin, Secrets& found) {
  size_t colon = begin;
  while (colon < text.size() &&
         (IsNameByte(text[colon]) || text[colon] == '%' || text[colon] == '+')) {
    ++colon;
  }
  if (colon == begin || colon == text.size() || text[colon] != ':') {
    return;
  }
  const size_t end = std::min(text.find_first_of(" \t\r\n\"'", colon), text.size());
  const size_t at = text.substr(0, end).find('@', colon);
  if (at == text.npos || at == colon + 1 || text[colon + 1] == '/' || at + 1 == end) {
    return;
  }
  // "image:tag@sha256:…" is the name of an image.
  const std::string_view host = text.substr(at + 1, end - at - 1);
  if (!absl::ascii_isalnum(static_cast<unsigned char>(host.front())) ||
      host.starts_with("sha256:") || host.starts_with("sha512:")) {
    return;
  }
  found.Add(colon + 1, begin + text.substr(begin, end - begin).rfind('@'));
}

bool AllDigits(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); });
}

}  // namespace

void FindNamedSecrets(std::string_view text, bool is_script, Secrets& found) {
  NameScan(text, is_script, found).Run();
}

void FindUserInfo(std::string_view text, Secrets& found) {
  FindBareUserInfo(text, 0, found);
  if (const size_t equals = text.find('='); equals != text.npos) {
    FindBareUserInfo(text, equals + 1, found);
  }
  size_t last_at = text.npos;  // The last '@' of the run without spaces that ends at `run_end`.
  size_t run_end = 0;
  for (size_t i = text.find("://"); i != text.npos; i = text.find("://", i + 3)) {
    const size_t begin = i + 3;
    const size_t authority_end =
        std::min(text.find_first_of("/?# \t\r\n\"'<>\\`", begin), text.size());
    const std::string_view authority = text.substr(begin, authority_end - begin);
    if (const size_t at = authority.rfind('@'); at != authority.npos) {
      found.Add(begin, begin + at);
      continue;
    }
    // A password that should have been escaped: "u:p/a#b@host".
    const size_t colon = authority.rfind(':');
    if (colon == authority.npos || authority.ends_with(']') ||
        AllDigits(authority.substr(colon + 1))) {
      continue;
    }
    if (begin >= run_end) {
      run_end = std::min(text.find_first_of(" \t\r\n\"'<>`", begin), text.size());
      last_at = text.substr(0, run_end).rfind('@');
    }
    if (last_at != text.npos && last_at > begin) {
      found.Add(begin, last_at);
    }
  }
}

}  // namespace vedette
