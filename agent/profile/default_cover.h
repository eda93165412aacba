// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/config/default_profiles.h"
#include "agent/profile/profile.h"
#include "agent/profile/scored_event.h"

namespace vedette {

// Which acts the default profiles cover: their findings are never above severity low, or, where
// the act is expected, there is none. Owned by
// Profiles, pipeline thread. Decides by the workload's name, which a process cannot choose, and by
// code identity in the lineage; a name of a program alone decides nothing. What it does not know,
// it does not cover.
class DefaultCover {
 public:
  // Is `code` the file that the host has at `path`, and may only root write it?
  using IsProgram = std::function<bool(const CodeKey& code, const std::string& path)>;

  DefaultCover(std::vector<DefaultProfile> profiles, IsProgram is_program)
      : profiles_(std::move(profiles)), is_program_(std::move(is_program)) {}

  // The profile that covers all that the workload does; none: null.
  const DefaultProfile* OfWorkload(const std::string& workload) const;
  // The profile by which acts of this channel are the workload's job, and no finding; none: null.
  const DefaultProfile* Expecting(const std::string& workload, Channel channel) const;
  // The one that covers this act of the workload whose profile is given, and why: "" where it is
  // for the workload's name, else "by /usr/bin/dpkg" or "below /usr/bin/dpkg".
  struct Found {
    const DefaultProfile* profile = nullptr;
    std::string why;
  };
  Found OfAct(const EnrichedEvent& event, const Profile& profile) const;

 private:
  struct Step;
  // Why the rule covers it; empty: it does not.
  std::string Match(const DefaultRule& rule, const std::vector<Step>& lineage,
                    const Profile& profile) const;

  const std::vector<DefaultProfile> profiles_;
  const IsProgram is_program_;
};

}  // namespace vedette
