// SPDX-License-Identifier: Apache-2.0
// A real Apache Kafka is killed while findings of 2 KiB keep coming, and comes back: how much
// memory the spool and the exporter take meanwhile, how long the rest takes afterwards, and whether
// all arrived, in order per key. kafka_outage_sys_benchmark [SECONDS] [FINDINGS_PER_SECOND]
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

#include "absl/time/clock.h"
#include "agent/base/status.h"
#include "exporters/kafka/kafka_exporter.h"
#include "tests/support/delivery/delivery_bench.h"
#include "tests/support/kafka/kafka_broker.h"
#include "tests/support/kafka/kafka_reader.h"
#include "tests/support/wait_for.h"

namespace vedette {
namespace {

constexpr char kTopic[] = "vedette.findings";
constexpr int kWarmUp = 5000;
constexpr int kCommitsPerSecond = 10;
constexpr absl::Duration kBound = absl::Minutes(10);

double ResidentMb() {
  std::ifstream statm("/proc/self/statm");
  double all = 0, resident = 0;
  statm >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

// Appends at the rate until `seconds` are over; the most that was resident.
absl::StatusOr<double> AppendWhileAway(DeliveryBench& bench, int seconds, int rate) {
  double most = 0;
  const absl::Time start = absl::Now();
  for (int i = 0; i < seconds * kCommitsPerSecond; ++i) {
    VEDETTE_RETURN_IF_ERROR(bench.Append(rate / kCommitsPerSecond));
    most = std::max(most, ResidentMb());
    const absl::Time next = start + absl::Seconds(1) * (i + 1) / kCommitsPerSecond;
    testing::LetPass(std::max(next - absl::Now(), absl::ZeroDuration()));
  }
  return most;
}

// First copies only: a batch that was under way when the broker was killed may have two.
absl::Status CheckTopic(const std::string& brokers, int64_t appended) {
  std::vector<bool> seen(static_cast<size_t>(appended));
  std::map<std::string, int64_t> last_of_key;
  int64_t distinct = 0, copies = 0, disordered = 0;
  VEDETTE_RETURN_IF_ERROR(ReadEach(brokers, kTopic, [&](const KafkaMessage& message) {
    const int64_t number = std::atoll(message.headers.at("event-uid").c_str() + 2);  // "f-NUMBER/1"
    if (seen[static_cast<size_t>(number)]) {
      ++copies;
      return;
    }
    seen[static_cast<size_t>(number)] = true;
    ++distinct;
    const auto last = last_of_key.try_emplace(message.key, -1).first;
    disordered += number < last->second ? 1 : 0;
    last->second = number;
  }));
  fmt::print("in the topic: {} of {} findings, {} further copies, {} out of order in their key\n",
             distinct, appended, copies, disordered);
  return distinct == appended && disordered == 0
             ? absl::OkStatus()
             : absl::DataLossError("what was accepted did not all arrive in order");
}

absl::Status Run(int seconds, int rate, const std::string& dir) {
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<KafkaBroker> broker, KafkaBroker::Create({}));
  VEDETTE_RETURN_IF_ERROR(broker->CreateTopic(kTopic, 3));
  KafkaOptions kafka;
  kafka.brokers = {broker->address()};
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<KafkaExporter> exporter, KafkaExporter::Create(kafka));
  VEDETTE_ASSIGN_OR_RETURN(const std::unique_ptr<DeliveryBench> bench,
                           DeliveryBench::Start(std::move(exporter), dir));
  VEDETTE_RETURN_IF_ERROR(bench->AppendMany(kWarmUp));
  VEDETTE_RETURN_IF_ERROR(bench->WaitUntilDelivered(kBound));
  const double before = ResidentMb();
  broker->Kill();
  VEDETTE_ASSIGN_OR_RETURN(const double away, AppendWhileAway(*bench, seconds, rate));
  fmt::print(
      "broker away for {} s at {} findings/s: resident {:.1f} MB before, at most {:.1f} MB "
      "while away; the store has {:.0f} MB\n",
      seconds, rate, before, away,
      static_cast<double>(std::filesystem::file_size(dir + "/vedette.db")) / 1e6);
  VEDETTE_RETURN_IF_ERROR(broker->Start());
  const absl::Time back = absl::Now();
  VEDETTE_RETURN_IF_ERROR(bench->WaitUntilDelivered(kBound));
  fmt::print("all delivered {:.1f} s after it was back; resident {:.1f} MB\n",
             absl::ToDoubleSeconds(absl::Now() - back), ResidentMb());
  return CheckTopic(broker->address(), bench->appended());
}

}  // namespace
}  // namespace vedette

int main(int argc, char** argv) {
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 600;
  const int rate = argc > 2 ? std::atoi(argv[2]) : 1000;
  return vedette::RunInTempDir(
      [=](const std::string& dir) { return vedette::Run(seconds, rate, dir); });
}
