// SPDX-License-Identifier: Apache-2.0
#include "exporters/schema/ocsf.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "agent/base/utf8.h"
#include "exporters/schema/json_writer.h"

namespace vedette {
namespace {

constexpr int64_t kClassUid = 2004;
constexpr int64_t kCategoryUid = 2;
constexpr int64_t kNanosecondsPerMillisecond = 1'000'000;
constexpr int64_t kIpProtocolTcp = 6;
constexpr int64_t kIpProtocolUdp = 17;
// OCSF wants lineage as nested processes; a reader must not be made to recurse without a bound.
constexpr int kMaxAncestors = 16;

int64_t Milliseconds(int64_t unix_ns) { return unix_ns / kNanosecondsPerMillisecond; }

struct Caption {
  int64_t id;
  std::string_view name;
};

Caption SeverityOf(pb::Severity severity) {
  switch (severity) {
    case pb::SEVERITY_INFORMATIONAL:
      return {1, "Informational"};
    case pb::SEVERITY_LOW:
      return {2, "Low"};
    case pb::SEVERITY_MEDIUM:
      return {3, "Medium"};
    case pb::SEVERITY_HIGH:
      return {4, "High"};
    case pb::SEVERITY_CRITICAL:
      return {5, "Critical"};
    default:
      return {0, "Unknown"};
  }
}

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos || slash + 1 == path.size() ? path
                                                                     : path.substr(slash + 1);
}

std::string_view DirectoryOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view()
                                         : path.substr(0, std::max<size_t>(slash, 1));
}

// The type of a finding as words; `channel` names what kind of behaviour deviated.
std::string TypeOf(const pb::Finding& finding) {
  return finding.channel().empty() ? finding.kind() : finding.kind() + "/" + finding.channel();
}

void WriteMetadata(const pb::Event& event, JsonWriter* json) {
  json->BeginObject("metadata").Text("version", "1.8.0").Text("uid", event.uid());
  json->BeginObject("product").Text("name", "Vedette").Text("vendor_name", "Vedette");
  json->Text("version", event.agent_version()).EndObject();
  // euid and the group of a process belong to this profile.
  json->BeginArray("profiles").Text("linux_users").EndArray();
  json->EndObject();
}

void WriteDevice(const pb::Event& event, JsonWriter* json) {
  if (event.node().empty()) {
    return;
  }
  json->BeginObject("device").Int("type_id", 0).Text("type", "Unknown");
  json->Text("name", event.node()).Text("hostname", event.node());
  if (!event.boot_id().empty()) {
    json->Text("boot_uid", event.boot_id());
  }
  json->EndObject();
}

void WriteFindingInfo(const pb::Finding& finding, JsonWriter* json) {
  json->BeginObject("finding_info").Text("uid", finding.uid()).Text("title", finding.title());
  json->Text("desc", finding.sentence());
  json->Int("first_seen_time", Milliseconds(finding.first_seen_unix_ns()));
  json->Int("last_seen_time", Milliseconds(finding.last_seen_unix_ns()));
  json->BeginArray("types").Text(TypeOf(finding)).EndArray();
  json->BeginObject("analytic").Text("name", "learned behaviour");
  json->Text("uid", "vedette.learned-behaviour");
  json->Int("type_id", 2).Text("type", "Behavioral").EndObject();
  json->EndObject();
}

void WriteFile(std::string_view key, const pb::Code& code, JsonWriter* json) {
  json->BeginObject(key).Bytes("name", BaseName(code.path())).Bytes("path", code.path());
  const std::string_view folder = DirectoryOf(code.path());
  if (!folder.empty()) {
    json->Bytes("parent_folder", folder);
  }
  // Code that is in memory only has no file behind it any more.
  const bool regular = code.origin() != "memfd";
  json->Int("type_id", regular ? 1 : 99).Text("type", regular ? "Regular File" : "memfd");
  if (code.origin() == "deleted") {
    json->Bool("is_deleted", true);
  }
  if (!code.sha256().empty()) {
    json->BeginArray("hashes").BeginObject().Int("algorithm_id", 3).Text("algorithm", "SHA-256");
    json->Text("value", code.sha256()).EndObject().EndArray();
  }
  json->EndObject();
}

