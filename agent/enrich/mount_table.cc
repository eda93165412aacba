// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/mount_table.h"

#include <charconv>
#include <fstream>
#include <functional>
#include <iterator>

#include "fmt/format.h"

namespace vedette {
namespace {

constexpr int kMinorBits = 20;
constexpr size_t kIdField = 0;
constexpr size_t kDeviceField = 2;
constexpr size_t kPointField = 4;
constexpr std::string_view kBeforeType = " - ";

std::string_view Field(std::string_view line, size_t index) {
  for (; index > 0; --index) {
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) {
      return {};
    }
    line.remove_prefix(space + 1);
  }
  return line.substr(0, line.find(' '));
}

// Calls `visit` with each line and the type that it names, until it returns false.
void ForEachMount(const std::vector<std::string>& tables,
                  const std::function<bool(std::string_view, std::string_view)>& visit) {
  for (const std::string& table : tables) {
    std::string_view rest = table;
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      const size_t type = line.find(kBeforeType);
      if (type != std::string_view::npos &&
          !visit(line, Field(line.substr(type + kBeforeType.size()), 0))) {
        return;
      }
    }
  }
}

std::optional<std::string> TypeWhere(const std::vector<std::string>& tables, size_t field,
                                     std::string_view value) {
  std::optional<std::string> found;
  ForEachMount(tables, [&](std::string_view line, std::string_view type) {
    if (Field(line, field) == value) {
      found = type;
    }
    return !found;
  });
  return found;
}

// Blanks are written as \040.
std::string Unescaped(std::string_view field) {
  std::string out;
  for (size_t i = 0; i < field.size(); ++i) {
    int byte = 0;
    const auto [end, error] =
        field[i] == '\\' && i + 3 < field.size()
            ? std::from_chars(field.data() + i + 1, field.data() + i + 4, byte, 8)
            : std::from_chars_result{nullptr, std::errc::invalid_argument};
    if (error == std::errc() && end == field.data() + i + 4) {
      out += static_cast<char>(byte);
      i += 3;
    } else {
      out += field[i];
    }
  }
  return out;
}

bool IsAtOrAbove(std::string_view mount, std::string_view path) {
  return mount == "/" ||
         (path.starts_with(mount) && (path.size() == mount.size() || path[mount.size()] == '/'));
}

}  // namespace

MountTable MountTable::Read(uint32_t tgid) {
  std::vector<std::string> tables;
  for (const std::string& path :
       {fmt::format("/proc/{}/mountinfo", tgid), std::string("/proc/self/mountinfo"),
        std::string("/proc/1/mountinfo")}) {
    std::ifstream file(path);
    tables.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return MountTable(std::move(tables));
}

MountTable MountTable::ReadOwn() {
  std::ifstream file("/proc/self/mountinfo");
  return MountTable(
      {std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>())});
}

std::optional<std::string> MountTable::TypeOfDevice(uint64_t device) const {
  return TypeWhere(
      tables_, kDeviceField,
      fmt::format("{}:{}", device >> kMinorBits, device & ((uint64_t{1} << kMinorBits) - 1)));
}

std::optional<std::string> MountTable::TypeOfMount(uint64_t id) const {
  return TypeWhere(tables_, kIdField, std::to_string(id));
}

std::optional<std::string> MountTable::TypeOfPath(std::string_view path) const {
  std::optional<std::string> found;
  size_t longest = 0;
  ForEachMount(tables_, [&](std::string_view line, std::string_view type) {
    const std::string point = Unescaped(Field(line, kPointField));
    // Of several at one place the last one is on top.
    if (IsAtOrAbove(point, path) && point.size() >= longest) {
      longest = point.size();
      found = type;
    }
    return true;
  });
  return found;
}

bool IsServedByProcess(std::string_view type) { return type.starts_with("fuse"); }

}  // namespace vedette
