// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/event_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/text.h"
#include "agent/enrich/code_names.h"
#include "agent/enrich/dns_message.h"
#include "agent/pipeline/event_summary.h"
#include "agent/profile/privilege_names.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

constexpr uint32_t kDeviceMinorBits = 20;

void Mark(Json& json, const std::vector<std::pair<const char*, bool>>& marks) {
  for (const auto& [name, is_set] : marks) {
    if (is_set) {
      json[name] = true;
    }
  }
}

Json CredentialsJson(const Credentials& credentials) {
  return {{"uid", credentials.uid},
          {"gid", credentials.gid},
          {"euid", credentials.euid},
          {"egid", credentials.egid},
          {"cap_permitted", credentials.cap_permitted},
          {"cap_effective", credentials.cap_effective}};
}

Json ProcessJson(const ProcessInfo& process) {
  Json json = {{"exec_id", process.exec_id},
               {"pid", process.pid},
               {"comm", PrintableUtf8(process.comm)},
               {"path", PrintableUtf8(process.code.path)},
               {"sha256", process.code.sha256}};
  if (!process.code.script.empty()) {
    json["script"] = PrintableUtf8(process.code.script);
  }
  if (!process.argv.empty()) {
    json["argv"] = Json::array();
    for (const std::string& argument : process.argv) {
      json["argv"].push_back(PrintableUtf8(argument));
    }
  }
  if (process.credentials) {
    json["credentials"] = CredentialsJson(*process.credentials);
  }
  Mark(json, {{"argv_truncated", process.argv_truncated}, {"unknown", process.unknown}});
  return json;
}

// What only the event itself knows of who acted.
void AddContext(const ProcessContext& context, Json& process) {
  process["parent_pid"] = context.parent_tgid;
  process["pid_in_namespace"] = context.tgid_in_namespace;
  process["namespaces"] = {{"pid", context.namespaces.pid},
                           {"mnt", context.namespaces.mnt},
                           {"net", context.namespaces.net},
                           {"user", context.namespaces.user}};
  process["cgroup_id"] = context.cgroup_id;
  if (context.tty != 0) {
    process["tty"] = fmt::format("{}:{}", context.tty >> kDeviceMinorBits,
                                 context.tty & ((1u << kDeviceMinorBits) - 1));
  }
}

Json AnswerJson(const DnsAnswer& answer) {
  Json json = {{"name", answer.owner}, {"ttl_seconds", answer.ttl_s}};
  if (answer.type == kDnsTypeCname) {
    json["alias_of"] = answer.target;
  } else {
    json["address"] = answer.address.ToString();
  }
  return json;
}

// Gives each kind's own facts.
struct FactsOf {
  const EnrichedEvent& event;

