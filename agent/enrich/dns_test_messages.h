// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vedette {

// Builds DNS messages for tests, byte by byte as RFC 1035 has them, without compression.
struct DnsTestRecord {
  std::string owner;
  uint16_t type = 0;
  uint32_t ttl_s = 0;
  std::string data;
};

inline std::string BigEndian16(uint32_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

inline std::string DnsName(std::string_view name) {
  std::string bytes;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    bytes += static_cast<char>(label.size());
    bytes += label;
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  return bytes + '\0';
}

inline std::string DnsHeader(uint16_t id, bool response, uint16_t answers) {
  return BigEndian16(id) + BigEndian16(response ? 0x8180 : 0x0100) + BigEndian16(1) +
         BigEndian16(answers) + std::string(4, '\0');
}

inline std::string DnsQueryBytes(uint16_t id, std::string_view name, uint16_t type) {
  return DnsHeader(id, false, 0) + DnsName(name) + BigEndian16(type) + BigEndian16(1);
}

inline std::string DnsResponseBytes(uint16_t id, std::string_view name, uint16_t type,
                                    const std::vector<DnsTestRecord>& records) {
  std::string bytes = DnsHeader(id, true, static_cast<uint16_t>(records.size())) + DnsName(name) +
                      BigEndian16(type) + BigEndian16(1);
  for (const DnsTestRecord& record : records) {
    bytes += DnsName(record.owner) + BigEndian16(record.type) + BigEndian16(1) +
             BigEndian16(record.ttl_s >> 16) + BigEndian16(record.ttl_s) +
             BigEndian16(static_cast<uint32_t>(record.data.size())) + record.data;
  }
  return bytes;
}

}  // namespace vedette
