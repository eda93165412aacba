// SPDX-License-Identifier: Apache-2.0
#include "tests/support/delivery/delivery_bench.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string_view>

#include "agent/base/status.h"
#include "exporters/schema/encode.h"
#include "tests/support/events/sample_events.h"

namespace vedette {
namespace {

constexpr int kCommitSize = 500;
constexpr int kWorkloads = 100;
constexpr uint32_t kDistinct = 1000;  // Some 32 of them fit into a dictionary.
constexpr size_t kFindingSize = 2048;
constexpr int kExitFailed = 3;
constexpr std::array<std::string_view, 8> kOptions = {
    "listen", "verbose", "output-directory", "jobs", "timeout", "retries", "offset", "parallel"};

// One in which hashes, processes, the program and its arguments are its own.
pb::Event MakeFinding(uint32_t seed) {
  pb::Event event = SampleFindings()[0];
  std::minstd_rand random(seed + 1);
  const auto hex = [&random](int words) {
    std::string text;
    while (words-- > 0) {
      text += fmt::format("{:08x}", static_cast<uint32_t>(random() ^ random() << 16));
    }
    return text;
  };
  pb::Finding& finding = *event.mutable_finding();
  finding.clear_ancestors();
  pb::Process& process = *finding.mutable_process();
  process.set_exec_id(fmt::format("{}:{}", process.exec_id(), random()));
  process.set_pid(random() % 4'000'000);
  process.set_start_time_unix_ns(event.time_unix_ns() - static_cast<int64_t>(random()));
  process.mutable_code()->set_sha256(hex(8));
  process.clear_argv();
  const std::string program = fmt::format("/srv/builds/{}/bin/tool", hex(1));
  process.mutable_code()->set_path(program);
  finding.set_object(program);
  finding.set_title("New program: " + program);
  const size_t size = EncodeJson(event).size();
  std::string arguments;
  while (size + arguments.size() < kFindingSize) {
    arguments += fmt::format("--{}={} ", kOptions[random() % kOptions.size()], random() % 10'000);
  }
  process.add_argv(arguments);
  return event;
}

}  // namespace

pb::Event FindingOf2KiB(int64_t number) {
  // Made once, so that a benchmark measures the spool and not this.
  static const std::vector<pb::Event>& findings = *[] {
    auto* made = new std::vector<pb::Event>();
    for (uint32_t i = 0; i < kDistinct; ++i) {
      made->push_back(MakeFinding(i));
    }
    return made;
  }();
  pb::Event event = findings[static_cast<size_t>(number) % kDistinct];
  event.set_uid(fmt::format("f-{}/1", number));
  event.set_key(fmt::format("host/workload-{}", number % kWorkloads));
  event.set_time_unix_ns(event.time_unix_ns() + number * 1'000'003);
  event.mutable_finding()->set_uid(
      fmt::format("{:016x}", static_cast<uint64_t>(number) * 0x9e3779b97f4a7c15));
  event.mutable_finding()->set_last_seen_unix_ns(event.time_unix_ns());
  return event;
}

absl::StatusOr<std::unique_ptr<DeliveryBench>> DeliveryBench::Start(
    std::unique_ptr<Exporter> exporter, const std::string& dir) {
  std::unique_ptr<DeliveryBench> bench(new DeliveryBench());
  VEDETTE_ASSIGN_OR_RETURN(bench->db_, SqliteDatabase::Open(dir + "/vedette.db"));
  const std::string name(exporter->name());
  std::vector<NamedExporter> sinks;
  sinks.push_back({name, std::make_unique<ObservedExporter>(std::move(exporter), &bench->log_)});
  VEDETTE_ASSIGN_OR_RETURN(bench->delivery_, Delivery::Start(*bench->db_, std::move(sinks), {}));
  return bench;
}

absl::Status DeliveryBench::Append(int count) {
  VEDETTE_RETURN_IF_ERROR(db_->Begin());
  for (int i = 0; i < count; ++i) {
    VEDETTE_RETURN_IF_ERROR(delivery_->Append(FindingOf2KiB(appended_ + i)));
  }
  VEDETTE_RETURN_IF_ERROR(db_->Commit());
  appended_ += count;
  delivery_->Committed();
  return absl::OkStatus();
}

absl::Status DeliveryBench::AppendMany(int count) {
  for (int left = count; left > 0; left -= kCommitSize) {
    VEDETTE_RETURN_IF_ERROR(Append(std::min(left, kCommitSize)));
  }
  return absl::OkStatus();
}

absl::Status DeliveryBench::WaitUntilDelivered(absl::Duration bound) {
  if (log_.WaitForDelivered(static_cast<uint64_t>(appended_), bound)) {
    return absl::OkStatus();
  }
  return absl::DeadlineExceededError(
      fmt::format("not all {} findings were delivered in {}; the last failure: {}", appended_,
                  absl::FormatDuration(bound), Message(log_.last_failure())));
}

int RunInTempDir(const std::function<absl::Status(const std::string& dir)>& run) {
  std::string dir = std::filesystem::temp_directory_path() / "vedette_benchmark.XXXXXX";
  if (mkdtemp(dir.data()) == nullptr) {
    std::perror(dir.c_str());
    return kExitFailed;
  }
  const absl::Status status = run(dir);
  std::filesystem::remove_all(dir);
  if (!status.ok()) {
    fmt::print(stderr, "{}\n", Message(status));
    return kExitFailed;
  }
  return 0;
}

}  // namespace vedette