// The file that was acted on.
void WriteTouchedFile(const pb::File& file, JsonWriter* json) {
  constexpr uint32_t kTypeMask = 0170000;
  const Caption type = (file.mode() & kTypeMask) == 0100000   ? Caption{1, "Regular File"}
                       : (file.mode() & kTypeMask) == 0040000 ? Caption{2, "Folder"}
                       : (file.mode() & kTypeMask) == 0020000 ? Caption{3, "Character Device"}
                       : (file.mode() & kTypeMask) == 0060000 ? Caption{4, "Block Device"}
                       : (file.mode() & kTypeMask) == 0010000 ? Caption{6, "Named Pipe"}
                                                              : Caption{0, "Unknown"};
  json->BeginObject("file").Bytes("name", BaseName(file.path())).Bytes("path", file.path());
  const std::string_view folder = DirectoryOf(file.path());
  if (!folder.empty()) {
    json->Bytes("parent_folder", folder);
  }
  json->Int("type_id", type.id).Text("type", type.name).EndObject();
}

std::string CommandLine(const pb::Process& process) {
  std::string line;
  for (const std::string& argument : process.argv()) {
    line += line.empty() ? "" : " ";
    line += argument;
  }
  return line;
}

// Facts about code that a process or file of OCSF has no attribute for.
void WriteProcessExtras(const pb::Process& process, JsonWriter* json) {
  json->BeginObject("xattributes");
  if (!process.code().origin().empty()) {
    json->Text("code_origin", process.code().origin());
  }
  if (process.code().elsewhere()) {
    json->Bool("path_elsewhere", true);
  }
  if (!process.code().filesystem().empty()) {
    json->Text("filesystem", process.code().filesystem());
  }
  if (!process.code().script().empty()) {
    json->Bytes("script", process.code().script());
  }
  if (process.argv_truncated()) {
    json->Bool("argv_truncated", true);
  }
  if (process.has_cap_effective()) {
    json->Unsigned("cap_effective", process.cap_effective());
  }
  json->EndObject();
}

void WriteProcessFields(const pb::Process& process, JsonWriter* json) {
  json->Unsigned("pid", std::min<uint32_t>(process.pid(), INT32_MAX));
  if (!process.exec_id().empty()) {
    json->Text("uid", process.exec_id());
  }
  json->Bytes("name", process.comm());
  if (process.unknown()) {
    // It died before the agent first started: only its number is sure.
    json->BeginObject("xattributes").Bool("unknown", true).EndObject();
    return;
  }
  if (!process.code().path().empty()) {
    json->Bytes("path", process.code().path());
    WriteFile("file", process.code(), json);
  }
  if (process.argv_size() > 0) {
    json->Bytes("cmd_line", CommandLine(process));
  }
  if (process.start_time_unix_ns() > 0) {
    json->Int("created_time", Milliseconds(process.start_time_unix_ns()));
  }
  if (process.has_uid()) {
    json->BeginObject("user").Text("uid", std::to_string(process.uid())).EndObject();
  }
  if (process.has_euid()) {
    json->Unsigned("euid", std::min<uint32_t>(process.euid(), INT32_MAX));
  }
  if (process.has_gid()) {
    json->BeginObject("group").Text("uid", std::to_string(process.gid())).EndObject();
  }
  WriteProcessExtras(process, json);
}

void WriteProcess(const pb::Finding& finding, JsonWriter* json) {
  json->BeginObject("process");
  WriteProcessFields(finding.process(), json);
  const int depth = std::min(finding.ancestors_size(), kMaxAncestors);
  for (int i = 0; i < depth; ++i) {
    json->BeginObject("parent_process");
    WriteProcessFields(finding.ancestors(i), json);
  }
  for (int i = 0; i < depth; ++i) {
    json->EndObject();
  }
  json->EndObject();
}

