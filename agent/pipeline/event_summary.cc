// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/event_summary.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <iterator>
#include <vector>

#include "absl/time/time.h"
#include "agent/enrich/code_names.h"
#include "agent/enrich/dns_message.h"
#include "agent/event/cache_kind.h"
#include "agent/profile/privilege_names.h"

namespace vedette {
namespace {

std::string Program(const ProcessInfo& process) {
  return process.code.path.empty() ? process.comm : process.code.path;
}

std::string Joined(const std::vector<std::string>& argv) {
  std::string text;
  for (const std::string& argument : argv) {
    text += (text.empty() ? "" : " ") + argument;
  }
  return text;
}

std::string FlowSummary(const FlowEvent& flow, const EnrichedEvent& event) {
  const std::string by = Program(event.process);
  if (flow.stage == FlowStage::kListening) {
    return fmt::format("{} listens on {}/{}", by, flow.local.port, ProtocolName(flow.protocol));
  }
  const bool inbound = flow.direction == FlowDirection::kInbound;
  const std::string name =
      event.peer && !event.peer->dns_name.empty() ? " (" + event.peer->dns_name + ")" : "";
  return fmt::format("{} {} {}{}/{} {}", by, inbound ? "←" : "→", EndpointText(flow.remote), name,
                     ProtocolName(flow.protocol), FlowStageName(flow.stage));
}

std::string PrivilegeSummary(const PrivilegeEvent& privilege, const EnrichedEvent& event) {
  const std::string by = Program(event.process);
  switch (privilege.act) {
    case PrivilegeAct::kModuleLoad:
      return fmt::format("{} loaded the kernel module {}", by, privilege.module);
    case PrivilegeAct::kIoUring:
      return fmt::format("{} created an io_uring", by);
    case PrivilegeAct::kSignal:
      return fmt::format("{} sent {} to {} (pid {}) of {}", by, SignalName(privilege.signal),
                         privilege.target_comm, privilege.target.tgid, event.target_workload);
    case PrivilegeAct::kCapability:
      return fmt::format("{} used {}{}", by, CapabilityName(privilege.capability),
                         privilege.in_user_namespace ? " in a user namespace" : "");
  }
  return by;
}

// To the millisecond below a second, and to the microsecond below a millisecond.
std::string LifetimeText(absl::Duration lifetime) {
  const absl::Duration unit = lifetime >= absl::Seconds(1)        ? absl::Seconds(1)
                              : lifetime >= absl::Milliseconds(1) ? absl::Milliseconds(1)
                                                                  : absl::Microseconds(1);
  return absl::FormatDuration(absl::Trunc(lifetime, unit));
}

std::string ExitSummary(const ExitEvent& exit, const EnrichedEvent& event) {
  const uint32_t signal = ExitSignal(exit.status);
  return fmt::format("{} {} after {}", Program(event.process),
                     signal != 0 ? "was killed by " + SignalName(signal)
                                 : fmt::format("ended with {}", ExitCode(exit.status)),
                     LifetimeText(exit.lifetime));
}

std::string DnsTypeName(uint16_t type) {
  switch (type) {
    case kDnsTypeA:
      return "A";
    case kDnsTypeAaaa:
      return "AAAA";
    case kDnsTypeCname:
      return "CNAME";
    default:
      return fmt::format("type {}", type);
  }
}

std::string DnsAnswersText(const DnsMessage& message) {
  if (message.rcode != 0) {
    constexpr const char* kErrors[] = {
        "", "format error", "server failure", "no such name", "not implemented", "refused"};
    return message.rcode < std::size(kErrors) ? kErrors[message.rcode]
                                              : fmt::format("error {}", message.rcode);
  }
  std::vector<std::string> addresses;
  for (const DnsAnswer& answer : message.answers) {
    if (answer.type == kDnsTypeA || answer.type == kDnsTypeAaaa) {
      addresses.push_back(answer.address.ToString());
    }
  }
  return addresses.empty() ? "no address" : fmt::format("{}", fmt::join(addresses, ", "));
}

// What the message says, believed or not: the names of peers have checks of their own.
std::string DnsSummary(const DnsEvent& dns, const EnrichedEvent& event) {
  const std::string line = fmt::format("{} {} {}", Program(event.process),
                                       dns.is_response ? "←" : "→", EndpointText(dns.resolver));
  const absl::StatusOr<DnsMessage> message = ParseDns(dns.payload, dns.truncated);
  if (!message.ok()) {
    return line + " a message that is no ordinary query or answer";
  }
  const std::string asked =
      fmt::format("{} {}? {}", line, DnsTypeName(message->question.type), message->question.name);
  return dns.is_response ? fmt::format("{}: {}", asked, DnsAnswersText(*message)) : asked;
}

std::string CgroupSummary(const CgroupEvent& cgroup) {
  switch (cgroup.change) {
    case CgroupEvent::Change::kCreated:
      return cgroup.path + " made";
    case CgroupEvent::Change::kRemoved:
      return cgroup.path + " removed";
    case CgroupEvent::Change::kSeen:
      break;
  }
  return cgroup.path + " was there";
}

std::string OverflowSummary(const OverflowEvent& overflow) {
  return overflow.lost != 0 ? fmt::format("{} news could be neither told nor kept", overflow.lost)
                            : fmt::format("the cache {} is full with {} behaviours",
                                          CacheName(overflow.cache), overflow.limit);
}

}  // namespace

std::string ProtocolName(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_UDP:
      return "udp";
    default:
      return fmt::format("protocol {}", protocol);
  }
}

