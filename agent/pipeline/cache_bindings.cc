// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/cache_bindings.h"

#include <cstring>
#include <utility>

#include "agent/base/status.h"

namespace vedette {
namespace {

constexpr char kSchema[] = R"sql(
CREATE TABLE IF NOT EXISTS cache_boot(boot_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cache_ring(ring INTEGER PRIMARY KEY, position INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS cache_loss(
  workload_number INTEGER NOT NULL, generation INTEGER NOT NULL, cache INTEGER NOT NULL,
  lost INTEGER NOT NULL, PRIMARY KEY(workload_number, generation, cache)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cache_binding(
  workload_number INTEGER NOT NULL, generation INTEGER NOT NULL, cache INTEGER NOT NULL,
  slot INTEGER NOT NULL, workload BLOB NOT NULL, channel INTEGER NOT NULL, subject BLOB NOT NULL,
  subject_sha256 TEXT NOT NULL, object BLOB NOT NULL, object_sha256 TEXT NOT NULL,
  qualifier BLOB NOT NULL, acts INTEGER NOT NULL, failures INTEGER NOT NULL,
  sent_bytes INTEGER NOT NULL, received_bytes INTEGER NOT NULL,
  retransmits INTEGER NOT NULL DEFAULT 0, latency BLOB NOT NULL DEFAULT x'',
  act_channel INTEGER NOT NULL DEFAULT 0, act_object BLOB NOT NULL DEFAULT x'',
  PRIMARY KEY(workload_number, generation, slot)) WITHOUT ROWID;
)sql";

// What stores of before do not have.
constexpr char kLaterColumns[] = R"sql(
ALTER TABLE cache_binding ADD COLUMN retransmits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cache_binding ADD COLUMN latency BLOB NOT NULL DEFAULT x'';
ALTER TABLE cache_binding ADD COLUMN act_channel INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cache_binding ADD COLUMN act_object BLOB NOT NULL DEFAULT x'';
)sql";

constexpr char kUpsert[] =
    "INSERT OR REPLACE INTO cache_binding VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";

int64_t Signed(uint64_t value) { return static_cast<int64_t>(value); }

// Nothing where nothing was measured, as for all but TCP. Read by the same host in the same boot.
std::string LatencyBlob(const LatencyBuckets& latency) {
  if (latency == LatencyBuckets()) {
    return "";
  }
  return std::string(reinterpret_cast<const char*>(latency.data()), sizeof(latency));
}

LatencyBuckets LatencyOfBlob(const std::string& blob) {
  LatencyBuckets latency = {};
  if (blob.size() == sizeof(latency)) {
    std::memcpy(latency.data(), blob.data(), sizeof(latency));
  }
  return latency;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CacheBindings>> CacheBindings::Load(SqliteDatabase* db,
                                                                   const std::string& boot_id,
                                                                   bool adopted) {
  VEDETTE_RETURN_IF_ERROR(db->Exec(kSchema));
  if (!db->Prepare("SELECT act_object FROM cache_binding").ok()) {
    VEDETTE_RETURN_IF_ERROR(db->Exec(kLaterColumns));
  }
  std::unique_ptr<CacheBindings> bindings(new CacheBindings(db));
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement boot, db->Prepare("SELECT boot_id FROM cache_boot"));
  VEDETTE_ASSIGN_OR_RETURN(bool has_boot, boot.Step());
  if (!adopted || !has_boot || boot.Bytes(0) != boot_id) {
    boot.Reset();
    VEDETTE_RETURN_IF_ERROR(
        db->Exec("DELETE FROM cache_binding; DELETE FROM cache_loss; DELETE FROM cache_ring;"
                 "DELETE FROM cache_boot"));
    VEDETTE_ASSIGN_OR_RETURN(SqliteStatement insert,
                             db->Prepare("INSERT INTO cache_boot VALUES(?)"));
    VEDETTE_RETURN_IF_ERROR(insert.BindText(1, boot_id).Run());
    return bindings;
  }
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement rings,
                           db->Prepare("SELECT position FROM cache_ring ORDER BY ring"));
  for (;;) {
    VEDETTE_ASSIGN_OR_RETURN(bool more, rings.Step());
    if (!more) {
      break;
    }
    bindings->ring_positions_.push_back(static_cast<uint64_t>(rings.Int64(0)));
  }
  VEDETTE_RETURN_IF_ERROR(bindings->ReadLosses());
  VEDETTE_RETURN_IF_ERROR(bindings->ReadRows());
  return bindings;
}

absl::Status CacheBindings::ReadRows() {
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement select, db_->Prepare("SELECT * FROM cache_binding"));
  for (;;) {
    VEDETTE_ASSIGN_OR_RETURN(bool more, select.Step());
    if (!more) {
      return absl::OkStatus();
    }
    const CacheSlot slot = {
        static_cast<uint64_t>(select.Int64(0)), static_cast<uint64_t>(select.Int64(1)),
        static_cast<uint32_t>(select.Int64(2)), static_cast<uint32_t>(select.Int64(3))};
    Row row;
    row.workload = select.Bytes(4);
    row.behaviour = {static_cast<Channel>(select.Int64(5)),
                     select.Bytes(6),
                     select.Bytes(7),
                     select.Bytes(8),
                     select.Bytes(9),
                     select.Bytes(10)};
    row.counted.acts = static_cast<uint64_t>(select.Int64(11));
    row.counted.failures = static_cast<uint64_t>(select.Int64(12));
    row.counted.sent_bytes = static_cast<uint64_t>(select.Int64(13));
    row.counted.received_bytes = static_cast<uint64_t>(select.Int64(14));
    row.counted.retransmits = static_cast<uint64_t>(select.Int64(15));
    row.counted.latency = LatencyOfBlob(select.Bytes(16));
    row.act = {static_cast<Channel>(select.Int64(17)), select.Bytes(18)};
    rows_.emplace(slot, std::move(row));
  }
}

absl::Status CacheBindings::ReadLosses() {
  VEDETTE_ASSIGN_OR_RETURN(
      SqliteStatement select,
      db_->Prepare("SELECT workload_number, generation, cache, lost FROM cache_loss"));
  for (;;) {
    VEDETTE_ASSIGN_OR_RETURN(bool more, select.Step());
    if (!more) {
      return absl::OkStatus();
    }
    losses_[{static_cast<uint64_t>(select.Int64(0)), static_cast<uint64_t>(select.Int64(1)),
             static_cast<uint32_t>(select.Int64(2)), 0}] = static_cast<uint32_t>(select.Int64(3));
  }
}

void CacheBindings::AddLost(const OverflowEvent& overflow) {
  if (overflow.lost == 0) {
    return;  // It tells that a cache is full.
  }
  const CacheSlot cache = {overflow.workload_number, overflow.generation, overflow.cache, 0};
  losses_[cache] += static_cast<uint32_t>(overflow.lost);
  dirty_losses_.insert(cache);
}

std::vector<VerdictCache::ToldLoss> CacheBindings::told_losses() const {
  std::vector<VerdictCache::ToldLoss> told;
  for (const auto& [cache, lost] : losses_) {
    told.push_back({cache.workload_number, cache.generation, cache.cache, lost});
  }
  return told;
}

absl::Status CacheBindings::WriteLosses() {
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement put,
                           db_->Prepare("INSERT OR REPLACE INTO cache_loss VALUES(?, ?, ?, ?)"));
  for (const CacheSlot& cache : dirty_losses_) {
    const auto found = losses_.find(cache);
    if (found == losses_.end()) {
      continue;
    }
    put.Bind(1, Signed(cache.workload_number))
        .Bind(2, Signed(cache.generation))
        .Bind(3, int64_t{cache.cache})
        .Bind(4, int64_t{found->second});
    VEDETTE_RETURN_IF_ERROR(put.Run());
  }
  return absl::OkStatus();
}

