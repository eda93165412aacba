// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/sentence.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "agent/base/text.h"

namespace vedette {
namespace {

constexpr size_t kMaxNearest = 3;
constexpr size_t kHashPrefix = 12;

std::string Name(const std::string& path) {
  return path.empty() ? "a program of unknown path" : PrintableUtf8(path);
}

struct Verb {
  std::string_view never;  // "never started"
  std::string_view did;    // "started"
  std::string_view one, many;
};

Verb VerbOf(Channel channel) {
  switch (channel) {
    case Channel::kExec:
      return {"never started", "started", "program", "programs"};
    case Channel::kConnect:
      return {"never connected to", "connected to", "peer", "peers"};
    case Channel::kAccept:
      return {"never accepted a connection", "accepted connections", "source", "sources"};
    case Channel::kListen:
      return {"never listened on", "listened on", "port", "ports"};
    case Channel::kCredential:
      return {"never changed its privileges by", "changed privileges in", "way", "ways"};
    case Channel::kModule:
      return {"never loaded the kernel module", "loaded", "kernel module", "kernel modules"};
    case Channel::kIoUring:
      return {"never created an", "created", "ring", "rings"};
    case Channel::kSignal:
      return {"never sent", "sent", "signal", "signals"};
    case Channel::kCapability:
      return {"never used", "used", "capability", "capabilities"};
    case Channel::kFile:
      return {"never was seen to", "was seen in", "act on files", "acts on files"};
  }
  return {"never did", "did", "thing", "things"};
}

std::string ObjectText(const Behaviour& b) {
  std::string text = b.channel == Channel::kExec ? Name(b.object) : ObjectForPeople(b);
  if (!b.qualifier.empty() && !IsOfManyFiles(b)) {
    text += fmt::format(" with script {}", PrintableUtf8(b.qualifier));
  }
  return text;
}

size_t CommonPrefix(std::string_view a, std::string_view b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                             a.begin());
}

struct Known {
  std::vector<std::string> objects;  // Distinct, nearest to the new one first.
  absl::Time newest = absl::InfinitePast();
};

// Learned behaviours of the channel: of the same subject only, or of all.
Known KnownOf(const Behaviour& b, const Profile& profile, bool same_subject) {
  Known known;
  for (const auto& e : profile.entries()) {
    const Behaviour& other = e->record.behaviour;
    if (e->deviation || other.channel != b.channel ||
        (same_subject && other.subject != b.subject)) {
      continue;
    }
    known.newest = std::max(known.newest, e->record.first_seen);
    known.objects.push_back(ObjectText(other));
  }
  std::sort(known.objects.begin(), known.objects.end());
  known.objects.erase(std::unique(known.objects.begin(), known.objects.end()), known.objects.end());
  const std::string object = ObjectText(b);
  std::stable_sort(known.objects.begin(), known.objects.end(),
                   [&](const std::string& left, const std::string& right) {
                     return CommonPrefix(left, object) > CommonPrefix(right, object);
                   });
  return known;
}

std::string Count(uint64_t n, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", n, n == 1 ? one : many);
}

std::string List(const std::vector<std::string>& items) {
  if (items.empty()) {
    return "";
  }
  const auto shown = std::min(items.size(), kMaxNearest);
  return fmt::format(" ({}{})", fmt::join(items.begin(), items.begin() + shown, ", "),
                     shown < items.size() ? ", …" : "");
}

// "in 26 h and 9360 active windows"
std::string Watched(const Behaviour& b, const Evidence& evidence) {
  return fmt::format(
      "in {} and {}", DurationText(evidence.watched),
      Count(evidence.profile->activity(b.channel).windows(), "active window", "active windows"));
}

std::string LastNew(absl::Time newest, absl::Time now) {
  return newest == absl::InfinitePast()
             ? ""
             : fmt::format("; last new one {} ago", DurationText(now - newest));
}

std::string Caveats(const Behaviour& b, const Evidence& evidence) {
  std::string text;
  const uint64_t windows = evidence.profile->activity(b.channel).windows();
  if (evidence.watched < kStrongEvidenceTime || windows < kStrongEvidenceWindows) {
    text += fmt::format(" The evidence is weak: watched for only {}, active in {} of 10 s.",
                        DurationText(evidence.watched), Count(windows, "window", "windows"));
  }
  if (evidence.profile->cut(b.channel)) {
    text += " The profile of this channel was cut at its bound and is not complete.";
  }
  return text;
}

std::string RevisionSentence(const Behaviour& b, const Evidence& evidence) {
  const BehaviourRecord& known = evidence.nearest.entry->record;
  // Where only the acting code differs, the behaviour names that code as its object.
  const bool subject = evidence.nearest.match == Profile::Match::kSubjectRevision;
  const std::string& known_hash =
      subject ? known.behaviour.subject_sha256 : known.behaviour.object_sha256;
  if (b.object_sha256.empty()) {
    return fmt::format(
        "{}: the content of {} could not be verified (SHA-256 known was {}…): its path has been "
        "known for {}, its file was gone or could not be read in time before it was hashed {}.{}",
        PrintableUtf8(evidence.profile->name), ObjectText(b), known_hash.substr(0, kHashPrefix),
        DurationText(evidence.time - known.first_seen), Watched(b, evidence), Caveats(b, evidence));
  }
  return fmt::format(
      "{}: new revision of {} (SHA-256 {}…, known was {}…): its path has been known for {}, "
      "this content was never seen {}.{}",
      PrintableUtf8(evidence.profile->name), ObjectText(b), b.object_sha256.substr(0, kHashPrefix),
      known_hash.substr(0, kHashPrefix), DurationText(evidence.time - known.first_seen),
      Watched(b, evidence), Caveats(b, evidence));
}

}  // namespace

