// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/sinks.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>

#include "agent/base/status.h"
#include "exporters/kafka/kafka_exporter.h"

namespace vedette {
namespace {

absl::StatusOr<std::unique_ptr<Exporter>> MakeKafka(const KafkaSinkConfig& config,
                                                    const std::string& origin) {
  KafkaOptions options;
  options.brokers = config.brokers;
  options.topic = config.topic;
  options.ledger_topic = config.ledger_topic;
  options.options = config.librdkafka;
  options.secrets = config.librdkafka_secrets;
  options.create_topics = config.create_topics;
  options.partitions = static_cast<int>(config.partitions);
  options.replication = static_cast<int>(config.replication);
  absl::Status status = CheckKafkaOptions(options);
  if (status.ok()) {
    absl::StatusOr<std::unique_ptr<KafkaExporter>> exporter =
        KafkaExporter::Create(std::move(options));
    if (exporter.ok()) {
      return std::unique_ptr<Exporter>(std::move(*exporter));
    }
    status = exporter.status();
  }
  return absl::Status(status.code(), fmt::format("{}: {}", origin, Message(status)));
}

}  // namespace

absl::StatusOr<Sinks> MakeSinks(const Config& config) {
  Sinks sinks;
  for (const SinkConfig& sink : config.sinks) {
    if (const auto* jsonl = std::get_if<JsonlSinkConfig>(&sink.sink)) {
      auto exporter = std::make_unique<JsonlExporter>(JsonlOptions{jsonl->path});
      sinks.files.push_back(exporter.get());
      sinks.exporters.push_back({SinkName(sink), std::move(exporter)});
    } else if (const auto* kafka = std::get_if<KafkaSinkConfig>(&sink.sink)) {
      VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<Exporter> exporter, MakeKafka(*kafka, sink.origin));
      sinks.exporters.push_back({SinkName(sink), std::move(exporter)});
    }
  }
  return sinks;
}

nlohmann::json SinksJson(const std::vector<SinkStats>& sinks, std::vector<std::string>& problems) {
  nlohmann::json rows = nlohmann::json::array();
  for (const SinkStats& sink : sinks) {
    rows.push_back({{"name", sink.account.sink},
                    {"state", sink.ok() ? "ok" : "degraded"},
                    {"reason", sink.problem()},
                    {"delivered", sink.account.delivered},
                    {"waiting", sink.account.lag()},
                    {"retries", sink.retries},
                    {"store_errors", sink.store_errors}});
    if (!sink.ok()) {
      problems.push_back(fmt::format("sink {}: {}", sink.account.sink, sink.problem()));
    }
  }
  return rows;
}

}  // namespace vedette
