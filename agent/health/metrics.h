// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/health/ledger.h"

namespace vedette {

// Collects samples of one scrape and writes them in Prometheus' text format. One thread; lives for
// one scrape. Names begin with "vedette_" and keep Prometheus' rules (counters end in "_total",
// units are base units); label values are bytes and are made valid UTF-8.
class MetricSet {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  void AddCounter(const std::string& name, const std::string& help, double value,
                  const Labels& labels = {});
  void AddGauge(const std::string& name, const std::string& help, double value,
                const Labels& labels = {});

  std::string Render() const;

 private:
  prometheus::ClientMetric& Add(const std::string& name, const std::string& help,
                                prometheus::MetricType type, const Labels& labels);

  std::map<std::string, prometheus::MetricFamily> families_;
};

// vedette_ledger_received_total, _delivered_total, _dropped_total{reason} and _in_flight, each by
// stage and counter.
void AddLedgerMetrics(const std::vector<LedgerEntry>& entries, MetricSet& metrics);

// vedette_build_info, resident memory and CPU time of this process.
void AddProcessMetrics(MetricSet& metrics);

}  // namespace vedette
