// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/event_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "absl/time/time.h"
#include "agent/base/text.h"
#include "agent/enrich/code_names.h"
#include "agent/pipeline/event_summary.h"
#include "agent/profile/privilege_names.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

struct KindOf {
  std::string_view operator()(const ExecEvent&) const { return "exec"; }
  std::string_view operator()(const ProcessSeenEvent&) const { return "process_seen"; }
  std::string_view operator()(const ForkEvent&) const { return "fork"; }
  std::string_view operator()(const ExitEvent&) const { return "exit"; }
  std::string_view operator()(const CredentialEvent&) const { return "credential"; }
  std::string_view operator()(const DnsEvent&) const { return "dns"; }
  std::string_view operator()(const CgroupEvent&) const { return "cgroup"; }
  std::string_view operator()(const MoveEvent&) const { return "move"; }
  std::string_view operator()(const OverflowEvent&) const { return "overflow"; }
  std::string_view operator()(const PrivilegeEvent& privilege) const {
    switch (privilege.act) {
      case PrivilegeAct::kModuleLoad:
        return "module";
      case PrivilegeAct::kIoUring:
        return "io_uring";
      case PrivilegeAct::kSignal:
        return "signal";
      case PrivilegeAct::kCapability:
        return "capability";
    }
    return "privilege";
  }
  std::string_view operator()(const FileEvent&) const { return "file"; }
  std::string_view operator()(const FlowEvent& flow) const {
    switch (flow.stage) {
      case FlowStage::kOpen:
        return "connect";
      case FlowStage::kAccepted:
        return "accept";
      case FlowStage::kListening:
        return "listen";
      case FlowStage::kEstablished:
      case FlowStage::kFailed:
      case FlowStage::kUpdate:
      case FlowStage::kClosed:
        break;
    }
    return "flow";
  }
};

// All that KindOf gives.
constexpr std::array<std::string_view, 18> kKinds = {
    "exec",         "fork",   "exit",     "credential", "connect",    "accept",
    "listen",       "flow",   "dns",      "cgroup",     "move",       "overflow",
    "process_seen", "module", "io_uring", "signal",     "capability", "file"};

std::string_view ReasonName(Reason reason) {
  switch (reason) {
    case Reason::kNews:
      return "news";
    case Reason::kFollowUp:
      return "follow-up";
    case Reason::kContext:
      return "context";
    case Reason::kTap:
      return "tap";
    case Reason::kSwept:
      return "swept";
  }
  return "";
}

std::string_view JudgementName(Judgement judgement, Reason reason) {
  switch (judgement) {
    case Judgement::kKnown:
      return "known";
    case Judgement::kLearned:
      return "learned";
    case Judgement::kDeviation:
      return "deviation";
    case Judgement::kNotABehaviour:
      return reason == Reason::kTap ? "known" : "";
  }
  return "";
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
  return json;
}

Json FlowJson(const FlowEvent& flow, const EnrichedEvent& event) {
  Json json = {{"stage", FlowStageName(flow.stage)},
               {"direction", flow.direction == FlowDirection::kInbound ? "inbound" : "outbound"},
               {"protocol", ProtocolName(flow.protocol)},
               {"local", EndpointText(flow.local)},
               {"remote", EndpointText(flow.remote)},
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
  if (flow.error != 0) {
    json["error"] = flow.error;
  }
  return json;
}

Json ExecJson(const ExecEvent& exec) {
  Json json = {{"origin", OriginName(exec.origin)}};
  if (exec.filesystem != 0) {
    json["filesystem"] = FilesystemName(exec.filesystem);
  }
  const std::pair<const char*, bool> marks[] = {{"path_truncated", exec.path_truncated},
                                                {"path_elsewhere", exec.path_elsewhere},
                                                {"script_truncated", exec.script_truncated},
                                                {"lineage_unknown", exec.lineage_unknown}};
  for (const auto& [name, is_set] : marks) {
    if (is_set) {
      json[name] = true;
    }
  }
  return json;
}

Json FileJson(const FileEvent& file) {
  Json json = {{"verb", FileVerbName(file.verb)},
               {"path", PrintableUtf8(file.path)},
               {"mode", file.mode},
               {"links", file.links},
               {"filesystem", FilesystemName(file.filesystem)}};
  const std::pair<const char*, bool> marks[] = {{"path_truncated", file.path_truncated},
                                                {"path_elsewhere", file.path_elsewhere},
                                                {"unnamed", file.unnamed}};
  for (const auto& [name, is_set] : marks) {
    if (is_set) {
      json[name] = true;
    }
  }
  if (!file.shape.empty()) {
    json["shape"] = PrintableUtf8(file.shape);
  }
  return json;
}

Json PrivilegeJson(const PrivilegeEvent& privilege, const EnrichedEvent& event) {
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

Json ExitJson(const ExitEvent& exit) {
  const uint32_t signal = ExitSignal(exit.status);
  return signal != 0 ? Json{{"signal", SignalName(signal)}} : Json{{"code", ExitCode(exit.status)}};
}

}  // namespace

std::string_view EventKind(const Event& event) { return std::visit(KindOf(), event.body); }

absl::Status CheckEventKinds(const std::vector<std::string>& kinds) {
  for (const std::string& kind : kinds) {
    if (std::find(kKinds.begin(), kKinds.end(), kind) == kKinds.end()) {
      return absl::InvalidArgumentError(fmt::format("no event is of the kind {}; write one of {}",
                                                    PrintableUtf8(kind), fmt::join(kKinds, ", ")));
    }
  }
  return absl::OkStatus();
}

std::string EventLine(const ScoredEvent& scored) {
  const EnrichedEvent& event = scored.enriched;
  Json json = {
      {"time", absl::FormatTime(absl::RFC3339_full, event.event.header.time, absl::UTCTimeZone())},
      {"workload", event.workload.name},
      {"instance", PrintableUtf8(event.instance.cgroup_path)},
      {"kind", EventKind(event.event)},
      {"reason", ReasonName(event.event.header.reason)},
      {"judgement", JudgementName(scored.judgement, event.event.header.reason)},
      {"pid", event.process.pid},
      {"comm", PrintableUtf8(event.process.comm)},
      {"path", PrintableUtf8(event.process.code.path)},
      {"summary", PrintableUtf8(EventSummary(event))},
      {"process", ProcessJson(event.process)}};
  json["ancestors"] = Json::array();
  for (const ProcessInfo& ancestor : event.ancestors) {
    json["ancestors"].push_back(ProcessJson(ancestor));
  }
  if (const auto* flow = std::get_if<FlowEvent>(&event.event.body)) {
    json["flow"] = FlowJson(*flow, event);
  }
  if (const auto* exec = std::get_if<ExecEvent>(&event.event.body)) {
    json["exec"] = ExecJson(*exec);
  }
  if (const auto* privilege = std::get_if<PrivilegeEvent>(&event.event.body)) {
    json["privilege"] = PrivilegeJson(*privilege, event);
  }
  if (const auto* file = std::get_if<FileEvent>(&event.event.body)) {
    json["file"] = FileJson(*file);
  }
  if (const auto* exit = std::get_if<ExitEvent>(&event.event.body)) {
    json["status"] = exit->status;
    json["lifetime_seconds"] = absl::ToDoubleSeconds(exit->lifetime);
    json["exit"] = ExitJson(*exit);
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vedette
