// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace vedette {

// Bytes from the kernel as valid UTF-8 that is harmless on a terminal and in JSON: bytes that are
// not UTF-8, control characters and the characters that change the direction of text become \xNN,
// byte by byte. Everything else, backslashes included, stays as it is, so the form is for reading
// and cannot always be turned back.
std::string PrintableUtf8(std::string_view bytes);

}  // namespace vedette
