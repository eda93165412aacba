// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/time/time.h"
#include "agent/event/cache_kind.h"
#include "agent/event/cgroup.h"
#include "agent/event/dns.h"
#include "agent/event/exec.h"
#include "agent/event/file.h"
#include "agent/event/flow.h"
#include "agent/event/overflow.h"
#include "agent/event/privilege.h"

namespace vedette {

// Why the kernel sent a record. kNews: a behaviour its verdict cache did not hold. kFollowUp: the
// end of something that was news. kContext: identity and bookkeeping, not a behaviour. kTap: known,
// sent because somebody watches. kSwept: found unreported in the cache, after its record was lost.
enum class Reason { kNews, kFollowUp, kContext, kTap, kSwept };

// Where in the kernel the act was seen, for kinds of which several hooks tell.
enum class Hook { kOnly, kSysExit, kLsmFileOpen };

// Empty for what has one hook alone.
inline std::string_view HookName(Hook hook) {
  return hook == Hook::kSysExit ? "sys_exit" : hook == Hook::kLsmFileOpen ? "lsm/file_open" : "";
}

// Number of an entry of the kernel's verdict cache; valid within one boot.
struct CacheSlot {
  uint64_t workload_number = 0;
  uint64_t generation = 0;
  uint32_t cache = 0;  // Its kind, see cache_kind.h.
  uint32_t slot = 0;   // 0: the behaviour has no entry (its map is full).
  auto operator<=>(const CacheSlot&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const CacheSlot& s) {
    return H::combine(std::move(h), s.workload_number, s.generation, s.cache, s.slot);
  }
};

struct EventHeader {
  absl::Time time;
  uint32_t cpu = 0;
  uint32_t lane = 0;
  uint64_t sequence = 0;  // Per CPU and lane, without gaps as the kernel numbers them.
  Reason reason = Reason::kContext;
  Hook hook = Hook::kOnly;
  CacheSlot slot;
  std::string cache_key;  // Bytes of the entry's key; only agent/cache reads them.
};

using EventBody =
    std::variant<ExecEvent, ProcessSeenEvent, ForkEvent, ExitEvent, CredentialEvent, FlowEvent,
                 DnsEvent, CgroupEvent, MoveEvent, OverflowEvent, PrivilegeEvent, FileEvent>;

// What a probe saw: the decoded value of one record.
struct Event {
  EventHeader header;
  EventBody body;
};

}  // namespace vedette
