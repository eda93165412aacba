// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vedette {

struct CodePoint {
  uint32_t value = 0;
  size_t size = 0;  // In bytes. 0: they are no UTF-8.
};

// At the start of `bytes`, which are not empty. Overlong forms, surrogates and what is above
// U+10FFFF are no UTF-8.
CodePoint FirstCodePoint(std::string_view bytes);

bool IsValidUtf8(std::string_view bytes);
// How many bytes are left from the first one on that is not valid; 0: all are.
size_t SizeFromFirstInvalid(std::string_view bytes);

// Bytes of the kernel (paths, arguments, names) as text, without losing any: a byte that is not
// part of valid UTF-8 becomes the four characters \xNN (lower-case hex). A backslash becomes \x5c
// only where it would otherwise be read back as such a sequence, so that ordinary backslashes stay.
std::string TextFromBytes(std::string_view bytes);

// The inverse: BytesFromText(TextFromBytes(b)) == b for every b.
std::string BytesFromText(std::string_view text);

}  // namespace vedette
