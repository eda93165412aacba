// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace vedette {

// What the name of an option, a variable or a field says of its value.
enum class NameSays {
  kNothing,
  kBareKey,  // Just "key": a secret as an option or in a query, a mere label elsewhere.
  kKey,      // A key that is often given as a path: a secret unless the value is one.
  kSecret,
};

// By the words of the name, whatever its case and however they are joined: "--dbPassword",
// "AWS_SECRET_ACCESS_KEY" and "x-api-key" hold secrets; "--keyboard", "--password-file",
// "--sort-key" and "--max-tokens" do not.
NameSays WhatNameSays(std::string_view name);

// Whether a value below such a name is one that may be seen: nothing, a plain yes or no, and for
// keys the path of a file.
bool IsHarmlessValue(NameSays says, std::string_view value);

}  // namespace vedette
