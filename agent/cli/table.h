// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace vedette {

enum class Colour { kNone, kGood, kWarning, kBad, kFaint };

// What a person reads of a JSON value.
enum class Format {
  kText,      // Strings as they are, lists joined by commas, maps as "key value".
  kNumber,    // Right-aligned.
  kBytes,     // 1234567 → "1.2 MiB".
  kDuration,  // Seconds → "3h 20m".
  kPort,      // 0 → "any".
  kTime,      // RFC 3339 → local "2026-01-02 03:04:05".
  kCount,     // The length of a list; a number as it is.
  kState,     // Text, coloured by its meaning.
};

std::string FormatValue(const nlohmann::json& value, Format format);
Colour ColourOf(const std::string& state);

// `text` in a colour on a terminal, as it is elsewhere.
std::string Paint(const std::string& text, Colour colour, bool terminal);

// Columns it takes on a terminal.
size_t DisplayWidth(const std::string& text);

struct Column {
  std::string header;
  std::string key;  // A "/"-path is not followed; one key of the row's object.
  Format format = Format::kText;
};

inline constexpr size_t kMinCellWidth = 12;

struct TableStyle {
  bool terminal = false;
  size_t width = 0;  // At most; 0: any.
};

// Rows of JSON objects as an aligned table for people. Columns that are empty in every row are left
// out. Whatever could move a terminal's cursor or hide text is shown as \xNN; on a terminal long
// cells are cut in the middle, and where the table is wider than its style says, the longest
// columns of text are cut until it is not, or until they are kMinCellWidth wide.
void PrintTable(const std::vector<Column>& columns, const nlohmann::json& rows, TableStyle style,
                std::ostream& out);

}  // namespace vedette
