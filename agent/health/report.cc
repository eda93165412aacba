// SPDX-License-Identifier: Apache-2.0
#include "agent/health/report.h"

#include <fmt/format.h>

#include <map>
#include <utility>

namespace vedette {
namespace {

// A counter that went back was read from a source that began anew; all of it is new then.
uint64_t Growth(uint64_t before, uint64_t after) {
  return after >= before ? after - before : after;
}

// Reasons for which an event ends without anything being lost: it was no news, or a finding that
// stands for it has gone out and counts it.
// What left the local store in its bound had been handed on before.
bool IsLoss(const std::string& reason) {
  return reason != "no-finding" && reason != "repeat" && reason != "held-back" &&
         reason != "max-age" && reason != "max-size" && reason != "max-count";
}

int64_t UnixNanos(absl::Time time) { return absl::ToUnixNanos(time); }

}  // namespace

pb::Ledger LedgerBetween(const std::vector<LedgerEntry>& before,
                         const std::vector<LedgerEntry>& after, TimeSpan span) {
  std::map<std::pair<std::string, std::string>, const LedgerEntry*> earlier;
  for (const LedgerEntry& entry : before) {
    earlier[{entry.stage, entry.counter}] = &entry;
  }
  const LedgerEntry zero;
  pb::Ledger ledger;
  ledger.set_from_unix_ns(UnixNanos(span.from));
  ledger.set_to_unix_ns(UnixNanos(span.to));
  for (const LedgerEntry& entry : after) {
    auto found = earlier.find({entry.stage, entry.counter});
    const LedgerEntry& start = found == earlier.end() ? zero : *found->second;
    pb::LedgerEntry* out = ledger.add_entries();
    out->set_stage(entry.stage);
    out->set_counter(entry.counter);
    out->set_received(Growth(start.received, entry.received));
    out->set_delivered(Growth(start.delivered, entry.delivered));
    for (const auto& [reason, count] : entry.dropped) {
      auto old = start.dropped.find(reason);
      uint64_t lost = Growth(old == start.dropped.end() ? 0 : old->second, count);
      if (lost > 0) {
        (*out->mutable_dropped())[reason] = lost;
        if (!IsLoss(reason)) {
          continue;
        }
        ledger.add_gaps(
            fmt::format("{} dropped {} of {}: {}", entry.stage, lost, entry.counter, reason));
      }
    }
    if (entry.Balance() < 0) {
      ledger.add_gaps(fmt::format("{} counted {} more out than in of {}", entry.stage,
                                  -entry.Balance(), entry.counter));
    }
  }
  return ledger;
}

nlohmann::json LedgerForDoctor(const std::vector<LedgerEntry>& entries) {
  nlohmann::json out = nlohmann::json::array();
  for (const LedgerEntry& entry : entries) {
    nlohmann::json dropped = nlohmann::json::object();
    uint64_t lost = 0;
    for (const auto& [reason, count] : entry.dropped) {
      dropped[reason] = count;
      lost += IsLoss(reason) ? count : 0;
    }
    out.push_back({{"stage", entry.stage},
                   {"counter", entry.counter},
                   {"received", entry.received},
                   {"delivered", entry.delivered},
                   {"dropped", std::move(dropped)},
                   {"lost", lost},
                   {"in_flight", entry.Balance()}});
  }
  return out;
}

}  // namespace vedette
