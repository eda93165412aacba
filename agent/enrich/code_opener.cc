// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/code_opener.h"

#include <fcntl.h>

#include "fmt/format.h"

namespace vedette {

UniqueFd OpenCode(CodePlace place, uint32_t tgid, const std::string& path) {
  // A path with a NUL byte would name another file than it says.
  const bool has_path = path.starts_with('/') && path.find('\0') == std::string::npos;
  std::string name;
  switch (place) {
    case CodePlace::kProcessImage:
      name = fmt::format("/proc/{}/exe", tgid);
      break;
    case CodePlace::kProcessRoot:
      name = has_path ? fmt::format("/proc/{}/root{}", tgid, path) : "";
      break;
    case CodePlace::kHostRoot:
      name = has_path ? path : "";
      break;
  }
  if (name.empty()) {
    return UniqueFd();
  }
  return UniqueFd(open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

}  // namespace vedette
