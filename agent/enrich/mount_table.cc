// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/mount_table.h"

#include <fstream>
#include <iterator>

#include "fmt/format.h"

namespace vedette {
namespace {

constexpr int kMinorBits = 20;
constexpr size_t kIdField = 0;
constexpr size_t kDeviceField = 2;
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

std::optional<std::string> TypeWhere(const std::vector<std::string>& tables, size_t field,
                                     std::string_view value) {
  for (const std::string& table : tables) {
    std::string_view rest = table;
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      const size_t type = line.find(kBeforeType);
      if (Field(line, field) == value && type != std::string_view::npos) {
        return std::string(Field(line.substr(type + kBeforeType.size()), 0));
      }
    }
  }
  return std::nullopt;
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

std::optional<std::string> MountTable::TypeOfDevice(uint64_t device) const {
  return TypeWhere(
      tables_, kDeviceField,
      fmt::format("{}:{}", device >> kMinorBits, device & ((uint64_t{1} << kMinorBits) - 1)));
}

std::optional<std::string> MountTable::TypeOfMount(uint64_t id) const {
  return TypeWhere(tables_, kIdField, std::to_string(id));
}

bool IsServedByProcess(std::string_view type) { return type.starts_with("fuse"); }

}  // namespace vedette
