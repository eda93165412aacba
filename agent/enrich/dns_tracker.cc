// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/dns_tracker.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

namespace vedette {
namespace {

constexpr int kMaxCnames = 16;

// The question's name and the aliases it stands for in this answer.
absl::flat_hash_set<std::string> NamesOfQuestion(const DnsMessage& message) {
  absl::flat_hash_map<std::string, std::string> aliases;
  for (const DnsAnswer& answer : message.answers) {
    if (answer.type == kDnsTypeCname) {
      aliases.emplace(answer.owner, answer.target);
    }
  }
  absl::flat_hash_set<std::string> names;
  std::string name = message.question.name;
  for (int i = 0; i <= kMaxCnames && names.insert(name).second; ++i) {
    auto next = aliases.find(name);
    if (next == aliases.end()) {
      break;
    }
    name = next->second;
  }
  return names;
}

// An address may be unspecified on a socket that is not bound when its query leaves.
bool SameLocal(const Endpoint& asked, const Endpoint& answered) {
  return (asked.port == 0 || asked.port == answered.port) &&
         (asked.address == IpAddress() || asked.address == answered.address ||
          (asked.address.is_v4() && asked.address.ToString() == "0.0.0.0"));
}

}  // namespace

DnsTracker::DnsTracker(Limits limits)
    : limits_(limits),
      queries_(limits.workloads),
      names_({limits.workloads, limits.addresses}),
      reasons_("dns") {}

DnsTracker::Queries& DnsTracker::QueriesOf(const std::string& workload) {
  std::unique_ptr<Queries>* queries = queries_.Find(workload);
  return queries != nullptr ? **queries
                            : *queries_.Put(workload, std::make_unique<Queries>(limits_.queries));
}

std::vector<IpAddress> DnsTracker::Observe(const std::string& workload, const DnsEvent& event,
                                           absl::Time time) {
  if (!trusted_.Trusts(event.resolver)) {
    reasons_.Count("untrusted_resolver",
                   "a DNS message of a resolver that is neither in resolv.conf nor configured");
    return {};
  }
  const absl::StatusOr<DnsMessage> message = ParseDns(event.payload, event.truncated);
  if (!message.ok() || message->is_response != event.is_response) {
    reasons_.Count("malformed", "a message on the DNS port that is no DNS query or answer");
    return {};
  }
  Queries& queries = QueriesOf(workload);
  const QueryKey key{event.socket_cookie, event.resolver, message->id};
  if (!event.is_response) {
    queries.Put(key, {message->question, event.local, time + kDnsQueryLifetime});
    return {};
  }
  const Query* query = queries.Find(key);
  if (query == nullptr || query->expires < time || !SameLocal(query->local, event.local)) {
    reasons_.Count("unsolicited", "a DNS answer to no query that is outstanding");
    return {};
  }
  if (query->question != message->question) {
    reasons_.Count("mismatch", "a DNS answer to another question than was asked");
    return {};
  }
  queries.Erase(key);
  ++accepted_;
  return Answer(workload, *message, time);
}

std::vector<IpAddress> DnsTracker::Answer(const std::string& workload, const DnsMessage& message,
                                          absl::Time time) {
  std::vector<IpAddress> named;
  const absl::flat_hash_set<std::string> names = NamesOfQuestion(message);
  for (const DnsAnswer& answer : message.answers) {
    if (answer.type == kDnsTypeCname || !names.contains(answer.owner) ||
        (answer.type != message.question.type && message.question.type != kDnsTypeAny)) {
      continue;
    }
    const absl::Duration ttl =
        std::clamp(absl::Duration(absl::Seconds(answer.ttl_s)), kMinDnsTtl, kMaxDnsTtl);
    if (names_.Put({workload, answer.address, message.question.name, time + ttl}, time)) {
      named.push_back(answer.address);
    }
  }
  return named;
}

}  // namespace vedette
