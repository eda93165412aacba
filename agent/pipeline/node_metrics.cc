// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/node_metrics.h"

#include "agent/health/metrics.h"

namespace vedette {
namespace {

void AddReasons(const NodeSample& sample, MetricSet& metrics) {
  for (const auto& [reason, count] : sample.kernel_errors.by_reason) {
    metrics.AddCounter("vedette_kernel_errors_total", "What the probes could not do, by reason.",
                       static_cast<double>(count), {{"reason", reason}});
  }
  for (const SkippedRuns& runs : sample.skipped_runs) {
    metrics.AddCounter("vedette_probe_skipped_runs_total",
                       "Runs of a program that the kernel skipped.",
                       static_cast<double>(runs.count), {{"program", runs.program}});
  }
  for (const auto& [reason, count] : sample.degradations) {
    metrics.AddCounter("vedette_enrich_degraded_total",
                       "Events that are less than complete, by table and reason.",
                       static_cast<double>(count), {{"reason", reason}});
  }
  for (const auto& [what, count] : sample.bookkeeping) {
    metrics.AddCounter(
        "vedette_bookkeeping_total",
        "What is counted beside the events: folds, and counts that belong to nothing.",
        static_cast<double>(count), {{"what", what}});
  }
  for (const auto& [what, count] : sample.redacted) {
    metrics.AddCounter("vedette_redacted_total",
                       "Arguments that hold [redacted]; too_long, too_expensive and too_deep: as a "
                       "whole, because they could not be looked at.",
                       static_cast<double>(count), {{"what", what}});
  }
}

void AddSinks(const std::vector<SinkStats>& sinks, MetricSet& metrics) {
  for (const SinkStats& sink : sinks) {
    const MetricSet::Labels labels = {{"sink", sink.account.sink}};
    metrics.AddGauge("vedette_sink_ok", "1 while a sink takes what it is given.", sink.ok() ? 1 : 0,
                     labels);
    metrics.AddCounter("vedette_sink_retries_total",
                       "Batches that a sink could not take; repeated.",
                       static_cast<double>(sink.retries), labels);
    metrics.AddCounter("vedette_sink_store_errors_total",
                       "Times that the spool could not be read or written for a sink; repeated.",
                       static_cast<double>(sink.store_errors), labels);
  }
}

}  // namespace

std::map<std::string, uint64_t> Bookkeeping(const Pipeline& pipeline) {
  const PipelineParts& parts = pipeline.parts();
  const ProfilesCounters& profiles = parts.profiles->counters();
  return {{"begun_anew", parts.correlator->begun_anew()},
          {"deviations_folded", profiles.deviations_folded},
          {"files_dropped", parts.keeper->counts().files_dropped},
          {"records_uncounted", pipeline.records().left_out()},
          {"slots_full", profiles.slots_full},
          {"taken_over", parts.cache->TakenOver()},
          {"told_twice", parts.keeper->counts().told_twice},
          {"unbound_hits", profiles.unbound_hits}};
}

NodeSample TakeNodeSample(const Pipeline& pipeline, Account& account) {
  const PipelineParts& parts = pipeline.parts();
  account.Refresh();
  NodeSample sample;
  sample.ledger = account.ledger().Snapshot();
  sample.kernel_errors = parts.cache->ReadErrors();
  sample.skipped_runs = parts.probes->ReadSkippedRuns();
  sample.kernel_errors.by_reason.emplace_back(kSkippedRuns,
                                              SumOfSkippedRuns(sample.skipped_runs, ""));
  sample.degradations = parts.enricher->Degradations();
  sample.bookkeeping = Bookkeeping(pipeline);
  sample.redacted = parts.redactor->Counts();
  if (parts.hasher != nullptr) {
    const HashThread::Health health = parts.hasher->health();
    sample.hash_stalls = health.stalls;
    sample.hash_hanging = health.hanging;
  }
  sample.judged_without_hash = pipeline.waiting().given_up();
  sample.pipeline = pipeline.counts();
  sample.sinks = parts.delivery->Stats();
  sample.series = parts.series->Sample();
  sample.cache_errors = parts.keeper->counts().errors;
  for (const FullWorkload& workload : parts.cache->FullWorkloads()) {
    sample.not_cached += workload.not_cached;
  }
  sample.service_map_folded = parts.services->folded();
  sample.findings = parts.correlator->size();
  sample.store_bytes = parts.bound->Measure().total();
  sample.store_max_bytes = parts.bound->max_bytes();
  sample.store_degraded = !sample.pipeline.trouble.empty() || !parts.bound->trouble().empty();
  sample.gaps = account.gaps().size();
  sample.workloads = parts.profiles->size();
  return sample;
}

std::string MetricsText(const NodeSample& sample) {
  MetricSet metrics;
  AddProcessMetrics(metrics);
  AddLedgerMetrics(sample.ledger, metrics);
  AddWorkloadMetrics(sample.series, metrics);
  AddReasons(sample, metrics);
  AddSinks(sample.sinks, metrics);
  const auto counter = [&metrics](const char* name, const char* help, uint64_t value) {
    metrics.AddCounter(name, help, static_cast<double>(value));
  };
  const PipelineCounts& counts = sample.pipeline;
  counter("vedette_store_failed_commits_total",
          "Commits that the store refused; they are repeated.", counts.failed_commits);
  counter("vedette_cache_swept_total",
          "Behaviours found in the verdict cache after their record was lost.",
          counts.events[static_cast<size_t>(Entrance::kSweep)]);
  counter("vedette_cgroups_found_total",
          "Cgroups found, or found to be gone, by walking: their records were lost.",
          counts.found_cgroups);
  counter("vedette_cache_errors_total",
          "What could not be read from or written to the verdict cache; tried again.",
          sample.cache_errors);
  counter("vedette_pipeline_errors_total",
          "What is done now and then and failed; the log says what.", counts.errors);
  counter("vedette_cache_not_cached_total",
          "Acts that found no room in their workload's verdict cache.", sample.not_cached);
  counter("vedette_service_map_folded_total",
          "Additions to peers that the service map has no room for; they are added up.",
          sample.service_map_folded);
  counter("vedette_hash_stalls_total",
          "Files whose filesystem did not answer in time while they were hashed.",
          sample.hash_stalls);
  counter("vedette_hash_judged_without_total",
          "Events that were judged before their program was hashed.", sample.judged_without_hash);
  metrics.AddGauge("vedette_hash_hanging_workers", "Hash workers that hang in a filesystem now.",
                   static_cast<double>(sample.hash_hanging));
  metrics.AddGauge("vedette_store_degraded",
                   "1 while the store takes nothing or cannot be kept in its bound.",
                   sample.store_degraded ? 1 : 0);
  metrics.AddGauge("vedette_store_bytes", "What the store takes on the disk, with its log.",
                   static_cast<double>(sample.store_bytes));
  metrics.AddGauge("vedette_store_max_bytes", "The bound of the store.",
                   static_cast<double>(sample.store_max_bytes));
  metrics.AddGauge("vedette_findings", "Findings in the store.",
                   static_cast<double>(sample.findings));
  metrics.AddGauge("vedette_ledger_gaps", "Gaps in the stream from the kernel.",
                   static_cast<double>(sample.gaps));
  metrics.AddGauge("vedette_workloads", "Workloads that have a profile.",
                   static_cast<double>(sample.workloads));
  return metrics.Render();
}

}  // namespace vedette
