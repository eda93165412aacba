// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/enricher.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "agent/base/status.h"
#include "agent/enrich/identity.h"
#include "fmt/format.h"

namespace vedette {
namespace {

constexpr absl::Duration kExpiryInterval = absl::Minutes(10);

}  // namespace

absl::StatusOr<std::unique_ptr<Enricher>> Enricher::Create(Options options) {
  return std::unique_ptr<Enricher>(new Enricher(std::move(options)));
}

Enricher::Enricher(Options options)
    : unattributed_{.name = kUnattributed,
                    .identity = SpiffeId(options.cluster, kUnattributed),
                    .number = 0},
      workloads_(options.cluster, std::move(options.new_number), options.workload_limits),
      codes_(options.hasher, options.code_limits),
      processes_(options.boot_id, &codes_, options.processes),
      neighbours_(options.processes),
      dns_(options.dns_limits),
      listeners_(options.listener_limits),
      reasons_("enrich") {
  workloads_.SetNamer(std::move(options.namer));
  dns_.SetResolvers(options.resolvers);
}

EnrichedEvent Enricher::Enrich(Event&& event) {
  ++ledger_.received;
  EnrichedEvent out;
  out.event = std::move(event);
  std::visit([&](const auto& body) { Fill(body, out); }, out.event.body);
  ++ledger_.emitted;
  return out;
}

bool Enricher::IsAttributed(const Event& event) const {
  return std::visit(
      [this](const auto& body) {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<Body, CgroupEvent>) {
          return true;  // It says itself which one.
        } else if constexpr (std::is_same_v<Body, OverflowEvent>) {
          return workloads_.FindNumber(body.workload_number) != nullptr;
        } else {
          return WorkloadOf(body.process.home_cgroup_id, body.process.workload_number) != nullptr;
        }
      },
      event.body);
}

std::vector<std::pair<CodeKey, Code*>> Enricher::JudgedCode(EnrichedEvent& event) {
  if (const auto* exec = std::get_if<ExecEvent>(&event.event.body)) {
    return {{exec->process.code, &event.process.code},
            {exec->parent_code, event.parent_code ? &*event.parent_code : nullptr}};
  }
  if (const auto* flow = std::get_if<FlowEvent>(&event.event.body)) {
    return {{flow->process.code, &event.process.code}};
  }
  if (const auto* change = std::get_if<CredentialEvent>(&event.event.body)) {
    return {{change->process.code, &event.process.code}};
  }
  if (const auto* act = std::get_if<PrivilegeEvent>(&event.event.body)) {
    return {{act->process.code, &event.process.code}};
  }
  if (const auto* file = std::get_if<FileEvent>(&event.event.body)) {
    return {{file->process.code, &event.process.code}};
  }
  return {};
}

bool Enricher::AwaitsHash(EnrichedEvent& event) const {
  const auto judged = JudgedCode(event);
  return std::any_of(judged.begin(), judged.end(),
                     [this](const auto& code) { return codes_.IsBeingHashed(code.first); });
}

void Enricher::RenewHashes(EnrichedEvent& event) {
  for (const auto& [key, code] : JudgedCode(event)) {
    const Code* known = codes_.Find(key);
    if (code != nullptr && known != nullptr && !known->sha256.empty()) {
      code->sha256 = known->sha256;
    }
  }
}

absl::Status Enricher::KeepNames(SqliteDatabase* db, absl::Time now) {
  VEDETTE_ASSIGN_OR_RETURN(auto store, DnsNameStore::Open(db));
  VEDETTE_RETURN_IF_ERROR(store->Load(dns_.names(), now, kMinDnsTtl));
  name_store_ = std::move(store);
  return absl::OkStatus();
}

absl::Status Enricher::Write(absl::Time now, bool all) {
  if (name_store_ == nullptr) {
    return absl::OkStatus();
  }
  if (all && now >= next_expiry_) {
    next_expiry_ = now + kExpiryInterval;
    dns_.names().Expire(now);
  }
  return all || dns_.names().has_changes() ? name_store_->Write(dns_.names(), now)
                                           : absl::OkStatus();
}

void Enricher::Committed() {
  if (name_store_ != nullptr) {
    dns_.names().Saved();
    name_store_->Committed();
  }
}

bool Enricher::NeedsListeners(const Event& event) {
  const auto* flow = std::get_if<FlowEvent>(&event.body);
  return flow != nullptr && flow->stage != FlowStage::kClosed && ListenerTable::MayName(*flow) &&
         (event.header.reason == Reason::kNews || event.header.reason == Reason::kSwept);
}

