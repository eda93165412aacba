// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/unit_name.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "agent/enrich/name_parts.h"
#include "fmt/format.h"

namespace vedette {
namespace {

constexpr std::array<std::string_view, 5> kUnitSuffixes = {".service", ".scope", ".mount",
                                                           ".socket", ".swap"};

// Scopes are made at run time by programs, which put a number, a hash or a UUID at the end.
std::string_view WithoutScopeNumber(std::string_view stem) {
  while (true) {
    if (stem.size() > kUuidLength + 1 && IsUuid(stem.substr(stem.size() - kUuidLength))) {
      stem.remove_suffix(kUuidLength + 1);
      continue;
    }
    const size_t cut = stem.find_last_of("-.");
    if (cut == std::string_view::npos || cut == 0) {
      return stem;
    }
    const std::string_view last = stem.substr(cut + 1);
    if (!IsDigits(last) && !IsRandom(last)) {
      return stem;
    }
    stem = stem.substr(0, cut);
  }
}

// systemd-run's units: run-r<hex>, run-u<n>, run-p<pid>-i<n>, run-<pid>; logind's: session-3, -c3.
bool IsNumbered(std::string_view stem, std::string_view base) {
  if (!stem.starts_with(base)) {
    return false;
  }
  stem.remove_prefix(base.size());
  while (!stem.empty()) {
    if (stem.front() != '-') {
      return false;
    }
    const size_t end = std::min(stem.find('-', 1), stem.size());
    std::string_view token = stem.substr(1, end - 1);
    stem.remove_prefix(end);
    const bool hashed = token.size() >= 9 && token.front() == 'r' && IsHex(token.substr(1));
    if (!token.empty() && std::string_view("cupi").find(token.front()) != std::string_view::npos) {
      token.remove_prefix(1);
    }
    if (!hashed && !IsDigits(token)) {
      return false;
    }
  }
  return true;
}

// "machine-qemu\x2d3\x2dweb.scope": libvirt counts starts; the name alone stays.
std::string WithoutMachineNumber(std::string_view stem) {
  constexpr std::string_view kDash = "\\x2d";
  const size_t first = stem.find(kDash);
  if (first == std::string_view::npos) {
    return std::string(stem);
  }
  const size_t second = stem.find(kDash, first + kDash.size());
  if (second == std::string_view::npos ||
      !IsDigits(stem.substr(first + kDash.size(), second - first - kDash.size()))) {
    return std::string(stem);
  }
  return fmt::format("{}{}", stem.substr(0, first), stem.substr(second));
}

// "<UUID>.web": Nomad puts the allocation before the task's name.
std::string_view WithoutRandomStart(std::string_view stem) {
  const bool has_both = stem.size() > kUuidLength + 1 && stem[kUuidLength] == '.';
  return has_both && IsUuid(stem.substr(0, kUuidLength)) ? stem.substr(kUuidLength + 1) : stem;
}

// "dbus\\x2d:1.2\\x2dorg.example": the bus counts what connects to it.
std::string WithoutBusNumber(std::string stem) {
  constexpr std::string_view kBus = "dbus\\x2d:";
  constexpr std::string_view kDash = "\\x2d";
  const size_t bus = stem.find(kBus);
  if (bus == std::string::npos) {
    return stem;
  }
  const size_t number = bus + kBus.size() - 1;
  const size_t dash = stem.find(kDash, number);
  return dash == std::string::npos ? stem : stem.erase(number, dash + kDash.size() - number);
}

}  // namespace

std::string_view UnitSuffix(std::string_view name) {
  for (std::string_view suffix : kUnitSuffixes) {
    if (name.size() > suffix.size() && name.ends_with(suffix)) {
      return suffix;
    }
  }
  return {};
}

std::string StableUnit(std::string_view name) {
  const std::string_view suffix = UnitSuffix(name);
  std::string_view stem = name.substr(0, name.size() - suffix.size());
  for (std::string_view base : {"run", "session"}) {
    if (IsNumbered(stem, base)) {
      return fmt::format("{}{}", base, suffix);
    }
  }
  if (suffix == ".scope" && stem.starts_with("machine-")) {
    return WithoutMachineNumber(stem) + std::string(suffix);
  }
  if (suffix == ".scope") {
    return fmt::format("{}{}", WithoutScopeNumber(WithoutRandomStart(stem)), suffix);
  }
  // podman's health checks are "<container>.service" or "<container>-<hex>.service".
  if (IsFullId(stem.substr(0, kFullIdLength)) &&
      (stem.size() == kFullIdLength || stem[kFullIdLength] == '-')) {
    return fmt::format("{{id}}{}", suffix);
  }
  std::string stable = WithoutRandomEnd(stem);
  if (const size_t at = stable.find('@'); at != std::string::npos && at > 0) {
    stable.resize(at + 1);
  }
  constexpr std::string_view kBus = "dbus-:";  // dbus-:1.2-org.example@0: the bus's own number.
  if (stable.starts_with(kBus)) {
    if (const size_t dash = stable.find('-', kBus.size()); dash != std::string::npos) {
      stable = "dbus" + stable.substr(dash);
    }
  }
  return stable + std::string(suffix);
}

std::string StableSlice(std::string_view name) {
  constexpr std::string_view kSlice = ".slice";
  if (!name.ends_with(kSlice)) {
    return WithoutRandomEnd(name);
  }
  name.remove_suffix(kSlice.size());
  return WithoutBusNumber(WithoutRandomEnd(name)) + std::string(kSlice);
}

}  // namespace vedette
