// SPDX-License-Identifier: Apache-2.0
#include "agent/correlate/finding_json.h"

#include <netinet/in.h>

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "agent/base/text.h"
#include "agent/base/time_text.h"
#include "agent/correlate/finding_of.h"
#include "agent/enrich/code_names.h"
#include "agent/profile/profile_json.h"

namespace vedette {
namespace {

using nlohmann::json;

// Sets what is known; an empty string means that it is not.
void SetText(json& out, const char* key, const std::string& value) {
  if (!value.empty()) {
    out[key] = PrintableUtf8(value);
  }
}

json ProcessJson(const ProcessInfo& process) {
  json out = {{"pid", process.pid},
              {"origin", std::string(OriginName(process.code.origin))},
              {"unknown", process.unknown}};
  SetText(out, "exec_id", process.exec_id);
  SetText(out, "comm", process.comm);
  SetText(out, "path", process.code.path);
  SetText(out, "sha256", process.code.sha256);
  SetText(out, "script", process.code.script);
  SetText(out, "filesystem", FilesystemName(process.code.filesystem));
  json& argv = out["argv"] = json::array();
  for (const std::string& argument : process.argv) {
    argv.push_back(PrintableUtf8(argument));
  }
  if (process.argv_truncated) {
    out["argv_truncated"] = true;
  }
  if (process.credentials) {
    out["uid"] = process.credentials->uid;
    out["gid"] = process.credentials->gid;
    out["euid"] = process.credentials->euid;
    out["egid"] = process.credentials->egid;
    out["cap_effective"] = process.credentials->cap_effective;
  }
  return out;
}

json EndpointJson(const Endpoint& endpoint) {
  return {{"ip", endpoint.address.ToString()}, {"port", endpoint.port}};
}

std::string_view ProtocolName(uint8_t protocol) {
  return protocol == IPPROTO_TCP ? "tcp" : protocol == IPPROTO_UDP ? "udp" : "other";
}

json FileJson(const FileEvent& file) {
  json out = {{"verb", std::string(FileVerbName(file.verb))},
              {"path", PrintableUtf8(file.path)},
              {"mode", file.mode},
              {"links", file.links},
              {"filesystem", FilesystemName(file.filesystem)}};
  if (file.path_elsewhere) {
    out["path_elsewhere"] = true;
  }
  return out;
}

json FlowJson(const FlowEvent& flow) {
  return {{"direction", flow.direction == FlowDirection::kOutbound ? "outbound" : "inbound"},
          {"protocol", std::string(ProtocolName(flow.protocol))},
          {"local", EndpointJson(flow.local)},
          {"remote", EndpointJson(flow.remote)},
          {"error", flow.error},
          {"sent_bytes", flow.sent_bytes},
          {"received_bytes", flow.received_bytes},
          {"retransmits", flow.retransmits}};
}

json PeerJson(const PeerInfo& peer) {
  json out = EndpointJson(peer.endpoint);
  SetText(out, "dns_name", peer.dns_name);
  SetText(out, "workload", peer.workload);
  SetText(out, "network", peer.network);
  return out;
}

json BehaviourJson(const Behaviour& b) {
  json out = {{"channel", std::string(ChannelName(b.channel))}};
  SetText(out, "subject", b.subject);
  SetText(out, "subject_sha256", b.subject_sha256);
  SetText(out, "object", b.object);
  SetText(out, "object_sha256", b.object_sha256);
  SetText(out, "script", b.qualifier);
  return out;
}

}  // namespace

json ToJson(const Finding& f) {
  json out = {{"uid", PrintableUtf8(f.uid)},
              {"kind", std::string(KindName(f.kind))},
              {"severity", std::string(SeverityName(f.severity))},
              {"score_bits", f.score},
              {"title", PrintableUtf8(f.title)},
              {"sentence", PrintableUtf8(f.sentence)},
              {"first_seen", TimeText(f.first_seen)},
              {"last_seen", TimeText(f.last_seen)},
              {"count", f.count},
              {"workload", PrintableUtf8(f.workload.name)},
              {"identity", PrintableUtf8(f.workload.identity)},
              {"profile_state", PrintableUtf8(f.profile_state)},
              {"status", f.dismissal ? "dismissed" : "new"},
              {"behaviour", BehaviourJson(f.behaviour)},
              {"process", ProcessJson(f.process)},
              {"ancestors", json::array()}};
  json& instance = out["instance"] = {{"cgroup_id", f.instance.cgroup_id}};
  SetText(instance, "cgroup_path", f.instance.cgroup_path);
  SetText(instance, "container_id", f.instance.container_id);
  SetText(instance, "runtime", f.instance.runtime);
  SetText(out, "default_profile", f.default_profile);
  if (f.dismissal) {
    out["dismissal"] = ToJson(*f.dismissal);
  }
  for (const ProcessInfo& ancestor : f.ancestors) {
    out["ancestors"].push_back(ProcessJson(ancestor));
  }
  if (f.peer) {
    out["peer"] = PeerJson(*f.peer);
  }
  if (f.flow) {
    out["flow"] = FlowJson(*f.flow);
  }
  if (f.file) {
    out["file"] = FileJson(*f.file);
  }
  return out;
}

}  // namespace vedette
