// SPDX-License-Identifier: Apache-2.0
// What a scrape costs at 100 workloads with 100 peers each: the copy, for which the pipeline stands
// still, and the text, for which it does not.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "agent/health/workload_series.h"

namespace vedette {
namespace {

constexpr int kWorkloads = 100;
constexpr int kPeers = 100;

WorkloadSeries Filled(size_t max_series) {
  WorkloadSeries series(max_series);
  SlotCounts counts;
  counts.hits = 3;
  counts.latency[2] = 3;
  for (int workload = 0; workload < kWorkloads; ++workload) {
    for (int peer = 0; peer < kPeers; ++peer) {
      series.Count(fmt::format("host/system.slice/service-{}.service", workload),
                   {Channel::kConnect, fmt::format("dns:peer-{}.example.internal:5432/tcp", peer)},
                   counts);
    }
  }
  return series;
}

void BM_Sample(benchmark::State& state) {
  const WorkloadSeries series = Filled(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(series.Sample());
  }
  state.counters["series"] = static_cast<double>(series.Sample().series);
}
BENCHMARK(BM_Sample)->Arg(2000)->Arg(1000000)->Unit(benchmark::kMillisecond);

void BM_Text(benchmark::State& state) {
  const SeriesSample sample = Filled(static_cast<size_t>(state.range(0))).Sample();
  size_t bytes = 0;
  for (auto _ : state) {
    MetricSet metrics;
    AddWorkloadMetrics(sample, metrics);
    bytes = metrics.Render().size();
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(BM_Text)->Arg(2000)->Arg(1000000)->Unit(benchmark::kMillisecond);

// What the pipeline does each ten seconds for what the kernel counted: every peer once.
void BM_Count(benchmark::State& state) {
  WorkloadSeries series = Filled(static_cast<size_t>(state.range(0)));
  SlotCounts counts;
  counts.hits = 1;
  const std::string workload = "host/system.slice/service-50.service";
  const Act act = {Channel::kConnect, "dns:peer-50.example.internal:5432/tcp"};
  for (auto _ : state) {
    series.Count(workload, act, counts);
  }
}
BENCHMARK(BM_Count)->Arg(2000)->Arg(1000000);

}  // namespace
}  // namespace vedette