void WriteEndpoint(std::string_view key, const pb::Endpoint& endpoint, JsonWriter* json) {
  // An endpoint without any name is not allowed; a listener on every address still has one: "::".
  if (endpoint.ip().empty() && endpoint.dns_name().empty() && endpoint.workload().empty()) {
    return;
  }
  json->BeginObject(key);
  if (!endpoint.ip().empty()) {
    json->Text("ip", endpoint.ip());
  }
  if (endpoint.port() != 0) {
    json->Unsigned("port", std::min<uint32_t>(endpoint.port(), 65535));
  }
  if (!endpoint.dns_name().empty()) {
    json->Text("hostname", endpoint.dns_name());
  }
  if (!endpoint.workload().empty()) {
    json->Text("name", endpoint.workload());
  }
  json->EndObject();
}

void WriteFlow(const pb::Flow& flow, JsonWriter* json) {
  const bool inbound = flow.direction() == "inbound";
  // In OCSF the source is who opens the connection, whichever side we are on.
  WriteEndpoint("src_endpoint", inbound ? flow.remote() : flow.local(), json);
  WriteEndpoint("dst_endpoint", inbound ? flow.local() : flow.remote(), json);
  json->BeginObject("connection_info");
  json->Int("direction_id", inbound ? 1 : 2).Text("direction", inbound ? "Inbound" : "Outbound");
  if (!flow.protocol().empty()) {
    json->Text("protocol_name", flow.protocol());
  }
  if (flow.protocol() == "tcp" || flow.protocol() == "udp") {
    json->Int("protocol_num", flow.protocol() == "tcp" ? kIpProtocolTcp : kIpProtocolUdp);
  }
  const std::string& ip = flow.remote().ip().empty() ? flow.local().ip() : flow.remote().ip();
  if (!ip.empty()) {
    const bool v6 = ip.find(':') != std::string::npos;
    json->Int("protocol_ver_id", v6 ? 6 : 4);
  }
  json->EndObject();
}

void WriteFlowTotals(const pb::Flow& flow, JsonWriter* json) {
  json->BeginObject("flow").Unsigned("sent_bytes", flow.sent_bytes());
  json->Unsigned("received_bytes", flow.received_bytes());
  json->Unsigned("retransmits", flow.retransmits()).EndObject();
}

// What a file of OCSF has no attribute for.
void WriteFileFacts(const pb::File& file, JsonWriter* json) {
  json->BeginObject("file").Text("verb", file.verb()).Unsigned("mode", file.mode());
  json->Unsigned("links", file.links()).Text("filesystem", file.filesystem());
  if (file.elsewhere()) {
    json->Bool("path_elsewhere", true);
  }
  json->EndObject();
}

void WriteContainer(const pb::Workload& workload, JsonWriter* json) {
  if (workload.container_id().empty()) {
    return;
  }
  json->BeginObject("container").Text("uid", workload.container_id());
  if (!workload.runtime().empty()) {
    json->Text("runtime", workload.runtime());
  }
  if (workload.name().rfind("kubernetes/", 0) == 0) {
    json->Text("orchestrator", "kubernetes");
  }
  json->EndObject();
}

void WriteEvidences(const pb::Finding& finding, JsonWriter* json) {
  const bool actor = finding.has_process();
  if (!actor && !finding.has_flow() && !finding.has_file()) {
    return;
  }
  json->BeginArray("evidences").BeginObject();
  if (actor) {
    WriteProcess(finding, json);
    if (!finding.has_file() && !finding.process().code().path().empty()) {
      WriteFile("file", finding.process().code(), json);
    }
  }
  if (finding.has_flow()) {
    WriteFlow(finding.flow(), json);
  }
  if (finding.has_file() && !finding.file().path().empty()) {
    WriteTouchedFile(finding.file(), json);
  }
  WriteContainer(finding.workload(), json);
  json->EndObject().EndArray();
}

// "kubernetes/NAMESPACE/OWNER/CONTAINER": the namespace; empty for other workloads.
std::string_view NamespaceOf(std::string_view workload) {
  constexpr std::string_view kPrefix = "kubernetes/";
  if (workload.substr(0, kPrefix.size()) != kPrefix) {
    return {};
  }
  workload.remove_prefix(kPrefix.size());
  return workload.substr(0, workload.find('/'));
}

