// SPDX-License-Identifier: Apache-2.0
#include "agent/health/metrics.h"

#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "agent/base/utf8.h"

namespace vedette {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

prometheus::ClientMetric& MetricSet::Add(const std::string& name, const std::string& help,
                                         prometheus::MetricType type, const Labels& labels) {
  prometheus::MetricFamily& family = families_[name];
  family.name = name;
  family.help = help;
  family.type = type;
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  for (const auto& [label, value] : labels) {
    metric.label.push_back({label, TextFromBytes(value)});
  }
  return metric;
}

void MetricSet::AddCounter(const std::string& name, const std::string& help, double value,
                           const Labels& labels) {
  Add(name, help, prometheus::MetricType::Counter, labels).counter.value = value;
}

void MetricSet::AddGauge(const std::string& name, const std::string& help, double value,
                         const Labels& labels) {
  Add(name, help, prometheus::MetricType::Gauge, labels).gauge.value = value;
}

std::string MetricSet::Render() const {
  std::vector<prometheus::MetricFamily> families;
  families.reserve(families_.size());
  for (const auto& [name, family] : families_) {
    families.push_back(family);
  }
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

void AddLedgerMetrics(const std::vector<LedgerEntry>& entries, MetricSet& metrics) {
  for (const LedgerEntry& entry : entries) {
    MetricSet::Labels labels = {{"stage", entry.stage}, {"counter", entry.counter}};
    metrics.AddCounter("vedette_ledger_received_total", "Records a stage was given.",
                       static_cast<double>(entry.received), labels);
    metrics.AddCounter("vedette_ledger_delivered_total", "Records a stage handed on.",
                       static_cast<double>(entry.delivered), labels);
    metrics.AddGauge("vedette_ledger_in_flight",
                     "Records a stage was given and has neither handed on nor dropped.",
                     static_cast<double>(entry.Balance()), labels);
    for (const auto& [reason, count] : entry.dropped) {
      MetricSet::Labels with_reason = labels;
      with_reason.emplace_back("reason", reason);
      metrics.AddCounter("vedette_ledger_dropped_total", "Records a stage dropped, by reason.",
                         static_cast<double>(count), with_reason);
    }
  }
}

void AddProcessMetrics(MetricSet& metrics) {
  metrics.AddGauge("vedette_build_info", "One, labelled with the agent's version.", 1,
                   {{"version", VEDETTE_VERSION}});
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  metrics.AddCounter("vedette_agent_cpu_seconds_total", "CPU time of the agent's own process.",
                     Seconds(usage.ru_utime) + Seconds(usage.ru_stime));
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0, resident = 0;
  if (statm >> pages >> resident) {
    metrics.AddGauge("vedette_agent_resident_bytes", "Resident memory of the agent's own process.",
                     static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)));
  }
}

}  // namespace vedette
