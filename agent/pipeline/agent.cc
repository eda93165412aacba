// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/agent.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <optional>

#include "agent/api/api_server.h"
#include "agent/api/metrics_server.h"
#include "agent/base/deadline.h"
#include "agent/base/status.h"
#include "agent/base/trust_domain.h"
#include "agent/enrich/hash_thread.h"
#include "agent/enrich/resolvers.h"
#include "agent/pipeline/adoption.h"
#include "agent/pipeline/bpf_key_reader.h"
#include "agent/pipeline/control_backend.h"
#include "agent/pipeline/host_programs.h"
#include "agent/pipeline/node.h"
#include "agent/pipeline/pipeline.h"
#include "agent/pipeline/self_check.h"
#include "agent/pipeline/sinks.h"
#include "agent/pipeline/stage_options.h"
#include "agent/pipeline/store_bound.h"
#include "agent/pipeline/surroundings.h"
#include "agent/pipeline/taps.h"
#include "agent/probes/bpffs.h"
#include "agent/probes/decode.h"

namespace vedette {
namespace {

constexpr absl::Duration kStopPatience = absl::Seconds(5);
constexpr absl::Duration kLedgerInterval = absl::Minutes(1);

std::vector<std::string> GapsOf(const OpenedStore& store) {
  return store.damage.empty() ? std::vector<std::string>() : std::vector<std::string>{store.damage};
}

}  // namespace

// In the order of building; destroyed in reverse.
struct Agent::Parts {
  SystemClock clock;
  SteadyClock steady;
  RecordWitness witness;
  UniqueFd store_lock;
  std::unique_ptr<SqliteDatabase> db;
  std::unique_ptr<ProbeSet> probes;
  std::unique_ptr<VerdictCache> cache;
  std::unique_ptr<Redactor> redactor;
  std::unique_ptr<Decoder> decoder;
  std::unique_ptr<BpfKeyReader> keys;
  std::unique_ptr<HashSpawner> spawner;  // Until the hash thread has it.
  std::unique_ptr<HashThread> hasher;
  std::unique_ptr<CacheBindings> bindings;
  ResolvConf resolv_conf{kResolvConfPath};
  std::unique_ptr<Enricher> enricher;
  std::unique_ptr<HostPrograms> programs;
  std::unique_ptr<DefaultCover> defaults;
  std::unique_ptr<Profiles> profiles;
  std::unique_ptr<Correlator> correlator;
  std::vector<JsonlExporter*> files;
  std::unique_ptr<Delivery> delivery;
  std::unique_ptr<StoreBound> bound;
  std::unique_ptr<EventHub> hub;
  std::unique_ptr<ServiceMap> services;
  std::unique_ptr<WorkloadSeries> series;
  std::unique_ptr<CacheKeeper> keeper;
  std::unique_ptr<CgroupWalk> cgroups;
  std::unique_ptr<Pipeline> pipeline;
  std::unique_ptr<Taps> taps;
  std::unique_ptr<Collector> collector;
  std::unique_ptr<Account> account;
  absl::Time next_ledger;
  std::unique_ptr<ControlBackend> backend;
  std::unique_ptr<MetricsServer> metrics;
  std::unique_ptr<ApiServer> api;

