// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/dns_message.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "agent/base/status.h"
#include "fmt/format.h"

namespace vedette {
namespace {

constexpr size_t kHeaderBytes = 12;
constexpr size_t kMaxNameBytes = 255;  // On the wire, RFC 1035.
constexpr size_t kMaxLabelBytes = 63;
constexpr uint16_t kClassIn = 1;
constexpr uint16_t kFlagResponse = 0x8000;
constexpr uint16_t kOpcodeMask = 0x7800;
constexpr uint16_t kFlagTruncated = 0x0200;
constexpr size_t kV4Bytes = 4;
constexpr size_t kV6Bytes = 16;

absl::Status Malformed(const char* what) { return absl::InvalidArgumentError(what); }

void AppendLabel(std::string_view label, std::string& name) {
  if (!name.empty()) {
    name += '.';
  }
  for (char raw : label) {
    const char c = absl::ascii_tolower(static_cast<unsigned char>(raw));
    if (absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != '.' && c != '\\') {
      name += c;
    } else {
      name += fmt::format("\\{:03d}", static_cast<unsigned char>(c));
    }
  }
}

// Reads a message from front to back. After an error the position means nothing.
class Reader {
 public:
  explicit Reader(std::string_view message) : message_(message) {}

  size_t left() const { return message_.size() - at_; }

  std::optional<uint16_t> U16() {
    if (left() < 2) {
      return std::nullopt;
    }
    const uint16_t value = static_cast<uint16_t>(Byte(at_) << 8 | Byte(at_ + 1));
    at_ += 2;
    return value;
  }

  std::optional<uint32_t> U32() {
    const auto high = U16();
    const auto low = U16();
    if (!high || !low) {
      return std::nullopt;
    }
    return uint32_t{*high} << 16 | *low;
  }

  std::optional<std::string_view> Bytes(size_t count) {
    if (left() < count) {
      return std::nullopt;
    }
    const std::string_view bytes = message_.substr(at_, count);
    at_ += count;
    return bytes;
  }

  // Pointers only lead to before the name's start, and before each earlier jump's target, so that a
  // loop is impossible.
  std::optional<std::string> Name() {
    std::string name;
    size_t at = at_;
    size_t limit = at_;
    size_t wire_bytes = 0;
    bool jumped = false;
    while (at < message_.size()) {
      const unsigned length = Byte(at);
      if (length == 0) {
        at_ = jumped ? at_ : at + 1;
        return name;
      }
      if ((length & 0xc0) == 0xc0) {
        if (at + 1 >= message_.size()) {
          return std::nullopt;
        }
        const size_t target = (length & 0x3f) << 8 | Byte(at + 1);
        if (target >= limit) {
          return std::nullopt;
        }
        at_ = jumped ? at_ : at + 2;
        jumped = true;
        at = limit = target;
        continue;
      }
      wire_bytes += length + 1;
      if (length > kMaxLabelBytes || wire_bytes >= kMaxNameBytes ||
          message_.size() - at - 1 < length) {
        return std::nullopt;
      }
      AppendLabel(message_.substr(at + 1, length), name);
      at += length + 1;
    }
    return std::nullopt;
  }

  size_t position() const { return at_; }
  void Seek(size_t at) { at_ = at; }

 private:
  unsigned Byte(size_t at) const { return static_cast<unsigned char>(message_[at]); }

  std::string_view message_;
  size_t at_ = 0;
};

IpAddress Address(std::string_view data) {
  IpAddress address;
  size_t at = 0;
  if (data.size() == kV4Bytes) {
    address.bytes[10] = address.bytes[11] = 0xff;
    at = kV6Bytes - kV4Bytes;
  }
  std::copy(data.begin(), data.end(), address.bytes.begin() + static_cast<ptrdiff_t>(at));
  return address;
}

// Nothing when the message ends before the record does; `wanted` tells whether it is a type of
// ours.
absl::StatusOr<DnsAnswer> ReadAnswer(Reader& reader, bool& complete, bool& wanted) {
  complete = wanted = false;
  DnsAnswer answer;
  const auto owner = reader.Name();
  const auto type = reader.U16();
  const auto klass = reader.U16();
  const auto ttl = reader.U32();
  const auto length = reader.U16();
  if (!owner || !type || !klass || !ttl || !length || reader.left() < *length) {
    return answer;
  }
  complete = true;
  const size_t end = reader.position() + *length;
  answer.owner = *owner;
  answer.type = *type;
  answer.ttl_s = *ttl;
  if (*klass == kClassIn && (*type == kDnsTypeA || *type == kDnsTypeAaaa)) {
    if (*length != (*type == kDnsTypeA ? kV4Bytes : kV6Bytes)) {
      return Malformed("an address record has the wrong length");
    }
    answer.address = Address(*reader.Bytes(*length));
    wanted = true;
  } else if (*klass == kClassIn && *type == kDnsTypeCname) {
    const auto target = reader.Name();
    if (!target || reader.position() != end) {
      return Malformed("a CNAME record holds no name");
    }
    answer.target = *target;
    wanted = true;
  }
  reader.Seek(end);
  return answer;
}

}  // namespace

absl::StatusOr<DnsMessage> ParseDns(std::string_view payload, bool cut) {
  if (payload.size() < kHeaderBytes) {
    return Malformed("shorter than a DNS header");
  }
  Reader reader(payload);
  DnsMessage message;
  message.id = *reader.U16();
  const uint16_t flags = *reader.U16();
  const uint16_t questions = *reader.U16();
  const uint16_t answers = *reader.U16();
  reader.Seek(kHeaderBytes);  // Authority and additional records say nothing about the question.
  message.is_response = (flags & kFlagResponse) != 0;
  message.rcode = flags & 0x0f;
  if ((flags & kOpcodeMask) != 0 || questions != 1) {
    return Malformed("not an ordinary query with one question");
  }
  const auto name = reader.Name();
  const auto type = reader.U16();
  const auto klass = reader.U16();
  if (!name || !type || !klass || *klass != kClassIn) {
    return Malformed("the question cannot be read");
  }
  message.question = {*name, *type};
  if (!message.is_response) {
    return message;
  }
  const bool may_end_early = cut || (flags & kFlagTruncated) != 0;
  for (unsigned i = 0; i < answers && message.answers.size() < kMaxDnsAnswers; ++i) {
    bool complete = false;
    bool wanted = false;
    VEDETTE_ASSIGN_OR_RETURN(DnsAnswer answer, ReadAnswer(reader, complete, wanted));
    if (!complete && may_end_early) {
      break;
    }
    if (!complete) {
      return Malformed("ends in the middle of a record");
    }
    if (wanted) {
      message.answers.push_back(std::move(answer));
    }
  }
  return message;
}

}  // namespace vedette