void WriteResources(const pb::Finding& finding, JsonWriter* json) {
  const pb::Workload& workload = finding.workload();
  if (workload.name().empty() && workload.identity().empty()) {
    return;
  }
  json->BeginArray("resources").BeginObject().Text("name", workload.name());
  if (!workload.identity().empty()) {
    json->Text("uid", workload.identity());
  }
  json->Text("type", "workload").Int("role_id", 3).Text("role", "Affected");
  const std::string_view name_space = NamespaceOf(workload.name());
  if (!name_space.empty()) {
    json->Text("namespace", name_space);
  }
  json->EndObject().EndArray();
}

void WriteUnmapped(const pb::Event& event, JsonWriter* json) {
  const pb::Finding& finding = event.finding();
  json->BeginObject("unmapped").Text("kind", finding.kind()).Text("channel", finding.channel());
  json->Bytes("subject", finding.subject()).Bytes("object", finding.object());
  json->Double("score_bits", finding.score_bits()).Text("profile_state", finding.profile_state());
  if (!finding.default_profile().empty()) {
    json->Text("default_profile", finding.default_profile());
  }
  if (finding.has_dismissal()) {
    json->BeginObject("dismissal").Text("user", finding.dismissal().user());
    json->Unsigned("uid", finding.dismissal().uid());
    json->Int("time", Milliseconds(finding.dismissal().time_unix_ns()));
    json->Bytes("reason", finding.dismissal().reason()).EndObject();
  }
  json->Unsigned("cgroup_id", finding.workload().cgroup_id());
  json->Bytes("cgroup_path", finding.workload().cgroup_path());
  json->Text("runtime", finding.workload().runtime());
  if (finding.has_process() && finding.process().argv_size() > 0) {
    json->BeginArray("argv");
    for (const std::string& argument : finding.process().argv()) {
      json->Bytes(argument);
    }
    json->EndArray();
  }
  if (finding.has_flow()) {
    WriteFlowTotals(finding.flow(), json);
  }
  if (finding.has_file()) {
    WriteFileFacts(finding.file(), json);
  }
  json->EndObject();
}

// A finding that a person dismissed is suppressed; the reason is the comment.
void WriteStatus(const pb::Finding& finding, JsonWriter* json) {
  const bool dismissed = finding.has_dismissal();
  json->Int("status_id", dismissed ? 3 : 1).Text("status", dismissed ? "Suppressed" : "New");
  if (!finding.status_detail().empty()) {
    json->Text("status_detail", finding.status_detail());
  }
  if (dismissed) {
    json->Bytes("comment", finding.dismissal().reason());
  }
}

}  // namespace

std::string OcsfJson(const pb::Event& event) {
  const pb::Finding& finding = event.finding();
  const Caption activity = finding.is_update() ? Caption{2, "Update"} : Caption{1, "Create"};
  const Caption severity = SeverityOf(finding.severity());
  JsonWriter json;
  json.BeginObject().Int("class_uid", kClassUid).Text("class_name", "Detection Finding");
  json.Int("category_uid", kCategoryUid).Text("category_name", "Findings");
  json.Int("activity_id", activity.id).Text("activity_name", activity.name);
  json.Int("type_uid", kClassUid * 100 + activity.id);
  json.Int("severity_id", severity.id).Text("severity", severity.name);
  json.Int("time", Milliseconds(event.time_unix_ns()));
  json.Text("message", finding.sentence());
  WriteStatus(finding, &json);
  json.Int("start_time", Milliseconds(finding.first_seen_unix_ns()));
  json.Int("end_time", Milliseconds(finding.last_seen_unix_ns()));
  // OCSF keeps a count in 32 bits; the whole score is in `unmapped`.
  json.Int("count", static_cast<int64_t>(std::min<uint64_t>(finding.count(), INT32_MAX)));
  const double score = std::isfinite(finding.score_bits()) ? finding.score_bits() : 0;
  json.Int("risk_score", std::llround(std::clamp(score, 0.0, 1e6)));
  json.Text("risk_details", "bits of surprise: -log2 of how probable this novelty was");
  WriteMetadata(event, &json);
  WriteDevice(event, &json);
  WriteFindingInfo(finding, &json);
  WriteEvidences(finding, &json);
  WriteResources(finding, &json);
  WriteUnmapped(event, &json);
  json.EndObject();
  return json.Take();
}

}  // namespace vedette
