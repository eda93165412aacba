// SPDX-License-Identifier: Apache-2.0
#include "agent/redact/secret_name.h"

#include <absl/strings/ascii.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace vedette {
namespace {

using Words = std::vector<std::string>;

template <size_t N>
bool IsOneOf(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// A name without any of these holds no secret; most names end here.
constexpr std::array<std::string_view, 14> kStems = {"pass", "pwd",  "secret", "token",  "cred",
                                                     "key",  "auth", "cookie", "bearer", "jwt",
                                                     "psk",  "otp",  "sig",    "pin"};

constexpr std::array<std::string_view, 7> kSecretParts = {
    "password", "passwd", "passphrase", "passcode", "credential", "apikey", "authorization"};
constexpr std::array<std::string_view, 8> kSecretEnds = {"secret", "secrets", "token",  "tokens",
                                                         "cred",   "creds",   "bearer", "jwt"};
// Names whose last word alone says that the value is secret.
constexpr std::array<std::string_view, 19> kSecretLast = {
    "auth",       "cookie",  "cookies",       "psk",       "otp",       "signature", "sig",
    "pin",        "authkey", "secretkey",     "accesskey", "masterkey", "sharedkey", "accountkey",
    "signingkey", "appkey",  "encryptionkey", "sessionid", "sessionkey"};
constexpr std::array<std::string_view, 13> kOtherPass = {
    "bypass",  "compass",  "trespass", "surpass", "overpass",  "underpass", "encompass",
    "lowpass", "highpass", "bandpass", "allpass", "multipass", "singlepass"};

// Yes or no, or how many: "--no-password", "--max-tokens".
constexpr std::array<std::string_view, 20> kNotFirst = {
    "no", "ask", "without", "disable", "enable", "use",  "require", "show",  "hide",   "has",
    "is", "max", "min",     "num",     "n",      "skip", "allow",   "print", "prompt", "need"};
// Something about the secret: where it is, how long it lives.
constexpr std::array<std::string_view, 75> kNotLast = {
    "file",     "files",    "path",    "paths",    "dir",       "directory",  "name",
    "names",    "id",       "ids",     "type",     "types",     "stdin",      "fd",
    "env",      "length",   "len",     "size",     "count",     "counts",     "limit",
    "limits",   "prompt",   "ttl",     "expiry",   "expires",   "expiration", "timeout",
    "lifetime", "duration", "url",     "uri",      "endpoint",  "ref",        "manager",
    "store",    "storage",  "policy",  "format",   "algorithm", "algo",       "helper",
    "provider", "source",   "version", "usage",    "spec",      "sock",       "socket",
    "server",   "host",     "port",    "user",     "username",  "method",     "mode",
    "class",    "field",    "label",   "column",   "prefix",    "suffix",     "pattern",
    "interval", "strength", "through", "required", "enabled",   "disabled",   "issuer",
    "audience", "scope",    "arn",     "plugin",   "namespace"};

constexpr std::array<std::string_view, 24> kSecretKeys = {
    "api",         "access",  "secret",  "auth",        "account",      "shared",
    "master",      "storage", "app",     "application", "encryption",   "signing",
    "deploy",      "license", "session", "consumer",    "subscription", "service",
    "integration", "write",   "ingest",  "recovery",    "unseal",       "bot"};
constexpr std::array<std::string_view, 30> kOtherKeys = {
    "public",  "pub",   "sort",     "primary", "foreign", "partition", "cache", "index",
    "row",     "hot",   "group",    "object",  "dedup",   "unique",    "range", "routing",
    "shard",   "map",   "merge",    "join",    "lookup",  "registry",  "reg",   "config",
    "message", "arrow", "function", "known",   "trusted", "host"};

bool IsBoundary(std::string_view name, size_t i) {
  const auto upper = [&](size_t at) { return absl::ascii_isupper(name[at]); };
  const auto lower = [&](size_t at) { return absl::ascii_islower(name[at]); };
  return i > 0 && upper(i) &&
         (lower(i - 1) || (upper(i - 1) && i + 1 < name.size() && lower(i + 1)));
}

// In lower case, split where the case or the kind of character says so, without digits at the ends
// of words: "dbPassword2" is "db", "password".
Words WordsOf(std::string_view name) {
  Words words;
  std::string word;
  const auto end_word = [&] {
    while (!word.empty() && absl::ascii_isdigit(word.back())) {
      word.pop_back();
    }
    if (!word.empty()) {
      words.push_back(std::move(word));
    }
    word.clear();
  };
  for (size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    if (!absl::ascii_isalnum(c) || IsBoundary(name, i)) {
      end_word();
    }
    if (absl::ascii_isalnum(c)) {
      word += absl::ascii_tolower(c);
    }
  }
  end_word();
  return words;
}

bool SaysSecret(std::string_view word) {
  if (word == "passwordless") {
    return false;
  }
  return std::any_of(kSecretParts.begin(), kSecretParts.end(),
                     [&](std::string_view part) { return word.find(part) != word.npos; }) ||
         std::any_of(kSecretEnds.begin(), kSecretEnds.end(),
                     [&](std::string_view end) { return word.ends_with(end); });
}

NameSays OfLastWord(const Words& words) {
  const std::string_view last = words.back();
  const std::string_view before = words.size() > 1 ? words[words.size() - 2] : std::string_view();
  if (last == "key" || last == "keys") {
    if (IsOneOf(before, kOtherKeys)) {
      return NameSays::kNothing;
    }
    return IsOneOf(before, kSecretKeys) ? NameSays::kSecret
           : before.empty()             ? NameSays::kBareKey
                                        : NameSays::kKey;
  }
  if (last == "privatekey" || last == "privkey" || last == "sshkey" || last.ends_with("pwd")) {
    return NameSays::kKey;
  }
  const bool pass = last == "passin" || last == "passout" || last == "requirepass" ||
                    (last.ends_with("pass") && !IsOneOf(last, kOtherPass));
  return pass || last == "masterauth" || IsOneOf(last, kSecretLast) ? NameSays::kSecret
                                                                    : NameSays::kNothing;
}

bool ContainsStem(std::string_view name) {
  const std::string lower = absl::AsciiStrToLower({name.data(), name.size()});
  return std::any_of(kStems.begin(), kStems.end(),
                     [&](std::string_view stem) { return lower.find(stem) != lower.npos; });
}

bool LooksLikeFile(std::string_view value) {
  static constexpr std::array<std::string_view, 15> kEndings = {
      ".pem", ".key",  ".crt",  ".cer", ".der", ".p12", ".pfx", ".jks",
      ".pub", ".json", ".yaml", ".yml", ".txt", ".gpg", ".asc"};
  if (value.find_first_of("+= \t\n") != value.npos) {
    return false;
  }
  return value.starts_with('/') || value.starts_with("./") || value.starts_with("../") ||
         value.starts_with("~/") || value.starts_with("file:") ||
         std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return value.ends_with(ending); });
}