  absl::Status BuildKernelSide(const Config& config);
  absl::Status BuildProfiles(const Config& config);
  absl::Status BuildStages(const Config& config, StoreState state);
  void BuildPipeline(const Config& config, const EventSource& source,
                     std::vector<std::string> gaps);
  void TrustResolvers(const Config& config);
  absl::Status StartDelivery(const Config& config, const EventSource& source);
  absl::Status LookAround(const Config& config);
  absl::Status StartThreads(const Config& config);
  absl::Status OpenControl(const Config& config, absl::Time started);
  bool StoreTakes();
  uint32_t ring_bytes = 0;
  bool leftovers_judged = false;
  std::atomic<bool> store_damaged = false;
  bool pipeline_runs = false;
  std::string boot_id;
  std::string pin_dir;
  std::string cgroup_root;
};

absl::Status Agent::Parts::BuildKernelSide(const Config& config) {
  ring_bytes = RingBytes(config);
  ProbeOptions options;
  options.pin_dir = pin_dir = config.bpf.pin_dir;
  VEDETTE_ASSIGN_OR_RETURN(cgroup_root, FindCgroup2Mount());
  options.cgroup_root = cgroup_root;
  options.ring_bytes = ring_bytes;
  options.max_processes = config.cache.processes;
  options.privilege = config.probes.privilege;
  options.capabilities = config.probes.capabilities;
  options.files = config.probes.files;
  VEDETTE_ASSIGN_OR_RETURN(probes, ProbeSet::Load(options));
  VerdictCacheOptions cache_options;
  cache_options.entries = config.cache.entries;
  // Where the probe was refused, it is degraded, and its maps are not there.
  for (size_t kind = 0; kind < kCacheKinds.size(); ++kind) {
    if (probes->MapFd(kCacheKinds[kind].outer_map) < 0) {
      cache_options.entries[kind] = 0;
    }
  }
  cache_options.cpus = libbpf_num_possible_cpus();
  cache = std::make_unique<VerdictCache>(
      [this](std::string_view name) { return probes->MapFd(name); }, cache_options);
  std::array<uint64_t, 2> secret;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(secret.data()), sizeof(secret)) != 1) {
    return absl::InternalError("no random bytes for the secret of keyed hashes");
  }
  keys = std::make_unique<BpfKeyReader>(probes.get());
  hasher = std::make_unique<HashThread>(std::move(spawner), keys.get(), HashThread::Limits());
  if (cache_options.entries[kFileCache] != 0) {
    VEDETTE_RETURN_IF_ERROR(cache->WatchFiles(config.files.watch));
  }
  return cache->Configure(secret, ring_bytes / 2, /*tap_all=*/false);
}

absl::Status Agent::Parts::BuildProfiles(const Config& config) {
  programs = std::make_unique<HostPrograms>(probes.get(), &steady);
  VEDETTE_ASSIGN_OR_RETURN(defaults, MakeDefaultCover(config.learning.default_profiles, *programs));
  ProfilesOptions options;
  options.learning = {config.learning.min_time, config.learning.quiet, config.learning.min_runs};
  options.defaults = defaults.get();
  options.steady = &steady;
  options.sensitive = SensitiveFiles(config);
  options.is_running = [this](const std::string& workload) {
    return enricher->workloads().IsRunning(workload);
  };
  VEDETTE_ASSIGN_OR_RETURN(profiles, Profiles::Load(db.get(), &clock, options));
  return absl::OkStatus();
}

absl::Status Agent::Parts::BuildStages(const Config& config, StoreState state) {
  VEDETTE_ASSIGN_OR_RETURN(redactor,
                           Redactor::Create({config.capture.argv, config.capture.redact}));
  decoder = std::make_unique<Decoder>(
      BootTime(), [this](Event& event) { redactor->Redact(event); }, witness);
  VEDETTE_ASSIGN_OR_RETURN(boot_id, ReadBootId());
  VEDETTE_ASSIGN_OR_RETURN(OpenedStore store, OpenStore(config.store.dir, clock.Now(), state));
  store_lock = std::move(store.lock);
  db = std::move(store.db);
  VEDETTE_ASSIGN_OR_RETURN(bindings, CacheBindings::Load(db.get(), boot_id, probes->adopted()));
  Enricher::Options enrich;
  enrich.cluster =
      config.identity.cluster.empty() ? TrustDomainOf(NodeName()) : config.identity.cluster;
  enrich.boot_id = boot_id;
  enrich.hasher = hasher.get();
  enrich.namer = MakeNamer(config);
  enrich.new_number = [this] { return cache->TakeNumber().value_or(0); };
  VEDETTE_ASSIGN_OR_RETURN(enricher, Enricher::Create(std::move(enrich)));
  TrustResolvers(config);
  VEDETTE_RETURN_IF_ERROR(enricher->KeepNames(db.get(), clock.Now()));
  VEDETTE_RETURN_IF_ERROR(BuildProfiles(config));
  VEDETTE_ASSIGN_OR_RETURN(correlator,
                           Correlator::Load(db.get(), &clock,
                                            {.update_interval = config.findings.update_interval,
                                             .per_hour = config.findings.per_hour}));
  const EventSource source = {NodeName(), boot_id, VEDETTE_VERSION, BootTime()};
  VEDETTE_RETURN_IF_ERROR(StartDelivery(config, source));
  bound = std::make_unique<StoreBound>(
      db.get(), &clock, StoreBound::Options{config.store.max_size_bytes, config.store.max_age});
  hub = std::make_unique<EventHub>([this] { taps->Change(); });
  BuildPipeline(config, source, GapsOf(store));
  return absl::OkStatus();
}

