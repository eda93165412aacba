// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/event_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "absl/time/time.h"
#include "agent/base/text.h"
#include "agent/base/time_text.h"
#include "agent/pipeline/event_facts.h"
#include "agent/pipeline/event_summary.h"

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
  Json json = {{"time", TimeText(event.event.header.time)},
               {"workload", event.workload.name},
               {"instance", PrintableUtf8(event.instance.cgroup_path)},
               {"kind", EventKind(event.event)},
               {"reason", ReasonName(event.event.header.reason)},
               {"judgement", JudgementName(scored.judgement, event.event.header.reason)},
               {"pid", event.process.pid},
               {"comm", PrintableUtf8(event.process.comm)},
               {"path", PrintableUtf8(event.process.code.path)},
               {"summary", PrintableUtf8(EventSummary(event))}};
  json.update(EventFacts(event));
  if (const std::string_view hook = HookName(event.event.header.hook); !hook.empty()) {
    json["hook"] = hook;
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vedette