// "sort --key=2,2n"
bool LooksLikeField(std::string_view value) {
  return value.size() <= 6 && absl::ascii_isdigit(value.front());
}

}  // namespace

NameSays WhatNameSays(std::string_view name) {
  if (!ContainsStem(name)) {
    return NameSays::kNothing;
  }
  const Words words = WordsOf(name);
  if (words.empty() || (words.size() > 1 && IsOneOf(words.front(), kNotFirst))) {
    return NameSays::kNothing;
  }
  // A secret_id is the secret half of a pair.
  const bool pair = words.size() > 1 && words.back() == "id" && words[words.size() - 2] == "secret";
  if (words.size() > 1 && IsOneOf(words.back(), kNotLast) && !pair) {
    return NameSays::kNothing;
  }
  if (std::any_of(words.begin(), words.end(), SaysSecret)) {
    // Credentials are given as a path as often as in themselves.
    const bool path_like = words.back().starts_with("cred") || words.back() == "credentials";
    return path_like ? NameSays::kKey : NameSays::kSecret;
  }
  return OfLastWord(words);
}

bool IsHarmlessValue(NameSays says, std::string_view value) {
  if (value.empty() || value == "true" || value == "false" || value == "null" || value == "none") {
    return true;
  }
  if (says == NameSays::kBareKey && LooksLikeField(value)) {
    return true;
  }
  return says != NameSays::kSecret && LooksLikeFile(value);
}

}  // namespace vedette
