// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.h"
#include "agent/correlate/correlator.h"
#include "agent/enrich/enricher.h"
#include "agent/probes/decode.h"
#include "agent/profile/profiles.h"
#include "tests/support/temp_dir.h"

namespace vedette::testing {

// The stages from ring bytes to findings, with a clock that shows the time of the last event. It
// hashes no file, so what comes out depends on the bytes alone. One thread.
class Replay {
 public:
  explicit Replay(absl::Time boot);

  // Lines of JSON: one per event, and one per finding after the event that made it. Nothing for a
  // record that is refused. When the first process or flow has ended, learning ends.
  std::vector<std::string> Feed(std::string_view record);

  size_t refused() const { return refused_; }

 private:
  void Judge(Event event, std::vector<std::string>& lines);

  TempDir dir_{"vedette-replay"};
  ManualClock clock_{absl::UnixEpoch()};
  Decoder decoder_;
  std::unique_ptr<SqliteDatabase> db_;
  std::unique_ptr<Enricher> enricher_;
  std::unique_ptr<Profiles> profiles_;
  std::unique_ptr<Correlator> correlator_;
  uint64_t next_number_ = 1000000;
  size_t refused_ = 0;
  bool frozen_ = false;
};

}  // namespace vedette::testing
