// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>

#include <string>
#include <utility>

#include "agent/enrich/enriched_event.h"

namespace vedette {

// Events as enrich gives them, for the tests of profile and correlate.
struct TestEvents {
  std::string workload = "host/web";
  std::string program = "/usr/sbin/nginx";
  std::string program_sha256 = "aa11";
  std::string container_id;
  absl::Time time = absl::FromUnixSeconds(1'700'000'000);
  Reason reason = Reason::kNews;

  EnrichedEvent With(EventBody body, CacheSlot slot = {}) const {
    EnrichedEvent e;
    e.event.header.time = time;
    e.event.header.reason = reason;
    e.event.header.slot = slot;
    e.event.body = std::move(body);
    e.workload = {workload, "spiffe://vedette/" + workload, 7};
    e.instance = {42, "/" + workload, container_id, "cgroup"};
    e.process.id = {1000, 10};
    e.process.exec_id = "boot-1000-10";
    e.process.pid = 10;
    e.process.code = {program, program_sha256, CodeOrigin::kHost, ""};
    return e;
  }

  EnrichedEvent Exec(const std::string& path, const std::string& sha256 = "",
                     CacheSlot slot = {}) const {
    ExecEvent exec;
    exec.path = path;
    exec.argv = {path, "-v"};
    EnrichedEvent e = With(std::move(exec), slot);
    e.parent_code = e.process.code;
    e.process.code = {path, sha256, CodeOrigin::kHost, ""};
    e.process.argv = {path, "-v"};
    ProcessInfo parent;
    parent.pid = 9;
    parent.code = *e.parent_code;
    e.ancestors = {parent};
    return e;
  }

  EnrichedEvent Flow(FlowStage stage, const std::string& dns_name, uint16_t port,
                     CacheSlot slot = {}) const {
    FlowEvent flow;
    flow.stage = stage;
    flow.protocol = IPPROTO_TCP;
    const bool outbound = stage == FlowStage::kOpen || stage == FlowStage::kFailed;
    flow.direction = outbound ? FlowDirection::kOutbound : FlowDirection::kInbound;
    (outbound ? flow.remote : flow.local).port = port;
    PeerInfo peer;
    peer.endpoint = flow.remote;
    peer.dns_name = dns_name;
    EnrichedEvent e = With(std::move(flow), slot);
    if (stage != FlowStage::kListening) {
      e.peer = std::move(peer);
    }
    return e;
  }

  EnrichedEvent Module(const std::string& name, CacheSlot slot = {}) const {
    PrivilegeEvent act;
    act.module = name;
    return With(std::move(act), slot);
  }

  EnrichedEvent IoUring(CacheSlot slot = {}) const {
    PrivilegeEvent act;
    act.act = PrivilegeAct::kIoUring;
    return With(std::move(act), slot);
  }

  EnrichedEvent Signal(uint32_t signal, const std::string& target, CacheSlot slot = {}) const {
    PrivilegeEvent act;
    act.act = PrivilegeAct::kSignal;
    act.signal = signal;
    EnrichedEvent e = With(std::move(act), slot);
    e.target_workload = target;
    return e;
  }

  EnrichedEvent Capability(uint32_t capability, bool in_user_namespace = false,
                           CacheSlot slot = {}) const {
    PrivilegeEvent act;
    act.act = PrivilegeAct::kCapability;
    act.capability = capability;
    act.in_user_namespace = in_user_namespace;
    return With(std::move(act), slot);
  }
  // shape: empty where the name stands for itself.
  // Of the shapes of files.
  NamesDiffer names_differ = NamesDiffer::kSurely;

  EnrichedEvent File(FileVerb verb, const std::string& path, const std::string& shape = "",
                     CacheSlot slot = {}) const {
    FileEvent file;
    file.verb = verb;
    file.path = path;
    file.shape = shape;
    file.names_differ = names_differ;
    file.mode = 0100644;
    file.links = 1;
    return With(std::move(file), slot);
  }

  EnrichedEvent Connect(const std::string& dns_name, uint16_t port, CacheSlot slot = {}) const {
    return Flow(FlowStage::kOpen, dns_name, port, slot);
  }
};

}  // namespace vedette
