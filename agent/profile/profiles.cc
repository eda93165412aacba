// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/profiles.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "agent/base/status.h"
#include "agent/base/text.h"
#include "agent/profile/behaviour_of.h"
#include "agent/profile/default_cover.h"
#include "agent/profile/score.h"
#include "agent/profile/sentence.h"

namespace vedette {

absl::StatusOr<std::unique_ptr<Profiles>> Profiles::Load(SqliteDatabase* db, const Clock* clock,
                                                         ProfilesOptions options) {
  VEDETTE_ASSIGN_OR_RETURN(auto store, ProfileStore::Open(db));
  VEDETTE_ASSIGN_OR_RETURN(auto content, store->Load());
  std::unique_ptr<Profiles> profiles(new Profiles(std::move(store), clock, options));
  profiles->uptime_before_ = profiles->uptime_ = content.uptime;
  profiles->last_workload_row_ = content.last_workload_row;
  profiles->last_behaviour_row_ = content.last_behaviour_row;
  profiles->profiles_ = std::move(content.profiles);
  for (const auto& profile : profiles->profiles_) {
    profiles->by_name_.emplace(profile->name, profile.get());
  }
  profiles->counters_.profiles_made = profiles->profiles_.size();
  return profiles;
}

ScoredEvent Profiles::Judge(EnrichedEvent event) {
  ++ledger_.received;
  ScoredEvent scored;
  scored.enriched = std::move(event);
  if (const auto* cgroup = std::get_if<CgroupEvent>(&scored.enriched.event.body)) {
    NotePresence(*cgroup, scored.enriched.workload.name);
  }
  std::optional<Behaviour> behaviour = BehaviourOf(scored.enriched);
  if (behaviour) {
    scored.act = {behaviour->channel, behaviour->object};
  }
  if (!behaviour || !scored.enriched.workload.attributed()) {
    Cover(scored, nullptr);
    ++ledger_.emitted;
    return scored;
  }
  Profile* profile = ProfileFor(scored.enriched.workload);
  if (profile == nullptr) {
    ledger_.Drop(kDropWorkloadsFull);
    scored.no_room = true;
    return scored;
  }
  EndLearningIfDue(profile);
  scored.behaviour = *std::move(behaviour);
  scored.state = StateOf(*profile);
  scored.state_text = StateText(*profile);
  scored.watched = Watched(*profile);
  Together together = TakeTogether(profile, scored);
  scored.act.object = scored.behaviour.object;

  const Profile::Found found = profile->FindLearned(scored.behaviour);
  ProfileEntry* entry = nullptr;
  if (scored.state == ProfileState::kLearning ||
      IsLate(*profile, scored.enriched.event.header.time)) {
    scored.judgement = found.known_or_same() ? Judgement::kKnown : Judgement::kLearned;
    entry = Learn(profile, scored, found);
    if (entry != nullptr && scored.judgement == Judgement::kLearned &&
        scored.state == ProfileState::kLearning) {
      NoteNew(profile);
    }
    if (entry != nullptr) {
      PutTogether(entry, std::move(together));
    }
  } else if (entry = KnownEntry(*profile, scored.behaviour, found); entry != nullptr) {
    scored.judgement = Judgement::kKnown;
  } else if (IsExpected(*profile, scored.behaviour, found)) {
    scored.judgement = Judgement::kLearned;
    // Without its hash: that a program does its job does not make a new content of it a known one.
    scored.behaviour.subject_sha256.clear();
    entry = Learn(profile, scored, found);
  } else {
    scored.judgement = Judgement::kDeviation;
    entry = Deviate(profile, scored, found);
    Cover(scored, profile);
  }
  if (entry == nullptr) {
    scored.judgement = Judgement::kNotABehaviour;
    ledger_.Drop(kDropBehavioursFull);
    scored.no_room = true;
    return scored;
  }
  scored.first = entry->record.count == 0;
  CountAct(entry, scored.enriched);
  Bind(scored.enriched.event.header.slot, entry);
  ++ledger_.emitted;
  return scored;
}

// What the profile has with another content, or as a deviation, is judged as ever.
bool Profiles::IsExpected(const Profile& profile, const Behaviour& behaviour,
                          const Profile::Found& found) const {
  return options_.defaults != nullptr && found.match == Profile::Match::kNone &&
         !profile.FindDeviation(behaviour).known_or_same() &&
         options_.defaults->Expecting(profile.name, behaviour.channel) != nullptr;
}

// Also of what is no behaviour and makes a finding all the same; there the workload decides alone.
void Profiles::Cover(ScoredEvent& scored, const Profile* profile) const {
  if (options_.defaults == nullptr) {
    return;
  }
  if (profile != nullptr) {
    const DefaultCover::Found found = options_.defaults->OfAct(scored.enriched, *profile);
    scored.default_profile = found.profile == nullptr ? "" : found.profile->name;
    scored.covered_by = found.why;
  } else if (std::holds_alternative<OverflowEvent>(scored.enriched.event.body) ||
             std::holds_alternative<MoveEvent>(scored.enriched.event.body)) {
    const DefaultProfile* cover = options_.defaults->OfWorkload(scored.enriched.workload.name);
    scored.default_profile = cover == nullptr ? "" : cover->name;
  }
}

Profile* Profiles::ProfileFor(const WorkloadInfo& workload) {
  if (const auto it = by_name_.find(workload.name); it != by_name_.end()) {
    if (it->second->identity != workload.identity && !workload.identity.empty()) {
      it->second->identity = workload.identity;
      MarkDirty(it->second, Dirty::kRow);
    }
    return it->second;
  }
  if (profiles_.size() >= options_.max_workloads && !MakeRoom()) {
    if (!said_workloads_full_) {
      spdlog::warn(
          "{} workloads have profiles, which is the bound, and none of them is gone: {} and later "
          "ones are neither learned nor judged",
          profiles_.size(), PrintableUtf8(workload.name));
      said_workloads_full_ = true;
    }
    return nullptr;
  }
  auto& profile = profiles_.emplace_back(
      std::make_unique<Profile>(workload.name, workload.identity, clock_->Now()));
  ++counters_.profiles_made;
  profile->row = ++last_workload_row_;
  profile->learning = Learning(Uptime());
  if (!IsRunning(*profile)) {
    profile->learning.EndRun(Uptime());  // Its first run is over before it is judged.
  }
  by_name_.emplace(workload.name, profile.get());
  MarkDirty(profile.get(), Dirty::kRow);
  return profile.get();
}

ProfileEntry* Profiles::Learn(Profile* profile, const ScoredEvent& scored, Profile::Found found) {
  if (found.same != nullptr) {
    return found.same;
  }
  // Each pair of hashes seen while learning is a variant of its own, known by path or not, so that
  // the profile does not depend on which of them came first.
  const Channel channel = scored.behaviour.channel;
  if (profile->Size(channel, false) < options_.max_behaviours) {
    BehaviourRecord record;
    record.behaviour = scored.behaviour;
    return Add(profile, std::move(record), false);
  }
  if (found.known()) {
    return found.entry;
  }
  if (!profile->cut(channel)) {
    spdlog::warn(
        "{}: the profile holds {} behaviours of channel {}, which is the bound: it learns "
        "no more of them and is not complete",
        PrintableUtf8(profile->name), options_.max_behaviours, ChannelName(channel));
    profile->cut(channel) = true;
    MarkDirty(profile, Dirty::kRow);
  }
  return nullptr;
}

ProfileEntry* Profiles::Deviate(Profile* profile, ScoredEvent& scored, Profile::Found found) {
  ProfileEntry* entry = nullptr;
  if (found.match == Profile::Match::kSubjectRevision) {
    // A program that was replaced does all it ever did by new code. That is one deviation, not one
    // per behaviour: the start of the new code if it was seen, else the new code itself.
    const Behaviour& b = scored.behaviour;
    entry = profile->FindDeviatingProgram(b.subject, b.subject_sha256);
    if (entry == nullptr) {
      scored.behaviour = RevisionOf(b);
    }
  }
  if (entry == nullptr) {
    entry = profile->FindDeviation(scored.behaviour).known_or_same();
    entry = entry != nullptr ? entry : NewDeviation(profile, scored, found);
  }
  scored.behaviour = entry->record.behaviour;
  scored.score = entry->record.score;
  scored.sentence = entry->record.sentence;
  scored.new_revision = entry->record.new_revision;
  return entry;
}

ProfileEntry* Profiles::NewDeviation(Profile* profile, const ScoredEvent& scored,
                                     Profile::Found found) {
  const Channel channel = scored.behaviour.channel;
  if (profile->Size(channel, true) >= options_.max_deviations) {
    ++counters_.deviations_folded;
    return RestOf(profile, channel);
  }
  const absl::Time time = scored.enriched.event.header.time;
  const Evidence evidence = {profile, found, time, scored.watched};
  BehaviourRecord record;
  record.behaviour = scored.behaviour;
  record.score = SurpriseBits(profile->activity(channel).windows(), profile->NovelWindows(channel));
  record.sentence = DeviationSentence(scored.behaviour, evidence);
  record.new_revision = found.match == Profile::Match::kObjectRevision ||
                        found.match == Profile::Match::kSubjectRevision;
  return Add(profile, std::move(record), true);
}

ProfileEntry* Profiles::RestOf(Profile* profile, Channel channel) {
  BehaviourRecord record;
  record.behaviour.channel = channel;
  record.behaviour.object = RestObject();
  if (ProfileEntry* rest = profile->FindDeviation(record.behaviour).known_or_same()) {
    return rest;
  }
  spdlog::warn(
      "{}: {} deviations of channel {} are known, which is the bound: further ones are "
      "counted in one finding",
      PrintableUtf8(profile->name), options_.max_deviations, ChannelName(channel));
  record.score = SurpriseBits(profile->activity(channel).windows(), profile->NovelWindows(channel));
  record.sentence = RestSentence(*profile, channel, options_.max_deviations);
  return Add(profile, std::move(record), true);
}

ProfileEntry* Profiles::Add(Profile* profile, BehaviourRecord record, bool deviation) {
  ProfileEntry* entry = profile->Add(std::move(record), deviation);
  entry->row = ++last_behaviour_row_;
  return entry;
}

void Profiles::CountAct(ProfileEntry* entry, const EnrichedEvent& event) {
  BehaviourRecord& record = entry->record;
  const absl::Time time = event.event.header.time;
  ++record.count;
  if (const auto* flow = std::get_if<FlowEvent>(&event.event.body);
      flow != nullptr && flow->stage == FlowStage::kFailed) {
    ++record.failures;
  }
  record.first_seen = std::min(record.first_seen, time);
  record.last_seen = std::max(record.last_seen, time);
  entry->profile->SeenAt(time);
  const InstanceInfo& instance = event.instance;
  const std::string& source =
      instance.container_id.empty() ? instance.cgroup_path : instance.container_id;
  if (!source.empty() && record.sources.insert(source).second &&
      record.sources.size() > kMaxSources) {
    // The smallest are kept, whatever the order they came in.
    record.sources.erase(std::prev(record.sources.end()));
    record.sources_cut = true;
  }
  MarkDirty(entry, Dirty::kRow);
  if (entry->profile->activity(record.behaviour.channel).Mark(time)) {
    MarkDirty(entry->profile, Dirty::kRow);
  }
}

void Profiles::Bind(const CacheSlot& slot, ProfileEntry* entry) {
  if (slot.slot == 0) {
    return;
  }
  const auto it = slots_.find(slot);
  if (it != slots_.end()) {
    --it->second->profile->bound_slots;
    it->second = entry;
  } else if (slots_.size() < options_.max_slots) {
    slots_.emplace(slot, entry);
  } else {
    ++counters_.slots_full;
    return;
  }
  ++entry->profile->bound_slots;
}

bool Profiles::BindSlot(const CacheSlot& slot, std::string_view workload,
                        const Behaviour& behaviour) {
  const auto it = by_name_.find(std::string(workload));
  if (it == by_name_.end()) {
    return false;
  }
  // A deviation for want of a hash may be in both.
  ProfileEntry* entry = it->second->FindDeviation(behaviour).same;
  if (entry == nullptr) {
    entry = it->second->FindLearned(behaviour).known_or_same();
  }
  if (entry == nullptr) {
    entry = it->second->FindDeviation(behaviour).known_or_same();
  }
  if (entry == nullptr && behaviour.channel == Channel::kFile) {
    entry = FindTogether(*it->second, behaviour);
  }
  if (entry != nullptr) {
    Bind(slot, entry);
  }
  return entry != nullptr;
}

void Profiles::ForgetSlot(const CacheSlot& slot) {
  if (const auto it = slots_.find(slot); it != slots_.end()) {
    --it->second->profile->bound_slots;
    slots_.erase(it);
  }
}

void Profiles::ForgetSlots(uint64_t workload_number, uint64_t generation) {
  for (auto it = slots_.begin(); it != slots_.end();) {
    const CacheSlot& slot = it->first;
    if (slot.workload_number == workload_number && slot.generation < generation) {
      --it->second->profile->bound_slots;
      slots_.erase(it++);
    } else {
      ++it;
    }
  }
}

std::optional<DeviationGrowth> Profiles::AddCounts(const CacheSlot& slot, const SlotCounts& counts,
                                                   absl::Time at) {
  const auto it = slots_.find(slot);
  if (it == slots_.end()) {
    counters_.unbound_hits += counts.hits;
    return std::nullopt;
  }
  ProfileEntry* entry = it->second;
  BehaviourRecord& record = entry->record;
  record.count += counts.hits;
  record.failures += counts.failures;
  record.sent_bytes += counts.sent_bytes;
  record.received_bytes += counts.received_bytes;
  MarkDirty(entry, Dirty::kCounts);
  if (counts.hits == 0) {
    return std::nullopt;
  }
  record.last_seen = std::max(record.last_seen, at);
  entry->profile->SeenAt(at);
  if (entry->profile->activity(record.behaviour.channel).Mark(at)) {
    MarkDirty(entry->profile, Dirty::kCounts);
  }
  if (!entry->deviation) {
    return std::nullopt;
  }
  return DeviationGrowth{entry->profile->name, record.behaviour, counts.hits, at};
}

absl::StatusOr<std::vector<std::string>> Profiles::Freeze(const std::vector<std::string>& workloads,
                                                          std::string_view user) {
  std::vector<Profile*> chosen;
  for (const std::string& name : workloads) {
    VEDETTE_ASSIGN_OR_RETURN(Profile * profile, Named(name));
    chosen.push_back(profile);
  }
  if (workloads.empty()) {
    for (const auto& profile : profiles_) {
      chosen.push_back(profile.get());
    }
  }
  std::vector<std::string> frozen;
  for (Profile* profile : chosen) {
    if (profile->frozen_by.empty()) {
      profile->frozen_by = user.empty() ? "unknown" : user;
      profile->frozen_at = clock_->Now();
      if (profile->learned_at == absl::InfiniteFuture()) {
        profile->learning.End(profile->learning.Text(options_.learning, Uptime()));
        profile->ended_uptime = Uptime();
      }
      MarkDirty(profile, Dirty::kRow);
      frozen.push_back(profile->name);
    }
  }
  std::sort(frozen.begin(), frozen.end());
  return frozen;
}

absl::Duration Profiles::Uptime() const {
  uptime_ = std::max(uptime_, uptime_before_ + (steady_->Now() - started_));
  return uptime_;
}

}  // namespace vedette
