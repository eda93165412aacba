// SPDX-License-Identifier: Apache-2.0
#include "agent/correlate/finding_of.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "agent/base/sha256.h"
#include "agent/base/text.h"
#include "agent/event/cache_kind.h"
#include "agent/profile/behaviour_of.h"
#include "agent/profile/sentence.h"

namespace vedette {
namespace {

constexpr std::array kSeverities = {Severity::kInformational, Severity::kLow, Severity::kMedium,
                                    Severity::kHigh, Severity::kCritical};

std::string PathText(const std::string& path) {
  return path.empty() ? "a program of unknown path" : PrintableUtf8(path);
}

std::string WorkloadText(const WorkloadInfo& workload) {
  return workload.name.empty() ? fmt::format("workload number {}", workload.number)
                               : PrintableUtf8(workload.name);
}

std::string DeviationTitle(const std::string& workload, const Behaviour& b) {
  const std::string object = ObjectForPeople(b);
  switch (b.channel) {
    case Channel::kExec:
      return fmt::format("New program in {}: {}", workload, PathText(b.object));
    case Channel::kConnect:
      return fmt::format("New peer of {}: {}", workload, object);
    case Channel::kAccept:
      return fmt::format("New source of connections to {}: {}", workload, object);
    case Channel::kListen:
      return fmt::format("New listening port in {}: {}", workload, object);
    case Channel::kCredential:
      return fmt::format("New privilege change in {}: {}", workload, object);
    case Channel::kModule:
      return fmt::format("New kernel module loaded by {}: {}", workload, object);
    case Channel::kIoUring:
      return fmt::format("New use of io_uring in {}: {}", workload, PathText(b.subject));
    case Channel::kSignal:
      return fmt::format("New signal from {}: {}", workload, object);
    case Channel::kCapability:
      return fmt::format("New use of a capability in {}: {}", workload, object);
    case Channel::kFile:
      return fmt::format("New act on a file in {}: {}", workload, object);
  }
  return fmt::format("New behaviour in {}: {}", workload, object);
}

// Takes the story out of the event.
Finding Story(ScoredEvent&& scored) {
  Finding f;
  EnrichedEvent& e = scored.enriched;
  f.first_seen = f.last_seen = e.event.header.time;
  f.profile_state = std::move(scored.state_text);
  f.workload = std::move(e.workload);
  f.instance = std::move(e.instance);
  f.process = std::move(e.process);
  f.ancestors = std::move(e.ancestors);
  f.peer = std::move(e.peer);
  if (auto* flow = std::get_if<FlowEvent>(&e.event.body)) {
    f.flow = std::move(*flow);
  }
  if (auto* file = std::get_if<FileEvent>(&e.event.body)) {
    f.file = std::move(*file);
  }
  return f;
}

Finding Deviation(ScoredEvent&& scored) {
  const std::string workload = WorkloadText(scored.enriched.workload);
  const std::string title = scored.new_revision
                                ? fmt::format("New revision of a program in {}: {}", workload,
                                              PathText(scored.behaviour.object))
                                : DeviationTitle(workload, scored.behaviour);
  const Severity severity = SeverityOf(scored.behaviour.channel, scored.score, scored.watched);
  const double score = scored.score;
  std::string sentence = scored.sentence;
  Behaviour behaviour = scored.behaviour;
  Finding f = Story(std::move(scored));
  f.kind = Finding::Kind::kDeviation;
  f.severity = severity;
  f.score = score;
  f.title = title;
  f.sentence = std::move(sentence);
  f.behaviour = std::move(behaviour);
  return f;
}

std::string_view ActsOfCache(uint32_t cache) {
  return cache < kCacheKinds.size() ? kCacheKinds[cache].acts : CacheName(cache);
}

Channel ChannelOfCache(uint32_t cache) {
  switch (cache) {
    case kCodeCache:
      return Channel::kExec;
    case kFlowCache:
      return Channel::kConnect;
    case kInboundCache:
      return Channel::kAccept;
    default:
      return Channel::kFile;
  }
}

Finding Overflow(ScoredEvent&& scored, const OverflowEvent& overflow) {
  const std::string_view lane = ActsOfCache(overflow.cache);
  if (scored.enriched.workload.number == 0) {
    scored.enriched.workload.number = overflow.workload_number;
  }
  const std::string workload = WorkloadText(scored.enriched.workload);
  Finding f = Story(std::move(scored));
  f.kind = Finding::Kind::kCacheOverflow;
  f.severity = Severity::kMedium;
  const bool is_inbound = overflow.cache == kInboundCache;
  f.title =
      is_inbound
          ? fmt::format("More different peers come to {} than its verdict cache holds", workload)
          : fmt::format("More different acts in {} than its verdict cache holds", workload);
  f.sentence = fmt::format(
      "{}: its verdict cache for {} acts holds {} and is full: later ones are not told apart or "
      "counted one by one in the kernel. {}",
      workload, lane, overflow.limit,
      is_inbound ? "Very many different peers come to this workload; what it connects to itself is "
                   "judged as before, but not what its bound UDP sockets send to strangers."
                 : "Something in this workload does very many different things.");
  f.behaviour.channel = ChannelOfCache(overflow.cache);
  return f;
}

Finding LostNovelty(ScoredEvent&& scored, const OverflowEvent& overflow) {
  const std::string_view lane = ActsOfCache(overflow.cache);
  if (scored.enriched.workload.number == 0) {
    scored.enriched.workload.number = overflow.workload_number;
  }
  const std::string workload = WorkloadText(scored.enriched.workload);
  const uint64_t lost = overflow.lost;
  Finding f = Story(std::move(scored));
  f.kind = Finding::Kind::kLostNovelty;
  f.severity = Severity::kMedium;
  f.title = fmt::format("New acts in {} that could not be recorded", workload);
  f.sentence = fmt::format(
      "{}: {} new {} of the channel for {} found neither room in the ring nor memory in the "
      "kernel, "
      "so that nothing says what they were.",
      workload, lost, lost == 1 ? "act" : "acts", lane);
  f.behaviour.channel = ChannelOfCache(overflow.cache);
  return f;
}

Finding Move(ScoredEvent&& scored, const MoveEvent& move) {
  const std::string workload = WorkloadText(scored.enriched.workload);
  const std::string process = PathText(scored.enriched.process.code.path);
  Finding f = Story(std::move(scored));
  f.kind = Finding::Kind::kMove;
  f.severity = Severity::kLow;
  f.title = fmt::format("Process of {} moved to another cgroup: {}", workload, process);
  f.sentence = fmt::format(
      "{}: {} (pid {}) was moved to cgroup {} by a program that is no container or service runtime "
      "outside this workload; it goes on being judged as {}.",
      workload, process, f.process.pid, move.to_cgroup_id, workload);
  f.behaviour.subject = f.process.code.path;
  return f;
}

Finding Unattributed(ScoredEvent&& scored, Behaviour behaviour) {
  Finding f = Story(std::move(scored));
  f.kind = Finding::Kind::kUnattributed;
  f.severity = Severity::kLow;
  f.title = fmt::format("Acts without a known workload: {}", ChannelName(behaviour.channel));
  f.sentence = fmt::format(
      "Processes did things (channel {}) while their workload was not known, so that no profile "
      "judged them; the first was {}, object {}.",
      ChannelName(behaviour.channel), PathText(behaviour.subject), PrintableUtf8(behaviour.object));
  // All of a channel are one finding: there is no workload to tell them apart by.
  f.behaviour.channel = behaviour.channel;
  return f;
}

}  // namespace

Severity SeverityOf(Channel channel, double score_bits, absl::Duration watched) {
  double medium = 3;
  double high = 8;
  if (channel == Channel::kConnect || channel == Channel::kAccept || channel == Channel::kFile) {
    medium = 5;
    high = 10;
  } else if (channel == Channel::kListen || channel == Channel::kSignal) {
    medium = 4;
    high = 9;
  }
  const Severity severity = score_bits < medium ? Severity::kLow
                            : score_bits < high ? Severity::kMedium
                                                : Severity::kHigh;
  return watched < kWeakEvidenceTime ? std::min(severity, Severity::kMedium) : severity;
}

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kInformational:
      return "informational";
    case Severity::kLow:
      return "low";
    case Severity::kMedium:
      return "medium";
    case Severity::kHigh:
      return "high";
    case Severity::kCritical:
      return "critical";
  }
  return "unknown";
}

