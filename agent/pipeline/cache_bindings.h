// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/node_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/base/sqlite.h"
#include "agent/cache/verdict_cache.h"
#include "agent/profile/behaviour.h"
#include "agent/profile/profile_view.h"

namespace vedette {

// Which behaviour each entry of the kernel's cache is, and how much of its count is in the profile
// already. Kept in the store, so that an agent that was killed goes on where it stopped, to the
// single act. Pipeline thread; writes inside the caller's transaction, as Profiles does.
class CacheBindings {
 public:
  struct Row {
    std::string workload;
    Behaviour behaviour;
    BehaviourCount counted;  // What the profile holds already.
    Act act;                 // What was done, where the profile took it for another behaviour.
    bool judged = true;      // False: it is to be judged anew, no profile has the behaviour.

    Act done() const { return act.object.empty() ? Act{behaviour.channel, behaviour.object} : act; }
  };

  // Rows of another boot, or of a cache that is gone (`adopted` false), are removed.
  static absl::StatusOr<std::unique_ptr<CacheBindings>> Load(SqliteDatabase* db,
                                                             const std::string& boot_id,
                                                             bool adopted);

  // The entry is judged; the act that was reported is counted already: `row.counted.acts` is 1.
  void Add(const CacheSlot& slot, Row row);
  // Is it judged?
  bool Has(const CacheSlot& slot) const {
    const auto it = rows_.find(slot);
    return it != rows_.end() && it->second.judged;
  }
  // The profile has lost the behaviour of this entry. What was counted stays so.
  void Unjudge(const CacheSlot& slot);
  // nullptr: nobody has judged the entry. Valid until the next change.
  const Row* Find(const CacheSlot& slot) const;

  // What the kernel counted since the last call; nothing where nothing changed or the entry is not
  // judged yet.
  std::optional<SlotCounts> Take(const CacheSlot& slot, const BehaviourCount& total);

  // News that were lost for good, as the event tells: so many more are told with the next commit.
  void AddLost(const OverflowEvent& overflow);
  std::vector<VerdictCache::ToldLoss> told_losses() const;

  // How far the rings are in the store: what a killed agent had committed but not given back.
  void SetRingPositions(std::vector<uint64_t> positions);
  const std::vector<uint64_t>& ring_positions() const { return ring_positions_; }

  void ForEach(const std::function<void(const CacheSlot&, const Row&)>& visit) const;
  void ForgetWorkload(uint64_t workload_number);
  // The entry is gone, and its count in the profile.
  void Forget(const CacheSlot& slot);
  size_t size() const { return rows_.size(); }

  absl::Status Write();
  void Committed();

 private:
  explicit CacheBindings(SqliteDatabase* db) : db_(db) {}
  absl::Status WriteRingPositions();
  absl::Status WriteLosses();
  absl::Status WriteGone();
  absl::Status ReadLosses();
  absl::Status ReadRows();

  SqliteDatabase* const db_;
  absl::node_hash_map<CacheSlot, Row> rows_;  // Rows are large.
  std::vector<CacheSlot> dirty_;
  std::vector<uint64_t> forgotten_;
  std::vector<CacheSlot> gone_;
  // By the slot 0 of a cache.
  absl::flat_hash_map<CacheSlot, uint32_t> losses_;
  absl::flat_hash_set<CacheSlot> dirty_losses_;
  std::vector<uint64_t> ring_positions_;
  bool positions_dirty_ = false;
};

}  // namespace vedette
