// SPDX-License-Identifier: Apache-2.0
#include "tests/recordings/first_day.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <sstream>
#include <variant>

#include "agent/base/clock.h"
#include "agent/config/config.h"
#include "agent/correlate/correlator.h"
#include "agent/enrich/enricher.h"
#include "agent/probes/decode.h"
#include "agent/profile/profiles.h"
#include "agent/redact/redactor.h"
#include "tests/support/temp_dir.h"

namespace vedette::testing {
namespace {

constexpr absl::Duration kTickInterval = absl::Seconds(10);
constexpr char kBootId[] = "3b1f0c2e-9d4a-4f6e-8a77-0a1b2c3d4e5f";

// What sets the clock, waits and records is not counted; it is judged as all the rest.
bool OfTheRecording(std::string_view workload) {
  return workload.ends_with("/vm-serve.service") || workload.ends_with("/recorder.service");
}

// Answers with what was found when the recording was made.
class RecordedHasher final : public CodeHasher {
 public:
  explicit RecordedHasher(const absl::flat_hash_map<CodeKey, std::string>& hashes)
      : hashes_(hashes) {}
  bool Submit(HashRequest request) override {
    const auto it = hashes_.find(request.key);
    results_.push_back(it == hashes_.end()
                           ? HashResult{request.key, HashOutcome::kGone, ""}
                           : HashResult{request.key, HashOutcome::kHashed, it->second});
    return true;
  }
  std::vector<HashResult> Take(absl::Duration) override { return std::exchange(results_, {}); }

 private:
  const absl::flat_hash_map<CodeKey, std::string>& hashes_;
  std::vector<HashResult> results_;
};

class Host {
 public:
  Host(const FirstDayRecording& recording, const FirstDayOptions& options);
  void Feed(const std::string& record);
  FirstDayResult Finish();

 private:
  void Judge(Event event);
  void Pass(absl::Time now);

