// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/iterator_read.h"

#include <errno.h>
#include <unistd.h>

namespace vedette {
namespace {

// Far beyond what a node can have of anything, a million objects each.
constexpr int kMostPauses = 1 << 24;

}  // namespace

absl::StatusOr<std::string> ReadIterator(int fd) {
  std::string bytes;
  char chunk[65536];
  for (int pauses = 0;;) {
    const ssize_t n = read(fd, chunk, sizeof(chunk));
    if (n > 0) {
      bytes.append(chunk, static_cast<size_t>(n));
    } else if (n == 0) {
      return bytes;
    } else if ((errno != EAGAIN && errno != EINTR) || ++pauses > kMostPauses) {
      return absl::ErrnoToStatus(errno, "read");
    }
  }
}

}  // namespace vedette
