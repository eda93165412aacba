// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace vedette {

// How the value of a short option holds its secret.
enum class ValueHolds {
  kSecret,      // All of it.
  kAfterColon,  // "user:password"; without a colon there is none.
  kAfterPercent,
  kAfterComma,
};

// Where the value stands: "-pX", "-p X", or either.
enum class ValueStands { kAttached, kNext, kEither };

// A short option by which a program takes a secret.
struct SecretOption {
  char letter;
  ValueHolds holds;
  ValueStands stands;
  std::string_view switches;  // Letters that may stand before it in one argument.
  std::string_view long_name;
};

// What is known of a program; nullptr for others.
struct ProgramOptions {
  std::string_view names;  // Between spaces, each with a space before and after.
  const SecretOption* begin;
  const SecretOption* end;
  bool only_login = false;  // Only behind the word "login".
};

// By the last part of its path.
const ProgramOptions* KnownProgram(std::string_view word);

}  // namespace vedette