void Agent::Parts::BuildPipeline(const Config& config, const EventSource& source,
                                 std::vector<std::string> gaps) {
  services = std::make_unique<ServiceMap>();
  profiles->ForEachRecord([this](const std::string& workload, const BehaviourRecord& record) {
    services->Seed(workload, record);
  });
  series = std::make_unique<WorkloadSeries>(config.metrics.max_series);
  keeper = std::make_unique<CacheKeeper>(CacheKeeperParts{.clock = &clock,
                                                          .steady = &steady,
                                                          .cache = cache.get(),
                                                          .enricher = enricher.get(),
                                                          .profiles = profiles.get(),
                                                          .correlator = correlator.get(),
                                                          .bindings = bindings.get(),
                                                          .services = services.get(),
                                                          .series = series.get()});
  cgroups = std::make_unique<CgroupWalk>(
      CgroupWalk::Parts{&clock, &steady, &enricher->workloads(),
                        [this](uint64_t cgroup) { return cache->NumberOf(cgroup); }, cgroup_root});
  pipeline = std::make_unique<Pipeline>(PipelineParts{.db = db.get(),
                                                      .clock = &clock,
                                                      .steady = &steady,
                                                      .probes = probes.get(),
                                                      .decoder = decoder.get(),
                                                      .cache = cache.get(),
                                                      .hasher = hasher.get(),
                                                      .enricher = enricher.get(),
                                                      .profiles = profiles.get(),
                                                      .correlator = correlator.get(),
                                                      .bindings = bindings.get(),
                                                      .keeper = keeper.get(),
                                                      .cgroups = cgroups.get(),
                                                      .services = services.get(),
                                                      .series = series.get(),
                                                      .delivery = delivery.get(),
                                                      .bound = bound.get(),
                                                      .hub = hub.get(),
                                                      .source = source,
                                                      .redactor = redactor.get(),
                                                      .gaps = std::move(gaps)});
  taps = std::make_unique<Taps>(pipeline.get());
}

// Those of the node's configuration, as it is now, and those listed by the user.
void Agent::Parts::TrustResolvers(const Config& config) {
  if (const absl::StatusOr<bool> looked = resolv_conf.Look(); !looked.ok()) {
    spdlog::warn("{}", Message(looked.status()));
  }
  std::vector<IpAddress> resolvers = resolv_conf.addresses();
  for (const std::string& text : config.dns.resolvers) {
    if (std::optional<IpAddress> address = ParseIpAddress(text)) {
      resolvers.push_back(*address);
    }
  }
  enricher->SetResolvers(resolvers);
}

absl::Status Agent::Parts::StartDelivery(const Config& config, const EventSource& source) {
  VEDETTE_ASSIGN_OR_RETURN(Sinks sinks, MakeSinks(config));
  files = std::move(sinks.files);
  DeliveryOptions options;
  // The other half of the store is for what the agent itself keeps.
  options.max_bytes = std::min(config.spool.max_size_bytes, config.store.max_size_bytes / 2);
  if (options.max_bytes < config.spool.max_size_bytes) {
    spdlog::warn("the spool may take {} MiB, half of store.max_size, not the {} of spool.max_size",
                 options.max_bytes >> 20, config.spool.max_size_bytes >> 20);
  }
  options.tell_given_up = [this, &source](const std::vector<GivenUpSink>& sinks) {
    return ToEvent(source, LedgerOfGivenUp(sinks, clock.Now()));
  };
  VEDETTE_ASSIGN_OR_RETURN(delivery, Delivery::Start(*db, std::move(sinks.exporters), options));
  return absl::OkStatus();
}

