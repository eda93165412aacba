// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/health/ledger.h"

namespace vedette {

// Collects samples of one scrape and writes them in Prometheus' text format. One thread; lives for
// one scrape. Names begin with "vedette_" and keep Prometheus' rules (counters end in "_total",
// units are base units); label values are bytes and are made valid UTF-8. Samples are written as
// they come, so that a scrape of many series needs little more memory than its text.
class MetricSet {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  void AddCounter(const std::string& name, const std::string& help, double value,
                  const Labels& labels = {});
  void AddGauge(const std::string& name, const std::string& help, double value,
                const Labels& labels = {});
  // `counts` by bucket, not added up; `bounds` are the upper ends of all but the last. No sum is
  // written: nobody measures it.
  void AddHistogram(const std::string& name, const std::string& help,
                    std::span<const double> bounds, std::span<const uint64_t> counts,
                    const Labels& labels = {});

  std::string Render() const;

 private:
  struct Family {
    std::string help;
    std::string_view type;
    std::string samples;
  };
  std::string& Samples(const std::string& name, const std::string& help, std::string_view type);

  std::map<std::string, Family> families_;
};

// vedette_ledger_received_total, _delivered_total, _dropped_total{reason} and _in_flight, each by
// stage and counter.
void AddLedgerMetrics(const std::vector<LedgerEntry>& entries, MetricSet& metrics);

// vedette_build_info, resident memory and CPU time of this process.
void AddProcessMetrics(MetricSet& metrics);

}  // namespace vedette
