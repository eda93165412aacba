// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/base/text.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxCellWidth = 60;
constexpr size_t kGap = 2;  // Between columns.

std::string Plain(const Json& value) {
  if (value.is_null()) {
    return "";
  }
  if (value.is_string()) {
    return PrintableUtf8(value.get_ref<const std::string&>());
  }
  if (value.is_boolean()) {
    return value.get<bool>() ? "yes" : "no";
  }
  if (value.is_number_float()) {
    return fmt::format("{:.1f}", value.get<double>());
  }
  std::string out;
  if (value.is_array()) {
    for (const Json& item : value) {
      out += (out.empty() ? "" : ", ") + Plain(item);
    }
    return out;
  }
  if (value.is_object()) {
    for (const auto& [key, item] : value.items()) {
      out += (out.empty() ? "" : ", ") + PrintableUtf8(key) + " " + Plain(item);
    }
    return out;
  }
  return value.dump();
}

std::string Bytes(double bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string TwoUnits(int64_t large, const char* unit, int64_t small, const char* small_unit) {
  return small == 0 ? fmt::format("{}{}", large, unit)
                    : fmt::format("{}{} {}{}", large, unit, small, small_unit);
}

std::string Duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e12) {
    return "";
  }
  auto whole = static_cast<int64_t>(seconds);
  if (whole < 60) {
    return fmt::format("{}s", whole);
  }
  if (whole < 3600) {
    return TwoUnits(whole / 60, "m", whole % 60, "s");
  }
  if (whole < 86400) {
    return TwoUnits(whole / 3600, "h", whole % 3600 / 60, "m");
  }
  return TwoUnits(whole / 86400, "d", whole % 86400 / 3600, "h");
}

std::string Time(const Json& value) {
  absl::Time time;
  std::string error;
  if (!value.is_string() ||
      !absl::ParseTime(absl::RFC3339_full, value.get<std::string>(), &time, &error)) {
    return Plain(value);
  }
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", time, absl::LocalTimeZone());
}

// Length in bytes of the first `width` characters.
size_t PrefixBytes(const std::string& text, size_t width) {
  size_t i = 0;
  while (i < text.size() && (width > 0 || (static_cast<uint8_t>(text[i]) & 0xc0) == 0x80)) {
    width -= (static_cast<uint8_t>(text[i]) & 0xc0) != 0x80 ? 1 : 0;
    ++i;
  }
  return i;
}

// A path says most at its two ends.
std::string CutMiddle(const std::string& text, size_t most) {
  size_t width = DisplayWidth(text);
  if (width <= most) {
    return text;
  }
  size_t half = (most - 1) / 2;
  return text.substr(0, PrefixBytes(text, half)) + "…" +
         text.substr(PrefixBytes(text, width - half));
}

bool RightAligned(Format format) {
  return format == Format::kNumber || format == Format::kBytes || format == Format::kCount ||
         format == Format::kDuration || format == Format::kPort;
}

std::string Pad(const std::string& text, size_t width, bool right) {
  std::string blanks(width - std::min(width, DisplayWidth(text)), ' ');
  return right ? blanks + text : text + blanks;
}

// What each column takes with its header; 0: nothing is in it.
using Widths = std::vector<size_t>;

void Shrink(const std::vector<Column>& columns, size_t most, Widths& widths) {
  size_t total = 0;
  for (const size_t width : widths) {
    total += width == 0 ? 0 : width + (total == 0 ? 0 : kGap);
  }
  while (total > most) {
    size_t widest = columns.size();
    for (size_t i = 0; i < columns.size(); ++i) {
      const size_t least = std::max(kMinCellWidth, columns[i].header.size());
      if (!RightAligned(columns[i].format) && widths[i] > least &&
          (widest == columns.size() || widths[i] > widths[widest])) {
        widest = i;
      }
    }
    if (widest == columns.size()) {
      return;
    }
    --widths[widest];
    --total;
  }
}

}  // namespace

std::string FormatValue(const nlohmann::json& value, Format format) {
  if (format == Format::kCount && (value.is_array() || value.is_object())) {
    return std::to_string(value.size());
  }
  if (format == Format::kBytes && value.is_number()) {
    return Bytes(value.get<double>());
  }
  if (format == Format::kDuration && value.is_number()) {
    return Duration(value.get<double>());
  }
  if (format == Format::kPort && value == 0) {
    return "any";  // One that the kernel chose.
  }
  return format == Format::kTime ? Time(value) : Plain(value);
}

Colour ColourOf(const std::string& state) {
  if (state == "ok" || state.starts_with("learned") || state.starts_with("frozen")) {
    return Colour::kGood;
  }
  if (state == "high" || state == "critical" || state == "deviation" || state == "failed") {
    return Colour::kBad;
  }
  if (state == "degraded" || state == "medium") {
    return Colour::kWarning;
  }
  return state == "informational" || state == "known" ? Colour::kFaint : Colour::kNone;
}

std::string Paint(const std::string& text, Colour colour, bool terminal) {
  constexpr const char* kCodes[] = {"", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m"};
  if (!terminal || colour == Colour::kNone || text.empty()) {
    return text;
  }
  return kCodes[static_cast<size_t>(colour)] + text + "\x1b[0m";
}

size_t DisplayWidth(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

void PrintTable(const std::vector<Column>& columns, const nlohmann::json& rows, TableStyle style,
                std::ostream& out) {
  std::vector<std::vector<std::string>> cells;
  Widths widths(columns.size(), 0);
  for (const Json& row : rows) {
    std::vector<std::string>& line = cells.emplace_back();
    for (size_t i = 0; i < columns.size(); ++i) {
      const Json value = row.is_object() ? row.value(columns[i].key, Json()) : Json();
      std::string text = FormatValue(value, columns[i].format);
      line.push_back(style.terminal ? CutMiddle(text, kMaxCellWidth) : text);
      if (const size_t width = DisplayWidth(line.back()); width > 0) {
        widths[i] = std::max({widths[i], width, columns[i].header.size()});
      }
    }
  }
  if (style.width > 0) {
    Shrink(columns, style.width, widths);
  }
  auto print = [&](auto cell_of, bool header) {
    std::string line;
    for (size_t i = 0; i < columns.size(); ++i) {
      if (widths[i] == 0) {
        continue;
      }
      const std::string text = CutMiddle(cell_of(i), widths[i]);
      Colour colour = header                                ? Colour::kFaint
                      : columns[i].format == Format::kState ? ColourOf(cell_of(i))
                                                            : Colour::kNone;
      std::string padded = Pad(text, widths[i], RightAligned(columns[i].format));
      line += (line.empty() ? "" : std::string(kGap, ' ')) + Paint(padded, colour, style.terminal);
    }
    out << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
  };
  print([&](size_t i) -> const std::string& { return columns[i].header; }, true);
  for (const std::vector<std::string>& line : cells) {
    print([&](size_t i) -> const std::string& { return line[i]; }, false);
  }
}

}  // namespace vedette