std::string ObjectForPeople(const Behaviour& behaviour) {
  std::string object = PrintableUtf8(behaviour.object);
  const bool listens = behaviour.channel == Channel::kListen && object.starts_with("0/");
  const size_t port = behaviour.channel == Channel::kAccept ? object.find(" -> 0/") : object.npos;
  if (listens || port != object.npos) {
    object.replace(object.find("0/", listens ? 0 : port), 1, "any");
  }
  return object;
}

std::string DeviationSentence(const Behaviour& b, const Evidence& evidence) {
  const Profile& profile = *evidence.profile;
  if (evidence.nearest.match == Profile::Match::kObjectRevision ||
      evidence.nearest.match == Profile::Match::kSubjectRevision) {
    return RevisionSentence(b, evidence);
  }
  const Verb verb = VerbOf(b.channel);
  const std::string_view from = b.channel == Channel::kAccept ? " from " : " ";
  const std::string subject = b.channel == Channel::kCapability ? "this workload" : Name(b.subject);
  const Known own = KnownOf(b, profile, true);
  const Known all = KnownOf(b, profile, false);
  std::string text = fmt::format("{}: {} {}{}{}: ", PrintableUtf8(profile.name), subject,
                                 verb.never, from, ObjectText(b));
  if (!own.objects.empty()) {
    text += fmt::format("{} it {}{}{}{}{}", Watched(b, evidence), verb.did, from,
                        Count(own.objects.size(), verb.one, verb.many), List(own.objects),
                        LastNew(own.newest, evidence.time));
  } else if (!all.objects.empty()) {
    text += fmt::format(
        "{} it did nothing of the kind; the other programs of this workload {}{}{}{}{}",
        Watched(b, evidence), verb.did, from, Count(all.objects.size(), verb.one, verb.many),
        List(all.objects), LastNew(all.newest, evidence.time));
  } else {
    text += fmt::format("{} nothing in this workload did so", Watched(b, evidence));
  }
  return text + "." + Caveats(b, evidence);
}

std::string RestSentence(const Profile& profile, Channel channel, size_t limit) {
  const Verb verb = VerbOf(channel);
  return fmt::format(
      "{}: more than {} different {} that the profile does not hold; further ones are counted here "
      "and not listed one by one.",
      PrintableUtf8(profile.name), limit, verb.many);
}

}  // namespace vedette
