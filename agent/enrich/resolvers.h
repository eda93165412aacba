// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "agent/event/flow.h"

namespace vedette {

inline constexpr char kResolvConfPath[] = "/etc/resolv.conf";
inline constexpr uint16_t kDnsPort = 53;
inline constexpr size_t kMaxResolvers = 32;

// "10.0.0.1", "2001:db8::1", "fe80::1%eth0" (the zone is dropped); nothing for other text.
std::optional<IpAddress> ParseIpAddress(std::string_view text);

// The nameserver lines of a resolv.conf(5), in order, at most kMaxResolvers. Any bytes; lines that
// name no address are skipped.
std::vector<IpAddress> ParseResolvConf(std::string_view text);
absl::StatusOr<std::vector<IpAddress>> ReadResolvConf(const std::string& path);

// The nameservers of a resolv.conf(5) that may change while the agent runs: DHCP, a VPN, a boot
// that writes it late. One thread.
class ResolvConf {
 public:
  explicit ResolvConf(std::string path) : path_(std::move(path)) {}

  // Looks whether the file is another one than at the last look, or was written since. True: so it
  // is, and `addresses` has what it says now. A file that cannot be read leaves the addresses as
  // they were; what is wrong with it is returned once for each time it goes wrong.
  absl::StatusOr<bool> Look();
  const std::vector<IpAddress>& addresses() const { return addresses_; }

 private:
  struct Version {
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t modified_ns = 0;
    int64_t size = -1;
    bool operator==(const Version&) const = default;
  };

  const std::string path_;
  std::optional<Version> seen_;
  std::vector<IpAddress> addresses_;
};

// The resolvers whose answers count: those of the node's configuration and those listed by the
// user. A stub on a loopback address counts only when it is listed like any other.
class TrustedResolvers {
 public:
  void Set(const std::vector<IpAddress>& addresses) {
    addresses_ = {addresses.begin(), addresses.end()};
  }
  bool Trusts(const Endpoint& resolver) const {
    return resolver.port == kDnsPort && addresses_.contains(resolver.address);
  }
  size_t size() const { return addresses_.size(); }

 private:
  absl::flat_hash_set<IpAddress> addresses_;
};

}  // namespace vedette
