// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/reasons.h"

#include "spdlog/spdlog.h"

namespace vedette {

void Reasons::Count(std::string_view reason, std::string_view sentence, std::string_view about) {
  auto found = counts_.find(reason);
  if (found != counts_.end()) {
    ++found->second;
    return;
  }
  counts_.emplace(std::string(reason), 1);
  spdlog::warn("{}: {}{}{} (the first; counted as {} in `vedette doctor`)", area_, sentence,
               about.empty() ? "" : ": ", about, reason);
}

uint64_t Reasons::count(std::string_view reason) const {
  auto found = counts_.find(reason);
  return found == counts_.end() ? 0 : found->second;
}

}  // namespace vedette
