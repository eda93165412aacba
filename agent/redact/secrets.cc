// SPDX-License-Identifier: Apache-2.0
#include "agent/redact/secrets.h"

#include <algorithm>

namespace vedette {

std::string Secrets::Applied(std::string_view text) {
  std::sort(stretches_.begin(), stretches_.end());
  std::string out;
  size_t done = 0;  // Of the text; what is before it is in `out`.
  bool any = false;
  for (auto [begin, end] : stretches_) {
    end = std::min(end, text.size());
    if (any && begin <= done) {
      done = std::max(done, end);
      continue;
    }
    begin = std::min(begin, text.size());
    out.append(text.substr(done, begin - done)).append(kRedacted);
    done = std::max(done, end);
    any = true;
  }
  return out.append(text.substr(done));
}

}  // namespace vedette
