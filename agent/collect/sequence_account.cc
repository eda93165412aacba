// SPDX-License-Identifier: Apache-2.0
#include "agent/collect/sequence_account.h"

#include <algorithm>

namespace vedette {

void SequenceAccount::Received(const EventHeader& header) {
  auto [it, fresh] = lines_.try_emplace(static_cast<uint64_t>(header.cpu) << 32 | header.lane);
  Line& line = it->second;
  if (fresh) {
    line.first = header.sequence;
  }
  line.first = std::min(line.first, header.sequence);
  line.next = std::max(line.next, header.sequence + 1);
  ++line.received;
}

}  // namespace vedette
