// SPDX-License-Identifier: Apache-2.0
#include "tests/recordings/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <utility>
#include <variant>

#include "agent/correlate/finding_json.h"
#include "agent/deliver/to_event.h"
#include "agent/pipeline/event_line.h"
#include "exporters/schema/encode.h"
#include "tests/support/events/record_errors.h"

namespace vedette::testing {
namespace {

constexpr char kBootId[] = "3b1f0c2e-9d4a-4f6e-8a77-0a1b2c3d4e5f";

bool IsEnd(const Event& event) {
  const auto* flow = std::get_if<FlowEvent>(&event.body);
  return std::holds_alternative<ExitEvent>(event.body) ||
         (flow != nullptr && flow->stage == FlowStage::kClosed);
}

}  // namespace

Replay::Replay(absl::Time boot) : decoder_(boot) {
  db_ = SqliteDatabase::Open(dir_ / "replay.db").value();
  Enricher::Options options;
  options.cluster = "replay";
  options.boot_id = kBootId;
  // The resolver that vedette_actor plays.
  options.resolvers = {ParseIpAddress("127.0.0.2").value()};
  options.new_number = [this] { return next_number_++; };
  enricher_ = Enricher::Create(std::move(options)).value();
  profiles_ = Profiles::Load(db_.get(), &clock_, {}).value();
  correlator_ = Correlator::Load(db_.get(), &clock_, {}).value();
}

std::vector<std::string> Replay::Feed(std::string_view record) {
  std::vector<std::string> lines;
  std::vector<Event> events;
  if (!decoder_.Decode(record, events).ok()) {
    ++refused_;
    EXPECT_TRUE(events.empty()) << "a record that is refused has no events";
    return lines;
  }
  for (Event& event : events) {
    Judge(std::move(event), lines);
  }
  return lines;
}

void Replay::Judge(Event event, std::vector<std::string>& lines) {
  clock_.Set(event.header.time);
  const bool is_end = IsEnd(event);
  ScoredEvent scored = profiles_->Judge(enricher_->Enrich(std::move(event)));
  enricher_->TakeBindings();
  lines.push_back(EventLine(scored));
  if (std::optional<Finding> finding = correlator_->Correlate(std::move(scored))) {
    lines.push_back(nlohmann::json({{"finding", ToJson(*finding)}}).dump());
    const EventSource source{"replay", kBootId, "0", absl::UnixEpoch()};
    const std::string record = EncodeJson(ToEvent(source, *finding));
    EXPECT_THAT(RecordErrors(record), ::testing::IsEmpty()) << record;
  }
  if (is_end && !frozen_) {
    frozen_ = true;
    EXPECT_TRUE(profiles_->Freeze({}, "replay").ok());
  }
}

}  // namespace vedette::testing
