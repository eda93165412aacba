// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/sensitive.h"

#include <algorithm>

namespace vedette {
namespace {

bool IsBelow(std::string_view path, std::string_view top) {
  return path.starts_with(top) &&
         (path.size() == top.size() || top.ends_with('/') || path[top.size()] == '/');
}

bool HasName(std::string_view path, std::string_view name) {
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    if (path.substr(0, slash) == name) {
      return true;
    }
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return false;
}

}  // namespace

bool HasShape(std::string_view text, std::string_view shape) {
  // Where the last '*' stands, and what it ends before, for another try.
  size_t t = 0, s = 0, star = shape.npos, after = 0;
  while (t < text.size()) {
    if (s < shape.size() && shape[s] == '*') {
      star = s++;
      after = ++t;
    } else if (s < shape.size() && (shape[s] == text[t] || (shape[s] == '?' && text[t] != '/'))) {
      ++s, ++t;
    } else if (star != shape.npos && text[after] != '/') {
      s = star + 1;
      t = ++after;
    } else {
      return false;
    }
  }
  return s == shape.size();
}

bool IsSensitive(std::string_view path, const std::vector<std::string>& items) {
  return std::any_of(items.begin(), items.end(), [path](const std::string& item) {
    return item.starts_with('/') ? IsBelow(path, item) : HasName(path, item);
  });
}

}  // namespace vedette
