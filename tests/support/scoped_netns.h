// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/base/unique_fd.h"
#include "tests/support/child.h"

namespace vedette::testing {

// A network namespace of its own with `lo` up. Nothing is mounted and no process waits in it: the
// descriptor alone keeps it, so nothing is left behind. Needs root. One thread.
class ScopedNetns {
 public:
  static absl::StatusOr<ScopedNetns> Create();

  // A veth pair between here and the caller's namespace; the names are the kernel's own business.
  // Addresses are of 198.18.0.0/15, which is kept for tests (RFC 2544). It goes with the namespace.
  absl::Status ConnectToHost();
  const std::string& outside_address() const { return outside_address_; }
  const std::string& inside_address() const { return inside_address_; }

  int fd() const { return fd_.get(); }
  uint64_t id() const;  // The inode number, as the kernel shows it in net.ns.inum.
  absl::StatusOr<Child> Spawn(std::vector<std::string> argv) const;
  absl::StatusOr<ChildResult> Run(std::vector<std::string> argv) const;

 private:
  ScopedNetns() = default;
  UniqueFd fd_;
  std::string outside_address_;
  std::string inside_address_;
};

}  // namespace vedette::testing
