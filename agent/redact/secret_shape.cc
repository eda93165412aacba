// SPDX-License-Identifier: Apache-2.0
#include "agent/redact/secret_shape.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>

#include <algorithm>
#include <array>

namespace vedette {
namespace {

// A prefix and how many bytes of a token follow it at least.
struct Shape {
  std::string_view prefix;
  size_t tail;
};

// Identifiers of AWS keys: capitals and digits alone.
constexpr size_t kKeyIdTail = 11;

constexpr std::array<Shape, 55> kShapes = {{{"ghp_", 16},         {"gho_", 16},
                                            {"ghu_", 16},         {"ghs_", 16},
                                            {"ghr_", 16},         {"github_pat_", 16},
                                            {"glpat-", 12},       {"gldt-", 12},
                                            {"glrt-", 12},        {"glptt-", 12},
                                            {"glcbt-", 12},       {"AKIA", kKeyIdTail},
                                            {"ASIA", kKeyIdTail}, {"ABIA", kKeyIdTail},
                                            {"LTAI", 12},         {"xoxa-", 8},
                                            {"xoxb-", 8},         {"xoxe-", 8},
                                            {"xoxe.", 8},         {"xoxp-", 8},
                                            {"xoxr-", 8},         {"xoxs-", 8},
                                            {"xoxo-", 8},         {"xapp-", 8},
                                            {"AIza", 30},         {"ya29.", 16},
                                            {"GOCSPX-", 16},      {"eyJ", 12},
                                            {"sk_live_", 10},     {"sk_test_", 10},
                                            {"rk_live_", 10},     {"rk_test_", 10},
                                            {"whsec_", 16},       {"sk-", 20},
                                            {"npm_", 30},         {"pypi-", 16},
                                            {"dop_v1_", 16},      {"doo_v1_", 16},
                                            {"dor_v1_", 16},      {"hvs.", 16},
                                            {"hvb.", 16},         {"SG.", 20},
                                            {"shpat_", 16},       {"shpss_", 16},
                                            {"shpca_", 16},       {"hf_", 20},
                                            {"xkeysib-", 16},     {"dckr_pat_", 12},
                                            {"dapi", 32},         {"AGE-SECRET-KEY-1", 16},
                                            {"rubygems_", 16},    {"sntrys_", 16},
                                            {"glsa_", 16},        {"PMAK-", 16},
                                            {"lin_api_", 16}}};

constexpr std::string_view kPemBegin = "-----BEGIN ";
constexpr std::string_view kPemEnd = "-----END ";
constexpr std::string_view kDashes = "-----";

bool IsAlnum(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }

bool IsTokenByte(char c) {
  return IsAlnum(c) || c == '_' || c == '-' || c == '.' || c == '~' || c == '+' || c == '/' ||
         c == '=' || c == '%';
}

bool IsPlainTokenByte(char c) { return IsAlnum(c) || c == '_' || c == '-' || c == '+'; }

bool IsUpperAlnum(char c) {
  return absl::ascii_isupper(static_cast<unsigned char>(c)) ||
         absl::ascii_isdigit(static_cast<unsigned char>(c));
}

size_t TokenEnd(std::string_view text, size_t begin) {
  while (begin < text.size() && IsTokenByte(text[begin])) {
    ++begin;
  }
  return begin;
}

std::array<bool, 256> FirstBytes() {
  std::array<bool, 256> first = {};
  for (const Shape& shape : kShapes) {
    first[static_cast<unsigned char>(shape.prefix.front())] = true;
  }
  for (const char c : {'b', 'B'}) {
    first[static_cast<unsigned char>(c)] = true;
  }
  return first;
}

bool StartsWithWord(std::string_view text, std::string_view lower) {
  return text.size() > lower.size() &&
         absl::EqualsIgnoreCase({text.data(), lower.size()}, {lower.data(), lower.size()}) &&
         (text[lower.size()] == ' ' || text[lower.size()] == '\t');
}

// "Basic" is a word of everyday language: what follows must look encoded.
bool LooksEncoded(std::string_view token) {
  return token.size() >= 8 && std::any_of(token.begin(), token.end(), [](char c) {
           return absl::ascii_isupper(static_cast<unsigned char>(c)) ||
                  absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '=';
         });
}

// Gives where to go on.
size_t FindScheme(std::string_view text, size_t at, Secrets& found) {
  const std::string_view rest = text.substr(at);
  const bool bearer = StartsWithWord(rest, "bearer");
  if (!bearer && !StartsWithWord(rest, "basic")) {
    return at + 1;
  }
  const size_t begin = text.find_first_not_of(" \t", at + (bearer ? 6 : 5));
  if (begin == text.npos) {
    return text.size();
  }
  const size_t end = TokenEnd(text, begin);
  if (bearer || LooksEncoded(text.substr(begin, end - begin))) {
    found.Add(begin, end);
  }
  return std::max(end, begin);
}

size_t FindToken(std::string_view text, size_t at, bool cut, Secrets& found) {
  for (const Shape& shape : kShapes) {
    if (!text.substr(at).starts_with(shape.prefix)) {
      continue;
    }
    // The name of a continent is no key, nor is a path a token.
    const bool key_id = shape.tail == kKeyIdTail;
    const size_t tail = at + shape.prefix.size();
    size_t end = tail;
    while (end < text.size() && (key_id ? IsUpperAlnum(text[end]) : IsPlainTokenByte(text[end]))) {
      ++end;
    }
    if (end - tail < shape.tail && !(cut && end == text.size())) {
      continue;
    }
    end = TokenEnd(text, end);
    found.Add(at, end);
    return end;
  }
  return FindScheme(text, at, found);
}

void FindPrivateKeys(std::string_view text, Secrets& found) {
  for (size_t at = text.find(kPemBegin); at != text.npos; at = text.find(kPemBegin, at)) {
    const size_t label = at + kPemBegin.size();
    const size_t label_end = std::min(text.find(kDashes, label), text.size());
    // A certificate is public. A label that was cut may be that of a key.
    if (label_end != text.size() &&
        text.substr(label, label_end - label).find("PRIVATE KEY") == text.npos) {
      at = label_end;
      continue;
    }
    const size_t end_line = text.find(kPemEnd, label);
    if (end_line == text.npos) {
      found.Add(at, text.size());
      return;
    }
    const size_t closing = text.find(kDashes, end_line + kPemEnd.size());
    const size_t end = closing == text.npos ? text.size() : closing + kDashes.size();
    found.Add(at, end);
    at = end;
  }
}

}  // namespace

void FindShapedSecrets(std::string_view text, bool cut, Secrets& found) {
  static const std::array<bool, 256> kFirst = FirstBytes();
  FindPrivateKeys(text, found);
  for (size_t i = 0; i < text.size();) {
    const bool word_begins = i == 0 || !IsAlnum(text[i - 1]);
    i = word_begins && kFirst[static_cast<unsigned char>(text[i])] ? FindToken(text, i, cut, found)
                                                                   : i + 1;
  }
  // Whoever knows the address of a webhook may post.
  static constexpr std::string_view kHooks[] = {"hooks.slack.com/services/", "/api/webhooks/"};
  for (const std::string_view hook : kHooks) {
    if (const size_t at = text.find(hook); at != text.npos) {
      found.Add(at + hook.size(), TokenEnd(text, at + hook.size()));
    }
  }
}

}  // namespace vedette