absl::Status Agent::Parts::LookAround(const Config& config) {
  const Surroundings surroundings(
      {&clock, probes.get(), cache.get(), decoder.get(), pipeline.get()});
  VEDETTE_RETURN_IF_ERROR(surroundings.SeeCgroups(cgroup_root));
  surroundings.PlaceRuntimes(config.identity.runtimes);
  probes->Attach();
  // Once more, for what was made before the probes were attached.
  VEDETTE_RETURN_IF_ERROR(surroundings.SeeCgroups(cgroup_root));
  VEDETTE_RETURN_IF_ERROR(surroundings.SeeProcesses());
  if (probes->adopted()) {
    VEDETTE_RETURN_IF_ERROR(
        AdoptLeftovers({probes.get(), cache.get(), profiles.get(), bindings.get(), keeper.get(),
                        decoder.get(), pipeline.get()}));
  }
  leftovers_judged = true;
  return pipeline->Commit();
}

absl::Status Agent::Parts::StartThreads(const Config& config) {
  VEDETTE_ASSIGN_OR_RETURN(Rings rings, OpenRings(*probes));
  collector = std::make_unique<Collector>(
      std::move(rings), config.collect.poll,
      Collector::Reading{[this](std::string_view record) { return decoder->Header(record); },
                         [this](std::string_view record, std::vector<Event>& events) {
                           return decoder->Decode(record, events);
                         },
                         [this] { decoder->SetBootTime(BootTime(clock)); }},
      [this](Batch& batch) { return pipeline->Offer(batch); });
  pipeline->SetAcknowledge(
      [this](const std::vector<uint64_t>& positions) { collector->Acknowledge(positions); });
  account = std::make_unique<Account>(pipeline.get(), collector.get());
  pipeline->SetPeriodic([this, config] {
    account->Refresh();
    TrustResolvers(config);
    taps->Refresh().IgnoreError();  // Tried again in ten seconds.
    if (steady.Now() < next_ledger) {
      return;
    }
    next_ledger = steady.Now() + kLedgerInterval;
    if (std::optional<pb::Ledger> record = account->TakeRecord(clock.Now())) {
      pipeline->AppendToSpool(ToEvent(pipeline->parts().source, *std::move(record)));
    }
  });
  pipeline->SetDamaged([this] {
    store_damaged = true;
    kill(getpid(), kStoreDamagedSignal);
  });
  pipeline->Start();
  pipeline_runs = true;
  return collector->Start();
}

// Asked of the store itself, as long as everything can still be left as after a kill.
bool Agent::Parts::StoreTakes() {
  if (absl::Status asked = pipeline->Ask([this] {
        pipeline->SyncCounts();  // So that there is something to write.
        return pipeline->Commit();
      });
      !asked.ok()) {
    spdlog::warn("while stopping: {}", Message(asked));
  }
  return !store_damaged && !pipeline->store_fails();
}