std::optional<Severity> SeverityFromName(std::string_view name) {
  for (const Severity severity : kSeverities) {
    if (SeverityName(severity) == name) {
      return severity;
    }
  }
  return std::nullopt;
}

std::string_view KindName(Finding::Kind kind) {
  switch (kind) {
    case Finding::Kind::kDeviation:
      return "deviation";
    case Finding::Kind::kCacheOverflow:
      return "cache-overflow";
    case Finding::Kind::kUnattributed:
      return "unattributed";
    case Finding::Kind::kMove:
      return "move";
    case Finding::Kind::kHeldBack:
      return "held-back";
    case Finding::Kind::kLostNovelty:
      return "lost-novelty";
  }
  return "unknown";
}

std::string UidOf(const Finding& finding) {
  const Behaviour& b = finding.behaviour;
  std::string text;
  // Each field with its length: bytes of one field cannot pass for a border between two.
  const auto add = [&](std::string_view field) {
    text += fmt::format("{}:{},", field.size(), field);
  };
  add(KindName(finding.kind));
  add(WorkloadText(finding.workload));
  add(ChannelName(b.channel));
  for (const std::string* field :
       {&b.subject, &b.subject_sha256, &b.object, &b.object_sha256, &b.qualifier}) {
    add(*field);
  }
  Sha256 hash;
  hash.Update(text);
  std::array<uint8_t, 32> digest = hash.Digest();
  digest[6] = static_cast<uint8_t>((digest[6] & 0x0f) | 0x80);
  digest[8] = static_cast<uint8_t>((digest[8] & 0x3f) | 0x80);
  std::string uid;
  for (size_t i = 0; i < 16; ++i) {
    uid += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", digest[i]);
  }
  return uid;
}

