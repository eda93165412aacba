// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/health/ledger.h"
#include "agent/health/workload_series.h"
#include "agent/pipeline/account.h"
#include "agent/pipeline/pipeline.h"

namespace vedette {

// What a scrape tells, copied on the pipeline thread in little time; the text is made elsewhere.
struct NodeSample {
  std::vector<LedgerEntry> ledger;
  KernelErrors kernel_errors;
  std::vector<SkippedRuns> skipped_runs;
  std::map<std::string, uint64_t> degradations;
  std::map<std::string, uint64_t> bookkeeping;
  std::map<std::string, uint64_t> redacted;
  uint64_t hash_stalls = 0;
  uint64_t hash_hanging = 0;
  uint64_t judged_without_hash = 0;
  PipelineCounts pipeline;
  std::vector<SinkStats> sinks;
  SeriesSample series;
  uint64_t cache_errors = 0;
  uint64_t not_cached = 0;
  uint64_t service_map_folded = 0;
  uint64_t store_bytes = 0;
  uint64_t store_max_bytes = 0;
  bool store_degraded = false;
  size_t findings = 0;
  size_t gaps = 0;
  size_t workloads = 0;
};

// What is counted beside the events: folds, and counts that belong to nothing. docs/metrics.md says
// what each means. Pipeline thread.
std::map<std::string, uint64_t> Bookkeeping(const Pipeline& pipeline);

// Pipeline thread.
NodeSample TakeNodeSample(const Pipeline& pipeline, Account& account);

// Prometheus' text format; docs/metrics.md. Any thread.
std::string MetricsText(const NodeSample& sample);

}  // namespace vedette
