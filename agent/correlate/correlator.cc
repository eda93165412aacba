// SPDX-License-Identifier: Apache-2.0
#include "agent/correlate/correlator.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "agent/base/status.h"
#include "agent/base/text.h"
#include "agent/correlate/finding_codec.h"
#include "agent/correlate/finding_of.h"

namespace vedette {
namespace {

constexpr int64_t kSchemaVersion = 1;
constexpr size_t kEvictedShare = 100;  // One in so many goes at once when the bound is reached.

constexpr size_t kMinUidPrefix = 4;

constexpr char kSchema[] = R"(
CREATE TABLE IF NOT EXISTS finding_meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS finding(
  uid TEXT PRIMARY KEY, workload BLOB NOT NULL, severity INTEGER NOT NULL, count INTEGER NOT NULL,
  emitted_count INTEGER NOT NULL, last_seen_ns INTEGER NOT NULL, emitted_at_ns INTEGER NOT NULL,
  body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS finding_last_seen ON finding(last_seen_ns);
CREATE INDEX IF NOT EXISTS finding_severity ON finding(severity, last_seen_ns);
CREATE TABLE IF NOT EXISTS finding_status(
  uid TEXT PRIMARY KEY, changes INTEGER NOT NULL, dismissed INTEGER NOT NULL, user BLOB NOT NULL,
  user_id INTEGER NOT NULL, at_ns INTEGER NOT NULL, reason BLOB NOT NULL) WITHOUT ROWID;
)";

absl::Status CheckSchema(SqliteDatabase* db) {
  VEDETTE_ASSIGN_OR_RETURN(auto select,
                           db->Prepare("SELECT value FROM finding_meta WHERE key = 'schema'"));
  VEDETTE_ASSIGN_OR_RETURN(const bool there, select.Step());
  if (!there) {
    return db->Exec(fmt::format("INSERT INTO finding_meta VALUES('schema', {})", kSchemaVersion));
  }
  if (const int64_t version = select.Int64(0); version != kSchemaVersion) {
    return absl::FailedPreconditionError(
        fmt::format("{}: the findings are of schema {}, this agent knows {}: run the version that "
                    "wrote them, or move the file away",
                    db->path(), version, kSchemaVersion));
  }
  return absl::OkStatus();
}

// The story of a row, with the row's counts. Columns: body, count, last_seen_ns.
absl::StatusOr<Finding> FindingOfRow(const SqliteDatabase& db, const SqliteStatement& row) {
  absl::StatusOr<Finding> finding = DecodeFinding(row.Bytes(0));
  if (!finding.ok()) {
    return absl::DataLossError(
        fmt::format("{}: {}", db.path(), std::string(finding.status().message())));
  }
  finding->count = static_cast<uint64_t>(row.Int64(1));
  finding->last_seen = absl::FromUnixNanos(row.Int64(2));
  return finding;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Correlator>> Correlator::Load(SqliteDatabase* db, const Clock* clock,
                                                             CorrelatorOptions options) {
  VEDETTE_RETURN_IF_ERROR(db->Exec(kSchema));
  VEDETTE_RETURN_IF_ERROR(CheckSchema(db));
  std::unique_ptr<Correlator> correlator(new Correlator(db, clock, options));
  VEDETTE_RETURN_IF_ERROR(correlator->LoadRows());
  VEDETTE_RETURN_IF_ERROR(correlator->LoadStatuses());
  return correlator;
}

absl::Status Correlator::LoadRows() {
  VEDETTE_ASSIGN_OR_RETURN(
      auto rows,
      db_->Prepare("SELECT uid, count, emitted_count, last_seen_ns, emitted_at_ns, workload, "
                   "severity FROM finding"));
  for (;;) {
    VEDETTE_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) {
      return absl::OkStatus();
    }
    Open open;
    open.count = static_cast<uint64_t>(rows.Int64(1));
    open.emitted_count = static_cast<uint64_t>(rows.Int64(2));
    open.last_seen = absl::FromUnixNanos(rows.Int64(3));
    open.emitted_at = absl::FromUnixNanos(rows.Int64(4));
    std::string uid = rows.Bytes(0);
    if (rows.Int64(1) < 1 || rows.Int64(2) < 0 || open.emitted_count > open.count) {
      return absl::DataLossError(
          fmt::format("{}: table finding holds a row that cannot be: the "
                      "file is damaged; move it away to start anew",
                      db_->path()));
    }
    if (open.emitted_count == 0) {
      open.held_back = {rows.Bytes(5), static_cast<Severity>(rows.Int64(6))};
    } else if (open.count > open.emitted_count) {
      grown_.insert(uid);
    }
    open_.emplace(std::move(uid), std::move(open));
  }
}

std::optional<Finding> Correlator::Correlate(ScoredEvent scored) {
  ++ledger_.received;
  std::optional<Finding> finding = FindingOf(std::move(scored));
  if (!finding) {
    ledger_.Drop(kDropNoFinding);
    return std::nullopt;
  }
  if (const auto it = open_.find(finding->uid); it != open_.end()) {
    Raise(it->first, it->second, 1, finding->last_seen);
    ledger_.Drop(kDropRepeat);
    return std::nullopt;
  }
  Open& held = Hold(*finding);
  if (bound_.Take(finding->workload.name, finding->severity, clock_->Now())) {
    ++ledger_.emitted;
    return finding;
  }
  held.held_back = {finding->workload.name, finding->severity};
  held.emitted_count = 0;
  return HoldBack(*finding);
}

Correlator::Open& Correlator::Hold(const Finding& finding) {
  if (open_.size() >= options_.max_findings) {
    MakeRoom();
  }
  Open open;
  open.last_seen = finding.last_seen;
  open.emitted_at = clock_->Now();
  open.unsaved = std::make_unique<Finding>(finding);
  dirty_.insert(finding.uid);
  removed_.erase(finding.uid);
  return open_.insert_or_assign(finding.uid, std::move(open)).first->second;
}

std::optional<Finding> Correlator::HoldBack(const Finding& finding) {
  Finding stands_for_all =
      vedette::HeldBack(finding, options_.per_hour, HourlyBound::HourOf(clock_->Now()));
  if (const auto it = open_.find(stands_for_all.uid); it != open_.end()) {
    Raise(it->first, it->second, 1, finding.last_seen);
    ledger_.Drop(kDropHeldBack);
    return std::nullopt;
  }
  spdlog::warn("{}; further ones are held back until the hour is over", stands_for_all.title);
  Hold(stands_for_all);
  ++ledger_.emitted;
  return stands_for_all;
}

void Correlator::Grow(const DeviationGrowth& growth) {
  Finding goes_on = GoesOn(growth);
  if (const auto it = open_.find(goes_on.uid); it != open_.end()) {
    Raise(it->first, it->second, growth.hits, growth.last_seen);
    return;
  }
  ++begun_anew_;
  Open& open = Hold(goes_on);
  open.count = 0;
  open.emitted_count = 0;
  open.held_back = {growth.workload, goes_on.severity};
  Raise(goes_on.uid, open, growth.hits, growth.last_seen);
}

void Correlator::Raise(const std::string& uid, Open& open, uint64_t by, absl::Time seen) {
  open.count += by;
  open.last_seen = std::max(open.last_seen, seen);
  open.written = false;
  if (open.held_back &&
      bound_.Take(open.held_back->workload, open.held_back->severity, clock_->Now())) {
    open.held_back.reset();
    open.emitted_at = absl::InfinitePast();
  }
  if (!open.held_back) {
    grown_.insert(uid);
  }
  dirty_.insert(uid);
}

void Correlator::MakeRoom() {
  using Row = std::pair<absl::Time, std::string>;
  std::vector<Row> rows;
  rows.reserve(open_.size());
  for (const auto& [uid, open] : open_) {
    rows.emplace_back(open.last_seen, uid);
  }
  const size_t count = std::min(rows.size(), options_.max_findings / kEvictedShare + 1);
  std::partial_sort(rows.begin(), rows.begin() + static_cast<ptrdiff_t>(count), rows.end());
  for (size_t i = 0; i < count; ++i) {
    Remove(rows[i].second);
  }
  if (evicted_ == 0) {
    spdlog::warn("{} findings are stored, which is the bound: the oldest are forgotten",
                 options_.max_findings);
  }
  evicted_ += count;
}

bool Correlator::Remove(const std::string& uid) {
  grown_.erase(uid);
  dirty_.erase(uid);
  removed_.insert(uid);
  if (statuses_.erase(uid) > 0) {
    changed_statuses_.insert(uid);
  }
  return open_.erase(uid) > 0;
}

absl::StatusOr<size_t> Correlator::ForgetOlder(absl::Time time, size_t limit) {
  VEDETTE_ASSIGN_OR_RETURN(auto rows, db_->Prepare("SELECT uid FROM finding WHERE last_seen_ns < ? "
                                                   "ORDER BY last_seen_ns LIMIT ?"));
  rows.Bind(1, absl::ToUnixNanos(time)).Bind(2, static_cast<int64_t>(limit));
  return RemoveRows(rows, time);
}

absl::StatusOr<size_t> Correlator::ForgetLeast(size_t limit) {
  VEDETTE_ASSIGN_OR_RETURN(
      auto rows, db_->Prepare("SELECT uid FROM finding ORDER BY severity, last_seen_ns LIMIT ?"));
  rows.Bind(1, static_cast<int64_t>(limit));
  return RemoveRows(rows, absl::InfiniteFuture());
}

// What grew since it was written is younger than its row.
absl::StatusOr<size_t> Correlator::RemoveRows(SqliteStatement& rows, absl::Time before) {
  size_t count = 0;
  for (;;) {
    VEDETTE_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) {
      return count;
    }
    const std::string uid = rows.Bytes(0);
    const auto it = open_.find(uid);
    if (it != open_.end() && it->second.last_seen < before) {
      count += Remove(uid) ? 1 : 0;
    }
  }
}

Updates Correlator::DueUpdates() {
  Updates updates;
  std::vector<Finding>& due = updates.findings;
  const absl::Time now = clock_->Now();
  std::vector<std::string> given;
  for (const std::string& uid : grown_) {
    if (due.size() + updates.failed >= kMaxUpdatesAtOnce) {
      break;
    }
    Open& open = open_.at(uid);
    // A clock that was set back must not silence a finding for as long as it was set back.
    if (open.emitted_at <= now && now - open.emitted_at < options_.update_interval) {
      continue;
    }
    absl::StatusOr<Finding> finding = open.unsaved ? *open.unsaved : Stored(uid);
    if (!finding.ok()) {
      ++updates.failed;
      updates.status.Update(finding.status());
      open.emitted_at = now;
      continue;
    }
    finding->change =
        open.emitted_count == 0 ? Finding::Change::kCreated : Finding::Change::kUpdated;
    finding->count = open.count;
    finding->last_seen = open.last_seen;
    AddStatus(*finding);
    due.push_back(*std::move(finding));
    given.push_back(uid);
  }
  for (const std::string& uid : given) {
    Open& open = open_.at(uid);
    open.emitted_at = now;
    open.emitted_count = open.count;
    open.written = false;
    dirty_.insert(uid);
    grown_.erase(uid);
  }
  updates_ += due.size();
  return updates;
}

absl::Status Correlator::Write() {
  VEDETTE_RETURN_IF_ERROR(WriteStatuses());
  if (removed_.empty() && dirty_.empty()) {
    return absl::OkStatus();
  }
  VEDETTE_ASSIGN_OR_RETURN(auto remove, db_->Prepare("DELETE FROM finding WHERE uid = ?"));
  VEDETTE_ASSIGN_OR_RETURN(
      auto insert, db_->Prepare("INSERT OR REPLACE INTO finding VALUES(?, ?, ?, ?, ?, ?, ?, ?)"));
  VEDETTE_ASSIGN_OR_RETURN(auto update,
                           db_->Prepare("UPDATE finding SET count = ?, emitted_count = ?, "
                                        "last_seen_ns = ?, emitted_at_ns = ? WHERE uid = ?"));
  for (const std::string& uid : removed_) {
    VEDETTE_RETURN_IF_ERROR(remove.BindText(1, uid).Run());
  }
  for (const std::string& uid : dirty_) {
    Open& open = open_.at(uid);
    const auto count = static_cast<int64_t>(open.count);
    const auto emitted = static_cast<int64_t>(open.emitted_count);
    const int64_t last_seen = absl::ToUnixNanos(open.last_seen);
    const int64_t emitted_at = absl::ToUnixNanos(open.emitted_at);
    if (open.unsaved) {
      insert.BindText(1, uid).BindBlob(2, open.unsaved->workload.name);
      insert.Bind(3, static_cast<int64_t>(open.unsaved->severity)).Bind(4, count).Bind(5, emitted);
      insert.Bind(6, last_seen).Bind(7, emitted_at).BindBlob(8, EncodeFinding(*open.unsaved));
      VEDETTE_RETURN_IF_ERROR(insert.Run());
    } else {
      update.Bind(1, count).Bind(2, emitted).Bind(3, last_seen).Bind(4, emitted_at);
      VEDETTE_RETURN_IF_ERROR(update.BindText(5, uid).Run());
    }
    open.written = true;
  }
  return absl::OkStatus();
}

void Correlator::Committed() {
  removed_.clear();
  changed_statuses_.clear();
  absl::erase_if(dirty_, [this](const std::string& uid) {
    Open& open = open_.at(uid);
    if (!open.written) {
      return false;
    }
    open.unsaved.reset();
    return true;
  });
}

absl::StatusOr<Finding> Correlator::Stored(std::string_view uid) const {
  VEDETTE_ASSIGN_OR_RETURN(
      auto row, db_->Prepare("SELECT body, count, last_seen_ns FROM finding WHERE uid = ?"));
  VEDETTE_ASSIGN_OR_RETURN(const bool there, row.BindText(1, uid).Step());
  if (!there) {
    return absl::NotFoundError(
        fmt::format("no finding has the id {}: see `vedette finding list`", PrintableUtf8(uid)));
  }
  return FindingOfRow(*db_, row);
}

absl::StatusOr<std::string> Correlator::FullUid(std::string_view asked) const {
  if (asked.size() < kMinUidPrefix || open_.contains(std::string(asked))) {
    return std::string(asked);
  }
  std::string full;
  for (const auto& [uid, open] : open_) {
    if (uid.starts_with(asked)) {
      if (!full.empty()) {
        return absl::InvalidArgumentError(
            fmt::format("several findings have an id that begins with {}: write more of it",
                        PrintableUtf8(asked)));
      }
      full = uid;
    }
  }
  return full.empty() ? std::string(asked) : full;
}

absl::StatusOr<Finding> Correlator::Show(std::string_view uid) const {
  absl::StatusOr<Finding> finding = Stored(uid);
  if (finding.ok()) {
    AddStatus(*finding);
  }
  return finding;
}

absl::StatusOr<std::vector<Finding>> Correlator::List(const FindingFilter& filter) const {
  VEDETTE_ASSIGN_OR_RETURN(auto rows,
                           db_->Prepare("SELECT body, count, last_seen_ns, uid FROM finding WHERE "
                                        "(length(?1) = 0 OR workload = ?1) AND severity >= ?2 AND "
                                        "last_seen_ns >= ?3 ORDER BY last_seen_ns DESC, uid"));
  rows.BindBlob(1, filter.workload).Bind(2, static_cast<int64_t>(filter.min_severity));
  rows.Bind(3, absl::ToUnixNanos(filter.since));
  std::vector<Finding> findings;
  while (findings.size() < filter.limit) {
    VEDETTE_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) {
      return findings;
    }
    const auto status = statuses_.find(rows.Bytes(3));
    const bool dismissed = status != statuses_.end() && status->second.dismissal.has_value();
    if (filter.dismissed && *filter.dismissed != dismissed) {
      continue;
    }
    VEDETTE_ASSIGN_OR_RETURN(auto finding, FindingOfRow(*db_, rows));
    AddStatus(finding);
    findings.push_back(std::move(finding));
  }
  return findings;
}

}  // namespace vedette