namespace {

// What is new there by its nature is never above low, and says why.
void HoldDown(Finding& f, const std::string& default_profile, const std::string& covered_by) {
  if (default_profile.empty()) {
    return;
  }
  f.default_profile = default_profile;
  f.severity = std::min(f.severity, Severity::kLow);
  f.sentence += fmt::format(" Never above low by the default profile: {}{}{}{}.",
                            PrintableUtf8(default_profile), covered_by.empty() ? "" : " (",
                            PrintableUtf8(covered_by), covered_by.empty() ? "" : ")");
}

}  // namespace

std::optional<Finding> FindingOf(ScoredEvent scored) {
  std::optional<Finding> f;
  const std::string default_profile = scored.default_profile;
  const std::string covered_by = scored.covered_by;
  const EventBody& body = scored.enriched.event.body;
  if (scored.judgement == Judgement::kDeviation) {
    f = Deviation(std::move(scored));
  } else if (scored.judgement != Judgement::kNotABehaviour) {
    return std::nullopt;
  } else if (const auto* overflow = std::get_if<OverflowEvent>(&body)) {
    f = overflow->lost != 0 ? LostNovelty(std::move(scored), *overflow)
                            : Overflow(std::move(scored), *overflow);
  } else if (const auto* move = std::get_if<MoveEvent>(&body)) {
    if (move->by_runtime || scored.enriched.moved_within) {
      return std::nullopt;
    }
    f = Move(std::move(scored), *move);
  } else if (!scored.enriched.workload.attributed()) {
    auto behaviour = BehaviourOf(scored.enriched);
    if (!behaviour) {
      return std::nullopt;
    }
    // A number without a name would make a finding per number.
    scored.enriched.workload.number = 0;
    f = Unattributed(std::move(scored), *std::move(behaviour));
  }
  if (f) {
    HoldDown(*f, default_profile, covered_by);
    f->uid = UidOf(*f);
  }
  return f;
}

Finding GoesOn(const DeviationGrowth& growth) {
  Finding f;
  f.kind = Finding::Kind::kDeviation;
  f.severity = Severity::kLow;
  f.first_seen = f.last_seen = growth.last_seen;
  f.count = growth.hits;
  f.workload.name = growth.workload;
  f.behaviour = growth.behaviour;
  const std::string workload = WorkloadText(f.workload);
  f.title = DeviationTitle(workload, f.behaviour);
  f.sentence = fmt::format(
      "{}: a deviation goes on whose finding has left the store, and with it the story and the "
      "score; the kernel counted {} more of it by {}.",
      workload, growth.hits, PathText(f.behaviour.subject));
  f.uid = UidOf(f);
  return f;
}

Finding HeldBack(const Finding& first, uint64_t per_hour, absl::Time hour) {
  const std::string workload = WorkloadText(first.workload);
  Finding f;
  f.kind = Finding::Kind::kHeldBack;
  f.severity = first.severity;
  f.first_seen = f.last_seen = first.last_seen;
  f.workload = first.workload;
  f.instance = first.instance;
  f.profile_state = first.profile_state;
  f.behaviour.channel = first.behaviour.channel;
  const std::string from = absl::FormatTime("%Y-%m-%d %H:%M", hour, absl::UTCTimeZone());
  const bool high = first.severity >= Severity::kHigh;
  f.behaviour.object = from + (high ? " high" : "");
  f.title = fmt::format("More than {} new findings in {} within an hour", per_hour, workload);
  f.sentence = fmt::format(
      "{}: {} new findings{} went out in the hour from {} UTC; what is counted here is in the "
      "node's store only (vedette finding list --workload {}).",
      workload, per_hour, high ? " of high severity" : "", from, workload);
  f.uid = UidOf(f);
  return f;
}

}  // namespace vedette
