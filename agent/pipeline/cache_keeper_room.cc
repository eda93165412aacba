// SPDX-License-Identifier: Apache-2.0
// Room in the kernel's caches of files.
//
// What is dropped stays in the profile: its next act is a record that the profile knows. An entry's
// count is added to the profile once more after it was dropped, and is taken out of the kernel only
// when a commit has made that last.
#include <spdlog/spdlog.h>

#include <utility>

#include "agent/base/text.h"
#include "agent/pipeline/cache_keeper.h"

namespace vedette {

void CacheKeeper::CountFileEntry(const CacheSlot& slot) {
  if (slot.cache != kFileCache || slot.slot == 0) {
    return;
  }
  more_files_.insert(slot.workload_number);
  FileRoom& room = file_room_[slot.workload_number];
  if (room.entries) {
    ++*room.entries;  // Too many where the entry was there; the walk says how many there are.
  }
}

// Half of the cache is left to what comes before the agent looks again. No more than the whole of a
// cache is dropped between two readings of the counts: who uses more names than that over and over
// would else send a record for each act.
void CacheKeeper::MakeRoomForFiles() {
  const size_t limit = parts_.cache->limit(kFileCache);
  for (const uint64_t number : std::exchange(more_files_, {})) {
    FileRoom& room = file_room_[number];
    if (!room.entries) {
      room.entries = parts_.cache->FileEntries(number);
    }
    if (*room.entries < limit / 2 || room.dropped >= limit) {
      continue;
    }
    absl::StatusOr<VerdictCache::DroppedFiles> dropped =
        parts_.cache->DropFiles(number, limit * 3 / 8, limit - room.dropped);
    CountError(dropped.status());
    if (!dropped.ok()) {
      room.entries.reset();
      continue;
    }
    room.entries = dropped->left;
    room.dropped += dropped->slots.size();
    counts_.files_dropped += dropped->slots.size();
    dropped_files_.insert(dropped_files_.end(), dropped->slots.begin(), dropped->slots.end());
    if (!dropped->slots.empty() && !std::exchange(room.said, true)) {
      const WorkloadInfo* workload = parts_.enricher->workloads().FindNumber(number);
      spdlog::info(
          "{}: its verdict cache for files is half full: the names used the longest ago make room, "
          "{} of them now, and cost a record when they are used again (counted as files_dropped; "
          "said once for a workload)",
          workload == nullptr ? "a workload" : PrintableUtf8(workload->name),
          dropped->slots.size());
    }
  }
}

void CacheKeeper::LetDroppedGo() {
  for (const CacheSlot& slot : std::exchange(dropped_files_, {})) {
    parts_.bindings->Forget(slot);
    parts_.profiles->ForgetSlot(slot);
    read_files_.push_back(slot);
  }
  for (auto& [number, room] : file_room_) {
    room.dropped = 0;
  }
}

void CacheKeeper::ForgetReadCounts() {
  parts_.cache->ForgetCounts(read_files_);
  read_files_.clear();
}

void CacheKeeper::RestorePrograms() {
  parts_.cache->ForEachProgram([this](const CacheSlot& slot, const CodeKey& key) {
    const CacheBindings::Row* row = parts_.bindings->Find(slot);
    if (row == nullptr || row->behaviour.channel != Channel::kExec) {
      return;
    }
    const Act act = row->done();
    // What is told by a mark in front is not called by its path alone.
    if (act.object == row->behaviour.object && act.object.starts_with('/')) {
      Code code;
      code.path = act.object;
      code.sha256 = row->behaviour.object_sha256;
      parts_.enricher->RestoreCode(key, code, row->workload);
    }
  });
}

void CacheKeeper::ForgetDropped() {
  absl::flat_hash_map<uint64_t, std::vector<CacheSlot>> files;
  parts_.bindings->ForEach([&](const CacheSlot& slot, const CacheBindings::Row&) {
    if (slot.cache == kFileCache) {
      files[slot.workload_number].push_back(slot);
    }
  });
  for (const auto& [number, slots] : files) {
    const std::vector<CacheSlot> gone = parts_.cache->WithoutEntry(number, slots);
    dropped_files_.insert(dropped_files_.end(), gone.begin(), gone.end());
  }
}

}  // namespace vedette
