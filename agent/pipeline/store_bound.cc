// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/store_bound.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>

#include "agent/base/status.h"
#include "agent/pipeline/store.h"

namespace vedette {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFindingsPerStep = 256;
constexpr size_t kProfilesPerStep = 4;
constexpr uint64_t kPagesPerStep = 512;
constexpr uint64_t kLogShare = 8;  // One in so many bytes of the bound is left to the log.
constexpr uint64_t kLeastLogBytes = 6 << 20;
constexpr absl::Duration kAgeInterval = absl::Minutes(1);
constexpr absl::Duration kWriteBackInterval = absl::Seconds(1);

// SQLite writes the log back at 4 MiB; the commit that reaches it may be longer.
uint64_t LogBytes(uint64_t max_bytes) {
  return std::min(std::max(max_bytes / kLogShare, kLeastLogBytes), max_bytes / 2);
}

uint64_t FileBytes(const std::string& path) {
  std::error_code error;
  const uintmax_t size = fs::file_size(path, error);
  return error ? 0 : size;
}

}  // namespace

absl::StatusOr<uint64_t> StoreBound::Pragma(const char* name) {
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement select, db_->Prepare(fmt::format("PRAGMA {}", name)));
  VEDETTE_ASSIGN_OR_RETURN(const bool row, select.Step());
  return row ? static_cast<uint64_t>(select.Int64(0)) : 0;
}

StoreBound::Size StoreBound::Measure() {
  Size size;
  const uint64_t page = Pragma("page_size").value_or(0);
  const uint64_t pages = Pragma("page_count").value_or(0);
  const uint64_t free = Pragma("freelist_count").value_or(0);
  size.database = pages * page;
  size.used = (pages - std::min(free, pages)) * page;
  size.log = FileBytes(db_->path() + "-wal") + FileBytes(db_->path() + "-shm");
  for (const std::string& copy : DamagedCopies(db_->path())) {
    size.copies += FileBytes(copy);
  }
  return size;
}

absl::Status StoreBound::Step(Correlator& correlator, Profiles& profiles) {
  if (uncommitted_) {
    return absl::OkStatus();  // What the disk did not take yet is tried again as it is.
  }
  uncommitted_ = true;
  more_ = false;
  VEDETTE_RETURN_IF_ERROR(ForgetOld(correlator, profiles));
  return Shed(correlator, profiles);
}

absl::Status StoreBound::ForgetOld(Correlator& correlator, Profiles& profiles) {
  const absl::Time now = clock_->Now();
  if (now < next_age_) {
    return absl::OkStatus();
  }
  const absl::Time oldest = now - options_.max_age;
  VEDETTE_ASSIGN_OR_RETURN(const size_t findings, correlator.ForgetOlder(oldest, kFindingsPerStep));
  const size_t gone = profiles.ForgetOlder(oldest, kProfilesPerStep);
  removed_.aged_findings += findings;
  if (findings == kFindingsPerStep || gone == kProfilesPerStep) {
    more_ = true;
  } else {
    next_age_ = now + kAgeInterval;
  }
  return absl::OkStatus();
}

absl::Status StoreBound::Shed(Correlator& correlator, Profiles& profiles) {
  const Size size = Measure();
  const uint64_t share = options_.max_bytes - LogBytes(options_.max_bytes);
  if (size.used + size.copies <= share) {
    trouble_.clear();
    if (size.database + size.copies > share) {
      VEDETTE_RETURN_IF_ERROR(
          db_->Exec(fmt::format("PRAGMA incremental_vacuum({})", kPagesPerStep)));
      more_ = true;
    }
    return absl::OkStatus();
  }
  if (RemoveCopy()) {
    more_ = true;
    return absl::OkStatus();
  }
  VEDETTE_ASSIGN_OR_RETURN(const size_t findings, correlator.ForgetLeast(kFindingsPerStep));
  removed_.shed_findings += findings;
  const size_t gone = findings > 0 ? 0 : profiles.ForgetGone(kProfilesPerStep);
  if (findings > 0 && removed_.shed_findings == findings) {
    spdlog::warn(
        "{}: the store holds what store.max_size allows: the least severe and oldest findings go, "
        "and are counted",
        db_->path());
  }
  more_ = findings + gone > 0;
  if (!more_ && trouble_.empty()) {
    trouble_ = fmt::format(
        "{}: profiles of what runs and records that wait for sinks take {} MiB, more than "
        "store.max_size leaves them; set it higher",
        db_->path(), size.used >> 20);
    spdlog::error("{}", trouble_);
  }
  return absl::OkStatus();
}

bool StoreBound::RemoveCopy() {
  const std::vector<std::string> copies = DamagedCopies(db_->path());
  std::error_code error;
  if (copies.empty() || !fs::remove(copies.front(), error)) {
    return false;
  }
  spdlog::warn("{}: removed, to keep the store within store.max_size", copies.front());
  ++removed_.copies;
  return true;
}

void StoreBound::LookWhetherMoved() {
  if (!db_->HasMoved()) {
    moved_.clear();
  } else if (moved_.empty()) {
    moved_ = fmt::format(
        "{}: was removed or replaced while the agent uses it: all that it holds and is given is "
        "lost "
        "when the agent ends; put it back, or start the agent anew to begin another",
        db_->path());
    spdlog::error("{}", moved_);
  }
}

void StoreBound::Committed() {
  uncommitted_ = false;
  LookWhetherMoved();
  const absl::Time now = clock_->Now();
  if (now < next_write_back_ ||
      FileBytes(db_->path() + "-wal") <= LogBytes(options_.max_bytes) / 2) {
    return;
  }
  next_write_back_ = now + kWriteBackInterval;
  // Does not wait for readers: while one reads, the next second tries again.
  db_->WriteBack().IgnoreError();
}

}  // namespace vedette