  const FirstDayRecording& recording_;
  const FirstDayOptions options_;
  TempDir dir_{"vedette-first-day"};
  ManualClock clock_;
  RecordedHasher hasher_;
  std::unique_ptr<Redactor> redactor_;
  Decoder decoder_;
  std::unique_ptr<SqliteDatabase> db_;
  std::unique_ptr<Enricher> enricher_;
  std::unique_ptr<Profiles> profiles_;
  std::unique_ptr<Correlator> correlator_;
  absl::Time next_tick_;
  bool frozen_ = false;
  uint64_t next_number_ = 1000000;
  FirstDayResult result_;
};

Host::Host(const FirstDayRecording& recording, const FirstDayOptions& options)
    : recording_(recording),
      options_(options),
      clock_(recording.clock.front().second),
      hasher_(recording.hashes),
      redactor_(Redactor::Create({}).value()),
      decoder_(absl::UnixEpoch(), [this](Event& event) { redactor_->Redact(event); }) {
  const Config config;
  db_ = SqliteDatabase::Open(dir_ / "replay.db").value();
  Enricher::Options enrich;
  enrich.cluster = "replay";
  enrich.boot_id = kBootId;
  enrich.hasher = &hasher_;
  enrich.new_number = [this] { return next_number_++; };
  enricher_ = Enricher::Create(std::move(enrich)).value();
  ProfilesOptions profiles;
  profiles.learning = {.min_time = config.learning.min_time,
                       .quiet = config.learning.quiet,
                       .min_runs = config.learning.min_runs};
  profiles.is_running = [this](const std::string& workload) {
    return enricher_->workloads().IsRunning(workload);
  };
  profiles_ = Profiles::Load(db_.get(), &clock_, profiles).value();
  correlator_ = Correlator::Load(db_.get(), &clock_,
                                 {.update_interval = config.findings.update_interval,
                                  .per_hour = config.findings.per_hour})
                    .value();
}

void Host::Feed(const std::string& record) {
  std::vector<Event> events;
  if (!decoder_.Decode(record, events).ok()) {
    ++result_.refused;
  }
  for (Event& event : events) {
    event.header.time = recording_.At(event.header.time - absl::UnixEpoch());
    Pass(event.header.time);
    Judge(std::move(event));
  }
}

// What the agent does now and then.
void Host::Pass(absl::Time now) {
  clock_.Set(std::max(now, clock_.Now()));
  if (clock_.Now() >= options_.freeze_at && !frozen_) {
    frozen_ = true;
    profiles_->Freeze({}, "first_day_test").IgnoreError();
  }
  if (clock_.Now() >= next_tick_) {
    next_tick_ = clock_.Now() + kTickInterval;
    profiles_->Tick();
    enricher_->HashPending(~uint64_t{0});
    result_.updates += correlator_->DueUpdates().findings.size();
  }
}

void Host::Judge(Event event) {
  const absl::Time time = event.header.time;
  FirstDayHour& hour =
      result_.hours[absl::FromUnixSeconds(absl::ToUnixSeconds(time) / 3600 * 3600)];
  // Known ones are told to whoever watches all.
  if (event.header.reason == Reason::kTap) {
    event.header.reason = Reason::kNews;
  }
  EnrichedEvent enriched = enricher_->Enrich(std::move(event));
  enricher_->TakeBindings();
  enricher_->TakeHashes(absl::ZeroDuration());
  enricher_->RenewHashes(enriched);
  ScoredEvent scored = profiles_->Judge(std::move(enriched));
  const EnrichedEvent& known = scored.enriched;
  if (scored.judgement != Judgement::kNotABehaviour && !OfTheRecording(known.workload.name)) {
    hour.learned += scored.judgement == Judgement::kLearned;
    hour.starts += std::holds_alternative<ExecEvent>(known.event.body);
    hour.flows += std::holds_alternative<FlowEvent>(known.event.body);
  }
  if (std::optional<Finding> finding = correlator_->Correlate(std::move(scored))) {
    ++hour.findings;
    result_.findings.emplace_back(time, *std::move(finding));
  }
}

FirstDayResult Host::Finish() {
  result_.degradations = enricher_->Degradations();
  result_.profiles = profiles_->List();
  return std::move(result_);
}

absl::Status ReadPrograms(const std::string& path, FirstDayRecording& recording) {
  std::istringstream lines(ReadFile(path));
  CodeKey key;
  std::string sha256, name;
  while (lines >> key.device >> key.inode >> key.change_time_ns >> key.size_bytes >>
         key.generation >> key.flags >> sha256 >> name) {
    recording.hashes[key] = sha256;
  }
  return recording.hashes.empty() ? absl::InvalidArgumentError(path + ": no programs")
                                  : absl::OkStatus();
}

absl::Status ReadClock(const std::string& path, FirstDayRecording& recording) {
  std::istringstream lines(ReadFile(path));
  double since_boot = 0;
  int64_t wall = 0;
  while (lines >> since_boot >> wall) {
    recording.clock.emplace_back(absl::Seconds(since_boot), absl::FromUnixSeconds(wall));
  }
  return recording.clock.empty() ? absl::InvalidArgumentError(path + ": no hours")
                                 : absl::OkStatus();
}

}  // namespace

absl::Time FirstDayRecording::At(absl::Duration since_boot) const {
  auto after =
      std::upper_bound(clock.begin(), clock.end(), since_boot,
                       [](absl::Duration time, const auto& mark) { return time < mark.first; });
  const auto& mark = after == clock.begin() ? *after : *(after - 1);
  return mark.second + (since_boot - mark.first);
}

absl::StatusOr<FirstDayRecording> ReadFirstDay(const std::string& folder) {
  FirstDayRecording recording;
  absl::StatusOr<Recording> ring = ReadCompressedRecording(folder + "/ring.zst");
  if (!ring.ok()) {
    return ring.status();
  }
  recording.ring = *std::move(ring);
  absl::Status read = ReadPrograms(folder + "/programs.txt", recording);
  read.Update(ReadClock(folder + "/hours.txt", recording));
  if (!read.ok()) {
    return read;
  }
  return recording;
}

FirstDayResult ReplayFirstDay(const FirstDayRecording& recording, const FirstDayOptions& options) {
  Host host(recording, options);
  for (const std::string& record : recording.ring.records) {
    host.Feed(record);
  }
  return host.Finish();
}

}  // namespace vedette::testing
