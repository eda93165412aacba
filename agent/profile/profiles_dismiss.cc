// SPDX-License-Identifier: Apache-2.0
// What is in a profile on a person's word.
#include <fmt/format.h>

#include "agent/base/text.h"
#include "agent/profile/profiles.h"

namespace vedette {

ProfileEntry* Profiles::KnownEntry(const Profile& profile, const Behaviour& b,
                                   Profile::Found found) {
  if (found.accepted() && !found.known()) {
    return found.same;
  }
  // By a program whose other revision did so: known if this one is, or was accepted unread.
  const bool by_known_code = found.match == Profile::Match::kSubjectRevision &&
                             (profile.KnowsCode(b.subject, b.subject_sha256) ||
                              profile.FindLearned(RevisionOf(b)).accepted());
  return found.known() || by_known_code ? found.entry : nullptr;
}

std::string Profiles::RestObject() const {
  return fmt::format("(more than {} deviations)", options_.max_deviations);
}

absl::Status Profiles::Dismiss(const std::string& workload, const Behaviour& behaviour,
                               Dismissal dismissal) {
  const auto it = by_name_.find(workload);
  ProfileEntry* entry = it == by_name_.end() ? nullptr : it->second->FindDeviation(behaviour).same;
  if (entry == nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("the profile of {} no longer holds what finding {} is about; should it come "
                    "again, it is learned or found anew",
                    PrintableUtf8(workload), PrintableUtf8(dismissal.finding)));
  }
  Profile* profile = it->second;
  const Channel channel = behaviour.channel;
  if (behaviour.object == RestObject()) {
    return absl::FailedPreconditionError(fmt::format(
        "finding {} stands for many deviations beyond the bound of {}; dismiss others of {} first",
        PrintableUtf8(dismissal.finding), options_.max_deviations, PrintableUtf8(workload)));
  }
  // Twice what is learned by itself, so that a full profile can be taught, too.
  if (profile->Size(channel, false) >= 2 * options_.max_behaviours) {
    return absl::FailedPreconditionError(
        fmt::format("the profile of {} holds {} behaviours of channel {}, which is the bound; it "
                    "can take no more",
                    PrintableUtf8(workload), profile->Size(channel, false), ChannelName(channel)));
  }
  profile->Move(entry, /*deviation=*/false);
  entry->record.dismissal = std::move(dismissal);
  entry->was_dismissed = true;
  MarkDirty(entry, Dirty::kRow);
  return absl::OkStatus();
}

absl::StatusOr<Profiles::Restored> Profiles::Restore(std::string_view finding) {
  for (const auto& profile : profiles_) {
    for (const auto& entry : profile->entries()) {
      if (entry->record.dismissal && entry->record.dismissal->finding == finding) {
        profile->Move(entry.get(), /*deviation=*/true);
        entry->record.dismissal.reset();
        MarkDirty(entry.get(), Dirty::kRow);
        return Restored{profile->name, entry->record.behaviour};
      }
    }
  }
  return absl::NotFoundError(
      fmt::format("no profile holds what finding {} is about", PrintableUtf8(finding)));
}

}  // namespace vedette
