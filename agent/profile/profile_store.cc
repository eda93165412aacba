// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/profile_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "agent/base/status.h"

namespace vedette {
namespace {

constexpr int64_t kSchemaVersion = 1;

constexpr char kSchema[] = R"(
CREATE TABLE IF NOT EXISTS profile_meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS workload(
  id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, identity BLOB NOT NULL,
  first_seen_ns INTEGER NOT NULL, first_uptime_ns INTEGER NOT NULL, learned_at_ns INTEGER NOT NULL,
  frozen_by BLOB NOT NULL, frozen_at_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS learning(
  workload_id INTEGER PRIMARY KEY REFERENCES workload(id), last_new_ns INTEGER NOT NULL,
  runs INTEGER NOT NULL, last_new_run INTEGER NOT NULL, absent_ns INTEGER NOT NULL,
  absent_since_ns INTEGER NOT NULL, ended TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS activity(
  workload_id INTEGER NOT NULL REFERENCES workload(id), channel TEXT NOT NULL,
  windows INTEGER NOT NULL, newest INTEGER NOT NULL, recent INTEGER NOT NULL, cut INTEGER NOT NULL,
  PRIMARY KEY(workload_id, channel)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS behaviour(
  id INTEGER PRIMARY KEY, workload_id INTEGER NOT NULL REFERENCES workload(id),
  deviation INTEGER NOT NULL, channel TEXT NOT NULL, subject BLOB NOT NULL,
  subject_sha256 BLOB NOT NULL, object BLOB NOT NULL, object_sha256 BLOB NOT NULL,
  qualifier BLOB NOT NULL, count INTEGER NOT NULL, failures INTEGER NOT NULL,
  sent_bytes INTEGER NOT NULL, received_bytes INTEGER NOT NULL, first_seen_ns INTEGER NOT NULL,
  last_seen_ns INTEGER NOT NULL, sources BLOB NOT NULL, sources_cut INTEGER NOT NULL,
  score REAL NOT NULL, sentence BLOB NOT NULL, new_revision INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS dismissal(
  behaviour_id INTEGER PRIMARY KEY, finding TEXT NOT NULL, user BLOB NOT NULL,
  uid INTEGER NOT NULL, at_ns INTEGER NOT NULL, reason BLOB NOT NULL);
)";

constexpr const char* kSaves[] = {
    "INSERT OR REPLACE INTO profile_meta VALUES('uptime_ns', ?)",
    "INSERT INTO workload VALUES(?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET "
    "identity=excluded.identity, learned_at_ns=excluded.learned_at_ns, "
    "frozen_by=excluded.frozen_by, frozen_at_ns=excluded.frozen_at_ns",
    "INSERT OR REPLACE INTO learning VALUES(?, ?, ?, ?, ?, ?, ?)",
    "INSERT OR REPLACE INTO activity VALUES(?, ?, ?, ?, ?, ?)",
    "INSERT OR REPLACE INTO behaviour VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
    "?, ?)",
    "INSERT OR REPLACE INTO dismissal VALUES(?, ?, ?, ?, ?, ?)",
    "DELETE FROM dismissal WHERE behaviour_id = ?",
    "DELETE FROM behaviour WHERE id = ?",
    "DELETE FROM activity WHERE workload_id = ?",
    "DELETE FROM learning WHERE workload_id = ?",
    "DELETE FROM workload WHERE id = ?",
};
enum Save {
  kUptime,
  kWorkload,
  kLearning,
  kActivity,
  kBehaviour,
  kDismissal,
  kRemoveDismissal,
  kRemoveBehaviour,
  kRemoveActivity,
  kRemoveLearning,
  kRemoveWorkload
};

// Times that are not there are the largest number; ToUnixNanos saturates InfiniteFuture to it.
int64_t Nanos(absl::Time time) { return absl::ToUnixNanos(time); }
absl::Time TimeOf(int64_t nanos) {
  return nanos == absl::ToUnixNanos(absl::InfiniteFuture()) ? absl::InfiniteFuture()
                                                            : absl::FromUnixNanos(nanos);
}

// Sources are container ids and cgroup paths, which hold no NUL.
std::string Join(const std::set<std::string>& sources) {
  return fmt::format("{}", fmt::join(sources, std::string_view("\0", 1)));
}

std::set<std::string> Split(std::string_view bytes) {
  std::set<std::string> sources;
  while (!bytes.empty()) {
    const size_t end = std::min(bytes.find('\0'), bytes.size());
    sources.emplace(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  return sources;
}

uint64_t Unsigned(const SqliteStatement& row, int column) {
  return static_cast<uint64_t>(row.Int64(column));
}

BehaviourRecord RecordOf(const SqliteStatement& row, Channel channel) {
  BehaviourRecord r;
  r.behaviour = {channel, row.Bytes(4), row.Bytes(5), row.Bytes(6), row.Bytes(7), row.Bytes(8)};
  r.count = Unsigned(row, 9);
  r.failures = Unsigned(row, 10);
  r.sent_bytes = Unsigned(row, 11);
  r.received_bytes = Unsigned(row, 12);
  r.first_seen = TimeOf(row.Int64(13));
  r.last_seen = TimeOf(row.Int64(14));
  r.sources = Split(row.Bytes(15));
  r.sources_cut = row.Int64(16) != 0;
  r.score = row.Double(17);
  r.sentence = row.Bytes(18);
  r.new_revision = row.Int64(19) != 0;
  return r;
}

// Profiles are loaded in the order of their rows, so a row is found by halving.
Profile* ProfileOfRow(const std::vector<std::unique_ptr<Profile>>& profiles, int64_t row) {
  const auto it = std::lower_bound(profiles.begin(), profiles.end(), row,
                                   [](const auto& p, int64_t value) { return p->row < value; });
  return it == profiles.end() || (*it)->row != row ? nullptr : it->get();
}

absl::Status CheckSchema(SqliteDatabase* db) {
  VEDETTE_ASSIGN_OR_RETURN(auto select,
                           db->Prepare("SELECT value FROM profile_meta WHERE key = 'schema'"));
  VEDETTE_ASSIGN_OR_RETURN(const bool there, select.Step());
  if (!there) {
    return db->Exec(fmt::format("INSERT INTO profile_meta VALUES('schema', {})", kSchemaVersion));
  }
  if (const int64_t version = select.Int64(0); version != kSchemaVersion) {
    return absl::FailedPreconditionError(
        fmt::format("{}: the profiles are of schema {}, this agent knows {}: run the version that "
                    "wrote them, or move the file away to learn anew",
                    db->path(), version, kSchemaVersion));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ProfileStore>> ProfileStore::Open(SqliteDatabase* db) {
  VEDETTE_RETURN_IF_ERROR(db->Exec(kSchema));
  VEDETTE_RETURN_IF_ERROR(CheckSchema(db));
  std::vector<SqliteStatement> statements;
  for (const char* sql : kSaves) {
    VEDETTE_ASSIGN_OR_RETURN(auto statement, db->Prepare(sql));
    statements.push_back(std::move(statement));
  }
  return std::unique_ptr<ProfileStore>(new ProfileStore(db, std::move(statements)));
}

absl::StatusOr<ProfileStore::Content> ProfileStore::Load() {
  Content content;
  VEDETTE_ASSIGN_OR_RETURN(auto uptime,
                           db_->Prepare("SELECT value FROM profile_meta WHERE key = 'uptime_ns'"));
  VEDETTE_ASSIGN_OR_RETURN(const bool there, uptime.Step());
  content.uptime = absl::Nanoseconds(there ? uptime.Int64(0) : 0);
  VEDETTE_RETURN_IF_ERROR(LoadWorkloads(content));
  VEDETTE_RETURN_IF_ERROR(LoadLearning(content));
  VEDETTE_RETURN_IF_ERROR(LoadActivity(content));
  VEDETTE_RETURN_IF_ERROR(LoadEntries(content));
  return content;
}

absl::Status ProfileStore::LoadWorkloads(Content& content) {
  VEDETTE_ASSIGN_OR_RETURN(
      auto rows,
      db_->Prepare("SELECT id, name, identity, first_seen_ns, first_uptime_ns, learned_at_ns, "
                   "frozen_by, frozen_at_ns FROM workload ORDER BY id"));
  for (;;) {
    VEDETTE_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) {
      return absl::OkStatus();
    }
    auto profile = std::make_unique<Profile>(rows.Bytes(1), rows.Bytes(2), TimeOf(rows.Int64(3)));
    profile->row = rows.Int64(0);
    // In a store of before, which does not say since when nothing is new, that begins now.
    profile->learning = Learning(absl::Nanoseconds(rows.Int64(4)));
    profile->learning.NoteNew(content.uptime);
    profile->learned_at = TimeOf(rows.Int64(5));
    profile->frozen_by = rows.Bytes(6);
    profile->frozen_at = TimeOf(rows.Int64(7));
    content.last_workload_row = profile->row;
    content.profiles.push_back(std::move(profile));
  }
}

absl::Status ProfileStore::LoadLearning(Content& content) {
  VEDETTE_ASSIGN_OR_RETURN(
      auto rows, db_->Prepare("SELECT workload_id, last_new_ns, runs, last_new_run, absent_ns, "
                              "absent_since_ns, ended FROM learning"));
  for (;;) {
    VEDETTE_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) {
      return absl::OkStatus();
    }
    Profile* profile = ProfileOfRow(content.profiles, rows.Int64(0));
    if (profile == nullptr || rows.Int64(2) < rows.Int64(3) || rows.Int64(3) < 0) {
      return Damaged("learning");
    }
    Learning::State state;
    state.last_new = absl::Nanoseconds(rows.Int64(1));
    state.runs = Unsigned(rows, 2);
    state.last_new_run = Unsigned(rows, 3);
    state.absent = absl::Nanoseconds(rows.Int64(4));
    if (rows.Int64(5) >= 0) {
      state.absent_since = absl::Nanoseconds(rows.Int64(5));
    }
    state.ended = rows.Bytes(6);
    profile->learning = Learning(profile->learning.begun(), std::move(state));
  }
}

absl::Status ProfileStore::LoadActivity(Content& content) {
  VEDETTE_ASSIGN_OR_RETURN(
      auto rows,
      db_->Prepare("SELECT workload_id, channel, windows, newest, recent, cut FROM activity"));
  for (;;) {
    VEDETTE_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) {
      return absl::OkStatus();
    }
    Profile* profile = ProfileOfRow(content.profiles, rows.Int64(0));
    const auto channel = ChannelFromName(rows.Bytes(1));
    if (profile == nullptr || !channel || rows.Int64(2) < 0) {
      return Damaged("activity");
    }
    profile->activity(*channel) = Activity(Unsigned(rows, 2), rows.Int64(3), Unsigned(rows, 4));
    profile->cut(*channel) = rows.Int64(5) != 0;
  }
}

absl::StatusOr<ProfileStore::Dismissals> ProfileStore::LoadDismissals() {
  VEDETTE_ASSIGN_OR_RETURN(
      auto rows,
      db_->Prepare("SELECT behaviour_id, finding, user, uid, at_ns, reason FROM dismissal"));
  Dismissals dismissals;
  for (;;) {
    VEDETTE_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) {
      return dismissals;
    }
    dismissals.emplace(rows.Int64(0), Dismissal{.finding = rows.Bytes(1),
                                                .user = rows.Bytes(2),
                                                .uid = static_cast<uint32_t>(rows.Int64(3)),
                                                .at = TimeOf(rows.Int64(4)),
                                                .reason = rows.Bytes(5)});
  }
}

absl::Status ProfileStore::LoadEntries(Content& content) {
  VEDETTE_ASSIGN_OR_RETURN(const Dismissals dismissals, LoadDismissals());
  VEDETTE_ASSIGN_OR_RETURN(auto rows, db_->Prepare("SELECT * FROM behaviour ORDER BY id"));
  for (;;) {
    VEDETTE_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) {
      return absl::OkStatus();
    }
    Profile* profile = ProfileOfRow(content.profiles, rows.Int64(1));
    const auto channel = ChannelFromName(rows.Bytes(3));
    if (profile == nullptr || !channel || rows.Int64(9) < 0) {
      return Damaged("behaviour");
    }
    ProfileEntry* entry = profile->Add(RecordOf(rows, *channel), rows.Int64(2) != 0);
    entry->row = rows.Int64(0);
    content.last_behaviour_row = entry->row;
    if (const auto it = dismissals.find(entry->row); it != dismissals.end() && !entry->deviation) {
      entry->record.dismissal = it->second;
      entry->was_dismissed = true;
    }
  }
}

absl::Status ProfileStore::Damaged(std::string_view what) const {
  return absl::DataLossError(fmt::format(
      "{}: table {} holds a row that cannot be: the file is damaged; move it away to learn anew",
      db_->path(), what));
}

absl::Status ProfileStore::SaveUptime(absl::Duration uptime) {
  return statements_[kUptime].Bind(1, absl::ToInt64Nanoseconds(uptime)).Run();
}

absl::Status ProfileStore::SaveWorkload(const Profile& p) {
  VEDETTE_RETURN_IF_ERROR(statements_[kWorkload]
                              .Bind(1, p.row)
                              .BindBlob(2, p.name)
                              .BindBlob(3, p.identity)
                              .Bind(4, Nanos(p.first_seen))
                              .Bind(5, absl::ToInt64Nanoseconds(p.learning.begun()))
                              .Bind(6, Nanos(p.learned_at))
                              .BindBlob(7, p.frozen_by)
                              .Bind(8, Nanos(p.frozen_at))
                              .Run());
  VEDETTE_RETURN_IF_ERROR(SaveLearning(p));
  for (const Channel channel : kChannels) {
    const Activity& activity = p.activity(channel);
    if (activity.windows() == 0 && !p.cut(channel)) {
      continue;
    }
    VEDETTE_RETURN_IF_ERROR(statements_[kActivity]
                                .Bind(1, p.row)
                                .BindText(2, ChannelName(channel))
                                .Bind(3, static_cast<int64_t>(activity.windows()))
                                .Bind(4, activity.newest())
                                .Bind(5, static_cast<int64_t>(activity.recent()))
                                .Bind(6, int64_t{p.cut(channel)})
                                .Run());
  }
  return absl::OkStatus();
}

absl::Status ProfileStore::SaveLearning(const Profile& p) {
  const Learning::State& state = p.learning.state();
  const absl::Duration there = absl::Nanoseconds(-1);
  return statements_[kLearning]
      .Bind(1, p.row)
      .Bind(2, absl::ToInt64Nanoseconds(state.last_new))
      .Bind(3, static_cast<int64_t>(state.runs))
      .Bind(4, static_cast<int64_t>(state.last_new_run))
      .Bind(5, absl::ToInt64Nanoseconds(state.absent))
      .Bind(6, absl::ToInt64Nanoseconds(state.absent_since.value_or(there)))
      .BindText(7, state.ended)
      .Run();
}

absl::Status ProfileStore::Remove(const ProfileRows& rows) {
  // Row by row: there is no index on a behaviour's workload.
  for (const int64_t row : rows.behaviours) {
    VEDETTE_RETURN_IF_ERROR(statements_[kRemoveDismissal].Bind(1, row).Run());
    VEDETTE_RETURN_IF_ERROR(statements_[kRemoveBehaviour].Bind(1, row).Run());
  }
  VEDETTE_RETURN_IF_ERROR(statements_[kRemoveActivity].Bind(1, rows.workload).Run());
  VEDETTE_RETURN_IF_ERROR(statements_[kRemoveLearning].Bind(1, rows.workload).Run());
  return statements_[kRemoveWorkload].Bind(1, rows.workload).Run();
}

absl::Status ProfileStore::SaveDismissal(const ProfileEntry& entry) {
  if (!entry.record.dismissal) {
    return statements_[kRemoveDismissal].Bind(1, entry.row).Run();
  }
  const Dismissal& dismissal = *entry.record.dismissal;
  return statements_[kDismissal]
      .Bind(1, entry.row)
      .BindText(2, dismissal.finding)
      .BindBlob(3, dismissal.user)
      .Bind(4, int64_t{dismissal.uid})
      .Bind(5, Nanos(dismissal.at))
      .BindBlob(6, dismissal.reason)
      .Run();
}

absl::Status ProfileStore::RemoveEntry(int64_t row) {
  return statements_[kRemoveBehaviour].Bind(1, row).Run();
}

absl::Status ProfileStore::SaveEntry(const ProfileEntry& entry) {
  if (entry.was_dismissed) {
    VEDETTE_RETURN_IF_ERROR(SaveDismissal(entry));
  }
  const BehaviourRecord& r = entry.record;
  const Behaviour& b = r.behaviour;
  return statements_[kBehaviour]
      .Bind(1, entry.row)
      .Bind(2, entry.profile->row)
      .Bind(3, int64_t{entry.deviation})
      .BindText(4, ChannelName(b.channel))
      .BindBlob(5, b.subject)
      .BindBlob(6, b.subject_sha256)
      .BindBlob(7, b.object)
      .BindBlob(8, b.object_sha256)
      .BindBlob(9, b.qualifier)
      .Bind(10, static_cast<int64_t>(r.count))
      .Bind(11, static_cast<int64_t>(r.failures))
      .Bind(12, static_cast<int64_t>(r.sent_bytes))
      .Bind(13, static_cast<int64_t>(r.received_bytes))
      .Bind(14, Nanos(r.first_seen))
      .Bind(15, Nanos(r.last_seen))
      .BindBlob(16, Join(r.sources))
      .Bind(17, int64_t{r.sources_cut})
      .Bind(18, r.score)
      .BindBlob(19, r.sentence)
      .Bind(20, int64_t{r.new_revision})
      .Run();
}

}  // namespace vedette