  Json operator()(const ExecEvent& exec) const {
    Json json = {{"origin", OriginName(exec.origin)}};
    if (exec.filesystem != 0) {
      json["filesystem"] = FilesystemName(exec.filesystem);
    }
    Mark(json, {{"path_truncated", exec.path_truncated},
                {"path_elsewhere", exec.path_elsewhere},
                {"script_truncated", exec.script_truncated},
                {"lineage_unknown", exec.lineage_unknown}});
    return json;
  }
  Json operator()(const ProcessSeenEvent& seen) const {
    Json json = {{"origin", OriginName(seen.origin)}};
    Mark(json, {{"path_truncated", seen.path_truncated}, {"path_elsewhere", seen.path_elsewhere}});
    return json;
  }
  Json operator()(const ForkEvent&) const { return Json::object(); }
  Json operator()(const ExitEvent& exit) const {
    const uint32_t signal = ExitSignal(exit.status);
    Json json = {{"lifetime_seconds", absl::ToDoubleSeconds(exit.lifetime)}};
    if (signal != 0) {
      json["signal"] = SignalName(signal);
    } else {
      json["code"] = ExitCode(exit.status);
    }
    return json;
  }
  Json operator()(const CredentialEvent& change) const {
    return {{"before", CredentialsJson(change.before)},
            {"after", CredentialsJson(change.process.credentials)}};
  }
  Json operator()(const FlowEvent& flow) const {
    Json json = {{"stage", FlowStageName(flow.stage)},
                 {"direction", flow.direction == FlowDirection::kInbound ? "inbound" : "outbound"},
                 {"protocol", ProtocolName(flow.protocol)},
                 {"local", EndpointText(flow.local)},
                 {"remote", EndpointText(flow.remote)},
                 {"socket_cookie", flow.socket_cookie},
                 {"sent_bytes", flow.sent_bytes},
                 {"received_bytes", flow.received_bytes},
                 {"sent_packets", flow.sent_packets},
                 {"received_packets", flow.received_packets},
                 {"retransmits", flow.retransmits},
                 {"smoothed_rtt_us", absl::ToInt64Microseconds(flow.smoothed_rtt)},
                 {"duration_seconds", absl::ToDoubleSeconds(flow.duration)}};
    if (event.peer) {
      json["peer"] = event.peer->StableName();
    }
    if (event.user) {
      json["user"] = ProcessJson(*event.user);
    }
    if (flow.error != 0) {
      json["error"] = flow.error;
    }
    return json;
  }
  Json operator()(const DnsEvent& dns) const {
    Json json = {{"is_response", dns.is_response},
                 {"local", EndpointText(dns.local)},
                 {"resolver", EndpointText(dns.resolver)},
                 {"socket_cookie", dns.socket_cookie}};
    Mark(json, {{"truncated", dns.truncated}});
    const absl::StatusOr<DnsMessage> message = ParseDns(dns.payload, dns.truncated);
    if (!message.ok()) {
      json["unreadable"] = true;
      return json;
    }
    json["name"] = message->question.name;
    json["type"] = message->question.type;
    if (dns.is_response) {
      json["rcode"] = message->rcode;
      json["answers"] = Json::array();
      for (const DnsAnswer& answer : message->answers) {
        json["answers"].push_back(AnswerJson(answer));
      }
    }
    return json;
  }
  Json operator()(const CgroupEvent& cgroup) const {
    return {{"cgroup_id", cgroup.cgroup_id}, {"path", PrintableUtf8(cgroup.path)}};
  }
  Json operator()(const MoveEvent& move) const {
    return {{"to_cgroup_id", move.to_cgroup_id},
            {"mover_pid", move.mover.tgid},
            {"by_runtime", move.by_runtime}};
  }
  Json operator()(const OverflowEvent& overflow) const {
    return {{"cache", overflow.cache}, {"limit", overflow.limit}, {"lost", overflow.lost}};
  }
  Json operator()(const PrivilegeEvent& privilege) const {
    switch (privilege.act) {
      case PrivilegeAct::kModuleLoad:
        return {{"module", PrintableUtf8(privilege.module)}, {"taints", privilege.taints}};
      case PrivilegeAct::kIoUring:
        return {{"setup_flags", privilege.setup_flags}};
      case PrivilegeAct::kSignal:
        return {{"signal", SignalName(privilege.signal)},
                {"target_pid", privilege.target.tgid},
                {"target_comm", PrintableUtf8(privilege.target_comm)},
                {"target_workload", PrintableUtf8(event.target_workload)}};
      case PrivilegeAct::kCapability:
        return {{"capability", CapabilityName(privilege.capability)},
                {"in_user_namespace", privilege.in_user_namespace}};
    }
    return Json::object();
  }
  Json operator()(const FileEvent& file) const {
    Json json = {{"verb", FileVerbName(file.verb)},
                 {"path", PrintableUtf8(file.path)},
                 {"mode", file.mode},
                 {"links", file.links},
                 {"filesystem", FilesystemName(file.filesystem)}};
    Mark(json, {{"path_truncated", file.path_truncated},
                {"path_elsewhere", file.path_elsewhere},
                {"unnamed", file.unnamed}});
    if (!file.shape.empty()) {
      json["shape"] = PrintableUtf8(file.shape);
    }
    return json;
  }
};

// Under which key they stand; kinds that differ by their act alone share one.
struct FactsName {
  const char* operator()(const ExecEvent&) const { return "exec"; }
  const char* operator()(const ProcessSeenEvent&) const { return "process_seen"; }
  const char* operator()(const ForkEvent&) const { return "fork"; }
  const char* operator()(const ExitEvent&) const { return "exit"; }
  const char* operator()(const CredentialEvent&) const { return "credential"; }
  const char* operator()(const FlowEvent&) const { return "flow"; }
  const char* operator()(const DnsEvent&) const { return "dns"; }
  const char* operator()(const CgroupEvent&) const { return "cgroup"; }
  const char* operator()(const MoveEvent&) const { return "move"; }
  const char* operator()(const OverflowEvent&) const { return "overflow"; }
  const char* operator()(const PrivilegeEvent&) const { return "privilege"; }
  const char* operator()(const FileEvent&) const { return "file"; }
};

}  // namespace

nlohmann::json EventFacts(const EnrichedEvent& event) {
  const EventBody& body = event.event.body;
  Json process = ProcessJson(event.process);
  std::visit(
      [&process](const auto& act) {
        if constexpr (requires { act.process; }) {
          AddContext(act.process, process);
        }
      },
      body);
  Json facts = {{"process", std::move(process)}, {"ancestors", Json::array()}};
  for (const ProcessInfo& ancestor : event.ancestors) {
    facts["ancestors"].push_back(ProcessJson(ancestor));
  }
  facts[std::visit(FactsName(), body)] = std::visit(FactsOf{event}, body);
  return facts;
}

}  // namespace vedette
