// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/file_key.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "agent/base/status.h"
#include "agent/probes/wire_reader.h"
#include "bpf/wire/file_key.h"

namespace vedette {

absl::StatusOr<CodeKey> ReadFileKey(const ProbeSet& probes, int fd) {
  VEDETTE_ASSIGN_OR_RETURN(std::string bytes,
                           probes.RunIterator("scan_files", {.own_process = true}));
  std::string_view rest(bytes);
  wire_file_key key;
  while (ReadWire(rest, key)) {
    if (key.fd == static_cast<uint32_t>(fd)) {
      return CodeFromWire(key.code);
    }
    rest.remove_prefix(sizeof(key));
  }
  return absl::NotFoundError(fmt::format("the kernel lists no file descriptor {}", fd));
}

}  // namespace vedette
