// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace vedette {

bool IsValidUtf8(std::string_view bytes);

// Bytes of the kernel (paths, arguments, names) as text, without losing any: a byte that is not
// part of valid UTF-8 becomes the four characters \xNN (lower-case hex). A backslash becomes \x5c
// only where it would otherwise be read back as such a sequence, so that ordinary backslashes stay.
std::string TextFromBytes(std::string_view bytes);

// The inverse: BytesFromText(TextFromBytes(b)) == b for every b.
std::string BytesFromText(std::string_view text);

}  // namespace vedette
