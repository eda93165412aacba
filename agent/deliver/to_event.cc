// SPDX-License-Identifier: Apache-2.0
#include "agent/deliver/to_event.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <utility>

#include "agent/base/utf8.h"
#include "agent/correlate/finding_of.h"
#include "agent/enrich/code_names.h"
#include "agent/enrich/code_table.h"
#include "agent/profile/behaviour.h"

namespace vedette {
namespace {

// A protobuf `string` must be UTF-8, or the event could not be read back from the spool.
std::string Text(std::string_view bytes) {
  return IsValidUtf8(bytes) ? std::string(bytes) : TextFromBytes(bytes);
}

pb::Severity SeverityOf(Severity severity) {
  switch (severity) {
    case Severity::kInformational:
      return pb::SEVERITY_INFORMATIONAL;
    case Severity::kLow:
      return pb::SEVERITY_LOW;
    case Severity::kMedium:
      return pb::SEVERITY_MEDIUM;
    case Severity::kHigh:
      return pb::SEVERITY_HIGH;
    case Severity::kCritical:
      return pb::SEVERITY_CRITICAL;
  }
  return pb::SEVERITY_UNSPECIFIED;
}

std::string ProtocolText(uint8_t protocol) {
  return protocol == IPPROTO_TCP   ? "tcp"
         : protocol == IPPROTO_UDP ? "udp"
                                   : fmt::format("ip-{}", protocol);
}

void FillProcess(const ProcessInfo& from, absl::Time boot_time, pb::Process* to) {
  to->set_exec_id(Text(from.exec_id));
  to->set_pid(from.pid);
  to->set_comm(from.comm);
  pb::Code* code = to->mutable_code();
  code->set_path(from.code.path);
  code->set_sha256(Text(from.code.sha256));
  code->set_origin(std::string(OriginName(from.code.origin)));
  code->set_script(from.code.script);
  code->set_elsewhere(from.code.path.starts_with(kElsewhere));
  code->set_filesystem(FilesystemName(from.code.filesystem));
  for (const std::string& argument : from.argv) {
    to->add_argv(argument);
  }
  to->set_argv_truncated(from.argv_truncated);
  to->set_unknown(from.unknown);
  if (from.credentials.has_value()) {
    to->set_uid(from.credentials->uid);
    to->set_gid(from.credentials->gid);
    to->set_euid(from.credentials->euid);
    to->set_cap_effective(from.credentials->cap_effective);
  }
  if (!from.id.unknown()) {
    const absl::Time start = boot_time + absl::Nanoseconds(from.id.start_ns);
    to->set_start_time_unix_ns(absl::ToUnixNanos(start));
  }
}

void FillEndpoint(const Endpoint& from, pb::Endpoint* to) {
  to->set_ip(from.address.ToString());
  to->set_port(from.port);
}

void FillFlow(const Finding& finding, pb::Flow* to) {
  const FlowEvent& from = *finding.flow;
  to->set_direction(from.direction == FlowDirection::kInbound ? "inbound" : "outbound");
  to->set_protocol(ProtocolText(from.protocol));
  FillEndpoint(from.local, to->mutable_local());
  if (from.stage == FlowStage::kListening) {
    to->set_direction("inbound");  // A listener has no far end yet, but waits for one.
  } else {
    FillEndpoint(finding.peer.has_value() ? finding.peer->endpoint : from.remote,
                 to->mutable_remote());
  }
  if (finding.peer.has_value()) {
    to->mutable_remote()->set_dns_name(Text(finding.peer->dns_name));
    to->mutable_remote()->set_workload(Text(finding.peer->workload));
  }
  to->set_sent_bytes(from.sent_bytes);
  to->set_received_bytes(from.received_bytes);
  to->set_retransmits(from.retransmits);
}

void FillFile(const FileEvent& from, pb::File* to) {
  to->set_verb(std::string(FileVerbName(from.verb)));
  to->set_path(from.path);
  to->set_mode(from.mode);
  to->set_links(from.links);
  to->set_filesystem(FilesystemName(from.filesystem));
  to->set_elsewhere(from.path_elsewhere);
}

void FillWorkload(const Finding& finding, pb::Workload* to) {
  to->set_name(Text(finding.workload.name));
  to->set_identity(Text(finding.workload.identity));
  to->set_cgroup_id(finding.instance.cgroup_id);
  to->set_cgroup_path(finding.instance.cgroup_path);
  to->set_container_id(Text(finding.instance.container_id));
  to->set_runtime(Text(finding.instance.runtime));
}

void FillEnvelope(const EventSource& source, pb::Event* event) {
  event->set_node(Text(source.node));
  event->set_boot_id(Text(source.boot_id));
  event->set_agent_version(source.agent_version);
}

// What a person said of the finding.
void FillStatus(const Finding& finding, pb::Event* event) {
  pb::Finding* to = event->mutable_finding();
  if (finding.dismissal.has_value()) {
    pb::Dismissal* dismissal = to->mutable_dismissal();
    dismissal->set_user(Text(finding.dismissal->user));
    dismissal->set_uid(finding.dismissal->uid);
    dismissal->set_time_unix_ns(absl::ToUnixNanos(finding.dismissal->at));
    dismissal->set_reason(finding.dismissal->reason);
  }
  if (finding.status_changes > 0) {
    event->set_uid(fmt::format("{}/{}", event->uid(), finding.status_changes));
  }
  if (finding.status_change.has_value()) {
    to->set_status_detail(fmt::format("{} by {}", finding.dismissal ? "dismissed" : "restored",
                                      Text(finding.status_change->user)));
    event->set_time_unix_ns(absl::ToUnixNanos(finding.status_change->at));
  }
}

}  // namespace

pb::Event ToEvent(const EventSource& source, const Finding& finding) {
  pb::Event event;
  FillEnvelope(source, &event);
  event.set_uid(fmt::format("{}/{}/{}/{}", event.node(), Text(finding.uid),
                            absl::ToUnixNanos(finding.first_seen), finding.count));
  event.set_key(Text(finding.workload.name));
  event.set_time_unix_ns(absl::ToUnixNanos(finding.last_seen));
  FillStatus(finding, &event);
  pb::Finding* to = event.mutable_finding();
  to->set_uid(Text(finding.uid));
  to->set_is_update(finding.change == Finding::Change::kUpdated);
  to->set_kind(std::string(KindName(finding.kind)));
  to->set_severity(SeverityOf(finding.severity));
  to->set_score_bits(finding.score);
  to->set_title(Text(finding.title));
  to->set_sentence(Text(finding.sentence));
  to->set_first_seen_unix_ns(absl::ToUnixNanos(finding.first_seen));
  to->set_last_seen_unix_ns(absl::ToUnixNanos(finding.last_seen));
  to->set_count(finding.count);
  FillWorkload(finding, to->mutable_workload());
  if (finding.kind == Finding::Kind::kDeviation) {
    to->set_channel(std::string(ChannelName(finding.behaviour.channel)));
  }
  to->set_subject(finding.behaviour.subject);
  to->set_object(finding.behaviour.object);
  to->set_profile_state(Text(finding.profile_state));
  to->set_default_profile(Text(finding.default_profile));
  // A finding about a workload as a whole has nobody who acted.
  if (finding.process.pid != 0 || !finding.process.id.unknown()) {
    FillProcess(finding.process, source.boot_time, to->mutable_process());
  }
  for (const ProcessInfo& ancestor : finding.ancestors) {
    FillProcess(ancestor, source.boot_time, to->add_ancestors());
  }
  if (finding.flow.has_value()) {
    FillFlow(finding, to->mutable_flow());
  }
  if (finding.file.has_value()) {
    FillFile(*finding.file, to->mutable_file());
  }
  return event;
}

pb::Event ToEvent(const EventSource& source, pb::Ledger ledger) {
  pb::Event event;
  FillEnvelope(source, &event);
  if (ledger.uid().empty()) {
    ledger.set_uid(
        fmt::format("{}/ledger/{}/{}", event.node(), event.boot_id(), ledger.to_unix_ns()));
  }
  // Names of workloads, which are bytes, may be part of what the account says.
  for (std::string& gap : *ledger.mutable_gaps()) {
    gap = Text(gap);
  }
  for (pb::LedgerEntry& entry : *ledger.mutable_entries()) {
    entry.set_stage(Text(entry.stage()));
    entry.set_counter(Text(entry.counter()));
  }
  event.set_uid(ledger.uid());
  event.set_key(event.node());
  event.set_time_unix_ns(ledger.to_unix_ns());
  *event.mutable_ledger() = std::move(ledger);
  return event;
}

}  // namespace vedette