void Enricher::SeeListeners(const std::vector<Event>& listening, absl::Time now) {
  std::vector<ListenerTable::Open> open;
  for (const Event& event : listening) {
    if (const auto* flow = std::get_if<FlowEvent>(&event.body); flow != nullptr) {
      const WorkloadInfo* workload =
          WorkloadOf(flow->process.home_cgroup_id, flow->process.workload_number);
      open.push_back({workload == nullptr ? "" : workload->name, flow});
    }
  }
  listeners_.Scan(open, now);
}

std::vector<Binding> Enricher::TakeBindings() { return std::exchange(bindings_, {}); }

void Enricher::NameLate() {
  for (const Binding& binding : workloads_.NameLate()) {
    bindings_.push_back(binding);
  }
}

void Enricher::Fill(const ExecEvent& body, EnrichedEvent& out) {
  const ProcessContext& context = body.process;
  FillWorkload(context.home_cgroup_id, context.workload_number, out);
  Code code;
  code.path = PlacedPath(MarkedPath(body.path, body.path_truncated), body.path_elsewhere);
  code.origin = body.origin;
  code.script = body.script;
  code.filesystem = body.filesystem;
  codes_.Learn(context.code, code, out.workload.name);
  codes_.Hash(context.code, context.tgid, NeighbourOf(context));
  if (const Code* known = codes_.Find(context.code); known != nullptr) {
    code.sha256 = known->sha256;
    if (code.path.empty()) {  // Swept from the cache: its record, with the path, was lost.
      code.path = known->path;
      code.origin = known->origin;
      code.filesystem = known->filesystem;
    }
  }
  out.process = processes_.Add(context, code, body.argv, body.argv_truncated);
  out.ancestors = processes_.DescribeAncestors(context);
  // It may run since before the agent, and not have had its turn.
  codes_.Hash(body.parent_code, context.parent_tgid, NeighbourOf(context));
  out.parent_code = processes_.CodeOf(body.previous, body.parent_code);
  if (out.parent_code->path.empty()) {
    reasons_.Count("unknown_parent_code", "a program was started by code whose path is not known");
  }
}

void Enricher::Fill(const ProcessSeenEvent& body, EnrichedEvent& out) {
  const ProcessContext& context = body.process;
  FillWorkload(context.home_cgroup_id, context.workload_number, out);
  Code code;
  code.path = PlacedPath(MarkedPath(body.path, body.path_truncated), body.path_elsewhere);
  code.origin = body.origin;
  codes_.Learn(context.code, code, out.workload.name);
  codes_.HashLater(context.code, context.tgid);
  NeighbourOf(context);
  if (const Code* known = codes_.Find(context.code); known != nullptr) {
    code.sha256 = known->sha256;
  }
  out.process = processes_.Add(context, code, body.argv, false);
  out.ancestors = processes_.DescribeAncestors(context);
}

void Enricher::Fill(const ForkEvent& body, EnrichedEvent& out) {
  NeighbourOf(body.process);
  FillWorkload(body.process.home_cgroup_id, body.process.workload_number, out);
  out.process = processes_.AddFork(body.process);
  out.ancestors = processes_.DescribeAncestors(body.process);
}

void Enricher::Fill(const ExitEvent& body, EnrichedEvent& out) {
  if (const uint32_t* oldest = neighbours_.Peek(body.process.home_cgroup_id);
      oldest != nullptr && *oldest == body.process.tgid) {
    neighbours_.Erase(body.process.home_cgroup_id);
  }
  FillProcess(body.process, out);
}

void Enricher::Fill(const CredentialEvent& body, EnrichedEvent& out) {
  codes_.Hash(body.process.code, body.process.tgid, NeighbourOf(body.process));
  FillProcess(body.process, out);
}

void Enricher::Fill(const FlowEvent& body, EnrichedEvent& out) {
  codes_.Hash(body.process.code, body.process.tgid, NeighbourOf(body.process));
  FillProcess(body.process, out);
  if (!body.user.unknown()) {
    out.user = processes_.Known(body.user);
  }
  const bool attributed = out.workload.attributed();
  if (body.stage == FlowStage::kListening) {
    // Who is not known takes the port from its last owner, too.
    listeners_.Listen(attributed ? out.workload.name : "", body, out.event.header.time);
    return;
  }
  if (body.stage == FlowStage::kClosed) {
    listeners_.Close(body);
  }
  out.peer = Peer(body, attributed ? out.workload.name : "", out.event.header.time);
}

void Enricher::Fill(const DnsEvent& body, EnrichedEvent& out) {
  FillProcess(body.process, out);
  // Workloads that are not told apart must not give each other names.
  if (out.workload.attributed()) {
    out.named = dns_.Observe(out.workload.name, body, out.event.header.time);
  }
}