void CacheBindings::Add(const CacheSlot& slot, Row row) {
  if (row.act == Act{row.behaviour.channel, row.behaviour.object}) {
    row.act = {};
  }
  const auto [it, fresh] = rows_.try_emplace(slot, row);
  if (!fresh && !it->second.judged) {
    row.counted = it->second.counted;
    it->second = std::move(row);
  } else if (!fresh) {
    return;
  }
  dirty_.push_back(slot);
}

void CacheBindings::Unjudge(const CacheSlot& slot) {
  if (const auto it = rows_.find(slot); it != rows_.end()) {
    it->second.judged = false;
  }
}

const CacheBindings::Row* CacheBindings::Find(const CacheSlot& slot) const {
  const auto it = rows_.find(slot);
  return it == rows_.end() ? nullptr : &it->second;
}

std::optional<SlotCounts> CacheBindings::Take(const CacheSlot& slot, const BehaviourCount& total) {
  auto it = rows_.find(slot);
  if (it == rows_.end() || !it->second.judged) {
    return std::nullopt;
  }
  BehaviourCount& counted = it->second.counted;
  // An act is counted after its record was sent, so a total can be behind by one for a moment.
  if (total.acts < counted.acts) {
    return std::nullopt;
  }
  SlotCounts delta;
  delta.hits = total.acts - counted.acts;
  delta.failures = total.failures - counted.failures;
  delta.sent_bytes = total.sent_bytes - counted.sent_bytes;
  delta.received_bytes = total.received_bytes - counted.received_bytes;
  delta.retransmits = total.retransmits - counted.retransmits;
  for (size_t i = 0; i < kLatencyBuckets; ++i) {
    delta.latency[i] = total.latency[i] - counted.latency[i];
  }
  if (delta == SlotCounts()) {
    return std::nullopt;
  }
  counted = total;
  dirty_.push_back(slot);
  return delta;
}

