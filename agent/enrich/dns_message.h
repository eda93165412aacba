// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/event/flow.h"

namespace vedette {

inline constexpr uint16_t kDnsTypeA = 1;
inline constexpr uint16_t kDnsTypeCname = 5;
inline constexpr uint16_t kDnsTypeAaaa = 28;
inline constexpr uint16_t kDnsTypeAny = 255;

// Names are lower-case ASCII without the final dot; a byte of a label that is no printable
// character, or is '.' or '\', is written \DDD, as in zone files.
struct DnsQuestion {
  std::string name;
  uint16_t type = 0;
  auto operator<=>(const DnsQuestion&) const = default;
};

struct DnsAnswer {
  std::string owner;
  uint16_t type = 0;  // kDnsTypeA, kDnsTypeAaaa or kDnsTypeCname; other types are left out.
  uint32_t ttl_s = 0;
  IpAddress address;   // For A and AAAA.
  std::string target;  // For CNAME.
};

struct DnsMessage {
  uint16_t id = 0;
  bool is_response = false;
  uint8_t rcode = 0;
  DnsQuestion question;
  std::vector<DnsAnswer> answers;  // At most kMaxDnsAnswers.
};

inline constexpr size_t kMaxDnsAnswers = 64;

// Parses an ordinary query or its response: one question, class IN. `payload` is any bytes. With
// `cut` (only the message's beginning is there) the answers that are whole are returned; otherwise
// a message that ends in the middle of one is an error. Work is bounded by the payload's size: a
// compression pointer must point backwards.
absl::StatusOr<DnsMessage> ParseDns(std::string_view payload, bool cut);

}  // namespace vedette
