// SPDX-License-Identifier: Apache-2.0
// What Profiles shows of itself.
#include <fmt/format.h>

#include <algorithm>

#include "agent/base/status.h"
#include "agent/base/text.h"
#include "agent/base/workload_name.h"
#include "agent/profile/default_cover.h"
#include "agent/profile/profiles.h"
#include "agent/profile/sentence.h"

namespace vedette {

ProfileState Profiles::StateOf(const Profile& profile) const {
  if (!profile.frozen_by.empty()) {
    return ProfileState::kFrozen;
  }
  return profile.learned_at == absl::InfiniteFuture() ? ProfileState::kLearning
                                                      : ProfileState::kLearned;
}

std::string Profiles::StateText(const Profile& profile) const {
  switch (StateOf(profile)) {
    case ProfileState::kLearning:
      return fmt::format("learning ({})", profile.learning.Text(options_.learning, Uptime()));
    case ProfileState::kLearned:
      return "learned";
    case ProfileState::kFrozen:
      return fmt::format("frozen (by {})", PrintableUtf8(profile.frozen_by));
  }
  return "";
}

ProfileSummary Profiles::SummaryOf(const Profile& profile) const {
  ProfileSummary s;
  s.workload = profile.name;
  s.identity = profile.identity;
  s.state = StateOf(profile);
  s.state_text = StateText(profile);
  s.first_seen = profile.first_seen;
  if (options_.defaults != nullptr) {
    const DefaultProfile* cover = options_.defaults->OfWorkload(profile.name);
    s.default_profile = cover == nullptr ? "" : cover->name;
    for (const Channel channel : kChannels) {
      cover = options_.defaults->Expecting(profile.name, channel);
      if (cover != nullptr) {
        s.expected.emplace(ChannelName(channel), cover->name);
      }
    }
  }
  s.watched = Watched(profile);
  const Learning& learning = profile.learning;
  s.quiet = learning.Quiet(Uptime());
  s.rules = options_.learning;
  s.is_job = learning.IsJob(Uptime());
  s.runs = learning.state().runs;
  s.quiet_runs = learning.QuietRuns();
  s.progress = s.state == ProfileState::kLearning ? learning.Text(options_.learning, Uptime())
                                                  : learning.state().ended;
  for (size_t i = 0; i < kChannels.size(); ++i) {
    const Channel channel = kChannels[i];
    s.channels[i] = {profile.Size(channel, false), profile.Size(channel, true),
                     profile.activity(channel).windows(), profile.NovelWindows(channel),
                     profile.cut(channel)};
  }
  return s;
}

std::vector<ProfileSummary> Profiles::List() const {
  std::vector<ProfileSummary> list;
  list.reserve(profiles_.size());
  for (const auto& profile : profiles_) {
    list.push_back(SummaryOf(*profile));
  }
  std::sort(list.begin(), list.end(),
            [](const auto& a, const auto& b) { return a.workload < b.workload; });
  return list;
}

void Profiles::ForEachRecord(
    const std::function<void(const std::string& workload, const BehaviourRecord&)>& visit) const {
  for (const auto& profile : profiles_) {
    for (const auto& entry : profile->entries()) {
      visit(profile->name, entry->record);
    }
  }
}

absl::StatusOr<Profile*> Profiles::Named(std::string_view asked) const {
  if (const auto it = by_name_.find(std::string(asked)); it != by_name_.end()) {
    return it->second;
  }
  std::vector<Profile*> found;
  for (const auto& profile : profiles_) {
    if (NamesWorkload(asked, profile->name)) {
      found.push_back(profile.get());
    }
  }
  if (found.empty() || asked.empty()) {
    return absl::NotFoundError(
        fmt::format("no workload is called {}: see `vedette profile list`", PrintableUtf8(asked)));
  }
  if (found.size() > 1) {
    return absl::InvalidArgumentError(
        fmt::format("{} workloads have names that end in {}, such as {}: write the whole name",
                    found.size(), PrintableUtf8(asked), PrintableUtf8(found.front()->name)));
  }
  return found.front();
}

absl::StatusOr<ProfileDetail> Profiles::Show(std::string_view workload) const {
  VEDETTE_ASSIGN_OR_RETURN(const Profile* profile, Named(workload));
  ProfileDetail detail;
  detail.summary = SummaryOf(*profile);
  for (const auto& entry : profile->entries()) {
    (entry->deviation ? detail.deviations : detail.behaviours).push_back(entry->record);
  }
  const auto by_behaviour = [](const BehaviourRecord& a, const BehaviourRecord& b) {
    return a.behaviour < b.behaviour;
  };
  std::sort(detail.behaviours.begin(), detail.behaviours.end(), by_behaviour);
  std::sort(detail.deviations.begin(), detail.deviations.end(), by_behaviour);
  return detail;
}

}  // namespace vedette
