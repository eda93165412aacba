// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "agent/redact/secrets.h"

namespace vedette {

// Finds secrets by what stands around them in a text of any kind: NAME=VALUE, "name": "value" of
// JSON and YAML, headers, query parameters, XML elements, user information in URLs. Linear in the
// text. In a script (the argument of `sh -c`) a value ends where the shell would end it; in any
// other argument that begins with the name it goes on to the end. Bytes, not characters.
void FindNamedSecrets(std::string_view text, bool is_script, Secrets& found);
void FindUserInfo(std::string_view text, Secrets& found);

}  // namespace vedette