void Enricher::Fill(const CgroupEvent& body, EnrichedEvent& out) {
  if (std::optional<Binding> binding = workloads_.Apply(body)) {
    bindings_.push_back(*binding);
  }
  FillWorkload(body.cgroup_id, body.workload_number, out);
}

void Enricher::Fill(const MoveEvent& body, EnrichedEvent& out) {
  FillProcess(body.process, out);
  const WorkloadTable::Entry* to = workloads_.FindCgroup(body.to_cgroup_id);
  out.moved_within = to != nullptr && to->workload == out.workload.name;
}

void Enricher::Fill(const FileEvent& body, EnrichedEvent& out) {
  codes_.Hash(body.process.code, body.process.tgid, NeighbourOf(body.process));
  FillProcess(body.process, out);
}

void Enricher::Fill(const OverflowEvent& body, EnrichedEvent& out) {
  FillWorkload(0, body.workload_number, out);
}

void Enricher::Fill(const PrivilegeEvent& body, EnrichedEvent& out) {
  codes_.Hash(body.process.code, body.process.tgid, NeighbourOf(body.process));
  FillProcess(body.process, out);
  if (body.act == PrivilegeAct::kSignal) {
    const WorkloadInfo* target =
        WorkloadOf(body.target_home_cgroup_id, body.target_workload_number);
    out.target_workload = target == nullptr ? unattributed_.name : target->name;
  }
}

uint32_t Enricher::NeighbourOf(const ProcessContext& context) {
  if (const uint32_t* oldest = neighbours_.Find(context.home_cgroup_id); oldest != nullptr) {
    return *oldest;
  }
  neighbours_.Put(context.home_cgroup_id, context.tgid);
  return context.parent_tgid;
}

void Enricher::FillProcess(const ProcessContext& context, EnrichedEvent& out) {
  FillWorkload(context.home_cgroup_id, context.workload_number, out);
  out.process = processes_.Describe(context);
  out.ancestors = processes_.DescribeAncestors(context);
}

void Enricher::FillWorkload(uint64_t cgroup_id, uint64_t number, EnrichedEvent& out) {
  if (const WorkloadTable::Entry* entry = workloads_.FindCgroup(cgroup_id); entry != nullptr) {
    out.instance = entry->instance;
    out.workload = *workloads_.FindName(entry->workload);
    return;
  }
  out.instance.cgroup_id = cgroup_id;
  if (const WorkloadInfo* workload = WorkloadOf(cgroup_id, number); workload != nullptr) {
    out.workload = *workload;
    return;
  }
  out.workload = unattributed_;
  ++ledger_.unattributed;
  reasons_.Count("unattributed", "an event of a cgroup that is not known has no workload");
}

const WorkloadInfo* Enricher::WorkloadOf(uint64_t cgroup_id, uint64_t number) const {
  const WorkloadTable::Entry* entry = workloads_.FindCgroup(cgroup_id);
  return entry != nullptr ? workloads_.FindName(entry->workload) : workloads_.FindNumber(number);
}

PeerInfo Enricher::Peer(const FlowEvent& flow, const std::string& workload, absl::Time time) {
  PeerInfo peer;
  peer.endpoint = flow.remote;
  peer.network = NetworkOf(flow.remote.address);
  if (flow.direction == FlowDirection::kOutbound && !workload.empty()) {
    peer.dns_name = dns_.NameOf(workload, flow.remote.address, time);
  }
  peer.workload = listeners_.PeerOf(flow);
  return peer;
}

std::map<std::string, uint64_t> Enricher::Degradations() const {
  std::map<std::string, uint64_t> all;
  const std::pair<const char*, const Reasons*> tables[] = {{"workloads", &workloads_.reasons()},
                                                           {"code", &codes_.reasons()},
                                                           {"dns", &dns_.reasons()},
                                                           {"listeners", &listeners_.reasons()},
                                                           {"enrich", &reasons_}};
  for (const auto& [table, reasons] : tables) {
    for (const auto& [reason, count] : reasons->counts()) {
      all[fmt::format("{}/{}", table, reason)] = count;
    }
  }
  if (name_store_ != nullptr) {
    for (const auto& [reason, count] : name_store_->reasons().counts()) {
      all[fmt::format("dns/{}", reason)] = count;
    }
  }
  if (codes_.evictions() > 0) {
    all["code/evicted"] = codes_.evictions();
  }
  if (processes_.evictions() > 0) {
    all["processes/evicted"] = processes_.evictions();
  }
  return all;
}

}  // namespace vedette