void CacheBindings::SetRingPositions(std::vector<uint64_t> positions) {
  positions_dirty_ = positions_dirty_ || positions != ring_positions_;
  ring_positions_ = std::move(positions);
}

absl::Status CacheBindings::WriteRingPositions() {
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement put,
                           db_->Prepare("INSERT OR REPLACE INTO cache_ring VALUES(?, ?)"));
  for (size_t i = 0; i < ring_positions_.size(); ++i) {
    put.Bind(1, static_cast<int64_t>(i)).Bind(2, Signed(ring_positions_[i]));
    VEDETTE_RETURN_IF_ERROR(put.Run());
  }
  return absl::OkStatus();
}

void CacheBindings::ForEach(const std::function<void(const CacheSlot&, const Row&)>& visit) const {
  for (const auto& [slot, row] : rows_) {
    visit(slot, row);
  }
}

void CacheBindings::ForgetWorkload(uint64_t workload_number) {
  absl::erase_if(rows_, [workload_number](const auto& entry) {
    return entry.first.workload_number == workload_number;
  });
  absl::erase_if(losses_, [workload_number](const auto& entry) {
    return entry.first.workload_number == workload_number;
  });
  forgotten_.push_back(workload_number);
}

void CacheBindings::Forget(const CacheSlot& slot) {
  if (rows_.erase(slot) > 0) {
    gone_.push_back(slot);
  }
}

absl::Status CacheBindings::WriteGone() {
  VEDETTE_ASSIGN_OR_RETURN(
      SqliteStatement remove,
      db_->Prepare(
          "DELETE FROM cache_binding WHERE workload_number=? AND generation=? AND slot=?"));
  for (const CacheSlot& slot : gone_) {
    remove.Bind(1, Signed(slot.workload_number))
        .Bind(2, Signed(slot.generation))
        .Bind(3, int64_t{slot.slot});
    VEDETTE_RETURN_IF_ERROR(remove.Run());
  }
  return absl::OkStatus();
}

absl::Status CacheBindings::Write() {
  if (positions_dirty_) {
    VEDETTE_RETURN_IF_ERROR(WriteRingPositions());
  }
  for (uint64_t number : forgotten_) {
    for (const char* remove : {"DELETE FROM cache_binding WHERE workload_number=?",
                               "DELETE FROM cache_loss WHERE workload_number=?"}) {
      VEDETTE_ASSIGN_OR_RETURN(SqliteStatement statement, db_->Prepare(remove));
      VEDETTE_RETURN_IF_ERROR(statement.Bind(1, Signed(number)).Run());
    }
  }
  if (!dirty_losses_.empty()) {
    VEDETTE_RETURN_IF_ERROR(WriteLosses());
  }
  if (!gone_.empty()) {
    VEDETTE_RETURN_IF_ERROR(WriteGone());
  }
  if (dirty_.empty()) {
    return absl::OkStatus();
  }
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement upsert, db_->Prepare(kUpsert));
  for (const CacheSlot& slot : dirty_) {
    auto it = rows_.find(slot);
    if (it == rows_.end()) {
      continue;
    }
    const Row& row = it->second;
    upsert.Bind(1, Signed(slot.workload_number))
        .Bind(2, Signed(slot.generation))
        .Bind(3, int64_t{slot.cache})
        .Bind(4, int64_t{slot.slot})
        .BindBlob(5, row.workload)
        .Bind(6, static_cast<int64_t>(row.behaviour.channel))
        .BindBlob(7, row.behaviour.subject)
        .BindText(8, row.behaviour.subject_sha256)
        .BindBlob(9, row.behaviour.object)
        .BindText(10, row.behaviour.object_sha256)
        .BindBlob(11, row.behaviour.qualifier)
        .Bind(12, Signed(row.counted.acts))
        .Bind(13, Signed(row.counted.failures))
        .Bind(14, Signed(row.counted.sent_bytes))
        .Bind(15, Signed(row.counted.received_bytes))
        .Bind(16, Signed(row.counted.retransmits))
        .BindBlob(17, LatencyBlob(row.counted.latency))
        .Bind(18, static_cast<int64_t>(row.act.channel))
        .BindBlob(19, row.act.object);
    VEDETTE_RETURN_IF_ERROR(upsert.Run());
  }
  return absl::OkStatus();
}

void CacheBindings::Committed() {
  dirty_.clear();
  dirty_losses_.clear();
  forgotten_.clear();
  gone_.clear();
  positions_dirty_ = false;
}

}  // namespace vedette
