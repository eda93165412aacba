// SPDX-License-Identifier: Apache-2.0
#include "agent/health/metrics.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "agent/base/utf8.h"

namespace vedette {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

void AppendEscaped(std::string_view text, std::string& out) {
  for (const char c : text) {
    switch (c) {
      case '\\':
        out += "\\\\";
        break;
      case '"':
        out += "\\\"";
        break;
      case '\n':
        out += "\\n";
        break;
      default:
        out += c;
    }
  }
}

// `name{label="value",…}`, with `le` as one more label where it is not empty.
void AppendName(std::string_view name, const MetricSet::Labels& labels, std::string_view le,
                std::string& out) {
  out += name;
  char separator = '{';
  for (const auto& [label, value] : labels) {
    out += separator;
    out += label;
    out += "=\"";
    AppendEscaped(TextFromBytes(value), out);
    out += '"';
    separator = ',';
  }
  if (!le.empty()) {
    fmt::format_to(std::back_inserter(out), "{}le=\"{}\"", separator, le);
    separator = ',';
  }
  out += separator == ',' ? "} " : " ";
}

void AppendSample(std::string_view name, const MetricSet::Labels& labels, double value,
                  std::string& out) {
  AppendName(name, labels, "", out);
  fmt::format_to(std::back_inserter(out), "{}\n", value);
}

}  // namespace

std::string& MetricSet::Samples(const std::string& name, const std::string& help,
                                std::string_view type) {
  Family& family = families_[name];
  family.help = help;
  family.type = type;
  return family.samples;
}

void MetricSet::AddCounter(const std::string& name, const std::string& help, double value,
                           const Labels& labels) {
  AppendSample(name, labels, value, Samples(name, help, "counter"));
}

void MetricSet::AddGauge(const std::string& name, const std::string& help, double value,
                         const Labels& labels) {
  AppendSample(name, labels, value, Samples(name, help, "gauge"));
}

void MetricSet::AddHistogram(const std::string& name, const std::string& help,
                             std::span<const double> bounds, std::span<const uint64_t> counts,
                             const Labels& labels) {
  std::string& out = Samples(name, help, "histogram");
  uint64_t total = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    AppendName(name + "_bucket", labels, i < bounds.size() ? fmt::format("{}", bounds[i]) : "+Inf",
               out);
    fmt::format_to(std::back_inserter(out), "{}\n", total);
  }
  AppendName(name + "_count", labels, "", out);
  fmt::format_to(std::back_inserter(out), "{}\n", total);
}

std::string MetricSet::Render() const {
  std::string out;
  size_t bytes = 0;
  for (const auto& [name, family] : families_) {
    bytes += 2 * name.size() + family.help.size() + family.samples.size() + 40;
  }
  out.reserve(bytes);
  for (const auto& [name, family] : families_) {
    fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, family.help, name,
                   family.type);
    out += family.samples;
  }
  return out;
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
