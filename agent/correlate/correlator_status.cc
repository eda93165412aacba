// SPDX-License-Identifier: Apache-2.0
// What people said of findings.
#include <utility>

#include "agent/base/status.h"
#include "agent/correlate/correlator.h"

namespace vedette {

absl::Status Correlator::LoadStatuses() {
  VEDETTE_ASSIGN_OR_RETURN(
      auto rows, db_->Prepare("SELECT uid, changes, dismissed, user, user_id, at_ns, reason FROM "
                              "finding_status"));
  for (;;) {
    VEDETTE_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) {
      return absl::OkStatus();
    }
    Status status;
    status.changes = static_cast<uint64_t>(rows.Int64(1));
    if (rows.Int64(2) != 0) {
      status.dismissal = Dismissal{.finding = rows.Bytes(0),
                                   .user = rows.Bytes(3),
                                   .uid = static_cast<uint32_t>(rows.Int64(4)),
                                   .at = absl::FromUnixNanos(rows.Int64(5)),
                                   .reason = rows.Bytes(6)};
    }
    statuses_.emplace(rows.Bytes(0), std::move(status));
  }
}

absl::Status Correlator::WriteStatuses() {
  if (changed_statuses_.empty()) {
    return absl::OkStatus();
  }
  VEDETTE_ASSIGN_OR_RETURN(auto remove, db_->Prepare("DELETE FROM finding_status WHERE uid = ?"));
  VEDETTE_ASSIGN_OR_RETURN(
      auto insert,
      db_->Prepare("INSERT OR REPLACE INTO finding_status VALUES(?, ?, ?, ?, ?, ?, ?)"));
  for (const std::string& uid : changed_statuses_) {
    const auto it = statuses_.find(uid);
    if (it == statuses_.end()) {
      VEDETTE_RETURN_IF_ERROR(remove.BindText(1, uid).Run());
      continue;
    }
    const Status& status = it->second;
    const Dismissal said = status.dismissal.value_or(Dismissal{});
    insert.BindText(1, uid).Bind(2, static_cast<int64_t>(status.changes));
    insert.Bind(3, int64_t{status.dismissal.has_value()}).BindBlob(4, said.user);
    insert.Bind(5, int64_t{said.uid}).Bind(6, absl::ToUnixNanos(said.at)).BindBlob(7, said.reason);
    VEDETTE_RETURN_IF_ERROR(insert.Run());
  }
  return absl::OkStatus();
}

void Correlator::AddStatus(Finding& finding) const {
  if (const auto it = statuses_.find(finding.uid); it != statuses_.end()) {
    finding.dismissal = it->second.dismissal;
    finding.status_changes = it->second.changes;
  }
}

absl::StatusOr<std::optional<Finding>> Correlator::SetDismissal(const std::string& uid,
                                                                std::optional<Dismissal> dismissal,
                                                                Finding::StatusChange by) {
  VEDETTE_ASSIGN_OR_RETURN(Finding finding, Show(uid));
  const auto it = open_.find(uid);
  if (it == open_.end()) {
    return absl::InternalError("a finding is in the store that is not held");
  }
  Status& status = statuses_[uid];
  ++status.changes;
  status.dismissal = std::move(dismissal);
  changed_statuses_.insert(uid);
  Open& open = it->second;
  if (open.emitted_count == 0) {
    return std::nullopt;
  }
  open.emitted_at = clock_->Now();
  open.emitted_count = open.count;
  open.written = false;
  dirty_.insert(uid);
  grown_.erase(uid);
  finding.change = Finding::Change::kUpdated;
  finding.count = open.count;
  finding.last_seen = open.last_seen;
  finding.status_change = std::move(by);
  AddStatus(finding);
  return finding;
}

}  // namespace vedette