std::string EndpointText(const Endpoint& endpoint) {
  const std::string address = endpoint.address.ToString();
  return endpoint.address.is_v4() ? fmt::format("{}:{}", address, endpoint.port)
                                  : fmt::format("[{}]:{}", address, endpoint.port);
}

std::string_view FlowStageName(FlowStage stage) {
  switch (stage) {
    case FlowStage::kOpen:
      return "open";
    case FlowStage::kEstablished:
      return "established";
    case FlowStage::kFailed:
      return "failed";
    case FlowStage::kAccepted:
      return "accepted";
    case FlowStage::kListening:
      return "listening";
    case FlowStage::kUpdate:
      return "update";
    case FlowStage::kClosed:
      return "closed";
  }
  return "";
}

uint32_t ExitCode(uint32_t status) { return status >> 8 & 0xff; }

uint32_t ExitSignal(uint32_t status) { return status & 0x7f; }

std::string EventSummary(const EnrichedEvent& event) {
  if (const auto* exec = std::get_if<ExecEvent>(&event.event.body)) {
    const std::string by = event.parent_code ? event.parent_code->path : "";
    return fmt::format("{}, by {}", exec->argv.empty() ? exec->path : Joined(exec->argv), by);
  }
  if (const auto* flow = std::get_if<FlowEvent>(&event.event.body)) {
    return FlowSummary(*flow, event);
  }
  if (const auto* change = std::get_if<CredentialEvent>(&event.event.body)) {
    return fmt::format("{} uid {} -> {}", Program(event.process), change->before.euid,
                       change->process.credentials.euid);
  }
  if (const auto* privilege = std::get_if<PrivilegeEvent>(&event.event.body)) {
    return PrivilegeSummary(*privilege, event);
  }
  if (const auto* cgroup = std::get_if<CgroupEvent>(&event.event.body)) {
    return CgroupSummary(*cgroup);
  }
  if (const auto* exit = std::get_if<ExitEvent>(&event.event.body)) {
    return ExitSummary(*exit, event);
  }
  if (const auto* dns = std::get_if<DnsEvent>(&event.event.body)) {
    return DnsSummary(*dns, event);
  }
  if (const auto* move = std::get_if<MoveEvent>(&event.event.body)) {
    return fmt::format("{} was moved to the cgroup with id {}{}", Program(event.process),
                       move->to_cgroup_id, move->by_runtime ? ", by a runtime" : "");
  }
  if (const auto* overflow = std::get_if<OverflowEvent>(&event.event.body)) {
    return OverflowSummary(*overflow);
  }
  if (const auto* file = std::get_if<FileEvent>(&event.event.body)) {
    return fmt::format("{} {} {}", Program(event.process), FileVerbName(file->verb),
                       file->lost.empty() ? file->path : file->lost);
  }
  return Program(event.process);
}

}  // namespace vedette