absl::Status Agent::Parts::OpenControl(const Config& config, absl::Time started) {
  ControlBackend::Facts facts;
  facts.tier = "tracepoint";
  if (absl::Status seen = RunSelfCheck(*probes); !seen.ok()) {
    facts.self_check = std::string(Message(seen));
    spdlog::error("{}", facts.self_check);
  }
  facts.rings_bytes = uint64_t{ring_bytes} * (kRingCount + (probes->MapFd("vd_ring_file") >= 0));
  facts.started = started;
  backend = std::make_unique<ControlBackend>(pipeline.get(), account.get(), std::move(facts));
  if (!config.metrics.listen.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(metrics, MetricsServer::Start(config.metrics.listen, backend.get()));
    const std::string host = config.metrics.listen.substr(0, config.metrics.listen.rfind(':'));
    spdlog::info("metrics: on http://{}:{}/metrics", host, metrics->port());
  }
  VEDETTE_ASSIGN_OR_RETURN(api, ApiServer::Start({config.api.socket}, backend.get()));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Agent>> Agent::Start(const Config& config, StoreState state,
                                                    const RecordWitness& witness) {
  absl::StatusOr<std::unique_ptr<Agent>> agent = StartOnce(config, state, witness);
  if (!absl::IsDataLoss(agent.status())) {
    return agent;
  }
  // The pages are whole, but what is in them is not what an agent wrote.
  spdlog::error("{}", Message(agent.status()));
  return StartOnce(config, StoreState::kUnusable, witness);
}

absl::StatusOr<std::unique_ptr<Agent>> Agent::StartOnce(const Config& config, StoreState state,
                                                        const RecordWitness& witness) {
  std::unique_ptr<Agent> agent(new Agent());
  agent->parts_ = std::make_unique<Parts>();
  Parts& parts = *agent->parts_;
  parts.witness = witness;
  const absl::Time started = parts.clock.Now();
  if (geteuid() != 0) {
    return absl::PermissionDeniedError(
        "the agent needs root to load BPF programs; run it with sudo");
  }
  VEDETTE_RETURN_IF_ERROR(CheckUnixSocketFree(config.api.socket));
  // While there is one thread and nothing is open that a worker that hangs could keep.
  VEDETTE_ASSIGN_OR_RETURN(parts.spawner, HashSpawner::Fork());
  VEDETTE_RETURN_IF_ERROR(parts.BuildKernelSide(config));
  VEDETTE_RETURN_IF_ERROR(parts.BuildStages(config, state));
  VEDETTE_RETURN_IF_ERROR(parts.LookAround(config));
  VEDETTE_RETURN_IF_ERROR(parts.StartThreads(config));
  VEDETTE_RETURN_IF_ERROR(parts.OpenControl(config, started));
  const size_t workloads = parts.enricher->workloads().name_count();
  spdlog::info(
      "ready after {} ms: watching {} workload{} on {}, kernel {}, tier tracepoint; it "
      "observes and denies nothing",
      absl::ToInt64Milliseconds(parts.clock.Now() - started), workloads, workloads == 1 ? "" : "s",
      NodeName(), KernelRelease());
  return agent;
}

Agent::~Agent() {
  Parts& parts = *parts_;
  parts.api.reset();
  parts.metrics.reset();
  if (parts.hub) {
    parts.hub->Close();
  }
  bool store_fails = parts.pipeline_runs && !parts.StoreTakes();
  if (store_fails) {
    // What the store does not have, the next start finds in the kernel, as after a kill.
    parts.probes->Abandon();
  } else if (parts.pipeline_runs) {
    // First nothing more happens, then what happened is worked off.
    parts.probes->Detach();
  } else if (parts.probes && parts.probes->adopted() && !parts.leftovers_judged) {
    // What a killed agent left behind is not ours to throw away: the next start may succeed.
    parts.probes->Abandon();
  }
  if (parts.collector) {
    parts.collector->Stop();
  }
  if (parts.pipeline) {
    parts.pipeline->Stop();
  }
  if (parts.pipeline_runs && !store_fails && parts.pipeline->store_fails()) {
    // Nothing is attached any more, but what was found is still in the maps.
    store_fails = true;
    parts.probes->Abandon();
  }
  if (store_fails && !parts.store_damaged) {
    spdlog::error(
        "the store did not take all that was found: it stays in the kernel, under {}, and the next "
        "start goes on from there",
        parts.pin_dir);
  }
  if (parts.delivery) {
    parts.delivery->Stop(Deadline::In(kStopPatience));
  }
}

bool Agent::store_damaged() const { return parts_->store_damaged; }

void Agent::Reopen() {
  for (JsonlExporter* file : parts_->files) {
    file->Reopen();
  }
}

absl::Status CheckExporters(const Config& config) { return MakeSinks(config).status(); }

}  // namespace vedette
