// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "agent/enrich/container_facts.h"
#include "agent/enrich/name_parts.h"

namespace vedette {
namespace {

constexpr size_t kShortIdLength = 12;
constexpr size_t kNerdctlDigits = 5;

// The first words of the names that Docker and podman make up, of all their versions. Sorted.
constexpr std::array<std::string_view, 129> kAdjectives = {
    "admiring",    "adoring",       "affectionate", "agitated",      "amazing",    "angry",
    "awesome",     "backstabbing",  "beautiful",    "berserk",       "big",        "blissful",
    "bold",        "boring",        "brave",        "busy",          "charming",   "clever",
    "cocky",       "compassionate", "competent",    "condescending", "confident",  "cool",
    "cranky",      "crazy",         "dazzling",     "desperate",     "determined", "distracted",
    "dreamy",      "drunk",         "eager",        "ecstatic",      "elastic",    "elated",
    "elegant",     "eloquent",      "epic",         "evil",          "exciting",   "fervent",
    "festive",     "flamboyant",    "focused",      "friendly",      "frosty",     "funny",
    "furious",     "gallant",       "gifted",       "gigantic",      "gloomy",     "goofy",
    "gracious",    "grave",         "great",        "happy",         "hardcore",   "heuristic",
    "high",        "hopeful",       "hungry",       "infallible",    "insane",     "inspiring",
    "intelligent", "interesting",   "jolly",        "jovial",        "keen",       "kickass",
    "kind",        "laughing",      "lonely",       "loving",        "lucid",      "mad",
    "magical",     "modest",        "musing",       "mutable",       "mystifying", "naughty",
    "nervous",     "nice",          "nifty",        "nostalgic",     "objective",  "optimistic",
    "peaceful",    "pedantic",      "pensive",      "practical",     "priceless",  "prickly",
    "quirky",      "quizzical",     "recursing",    "relaxed",       "reverent",   "romantic",
    "sad",         "serene",        "sharp",        "sick",          "silly",      "sleepy",
    "small",       "stoic",         "strange",      "stupefied",     "suspicious", "sweet",
    "tender",      "thirsty",       "tiny",         "trusting",      "unruffled",  "upbeat",
    "vibrant",     "vigilant",      "vigorous",     "wizardly",      "wonderful",  "xenodochial",
    "youthful",    "zealous",       "zen"};

bool IsLetters(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

}  // namespace

bool IsGeneratedName(std::string_view name, std::string_view id) {
  constexpr std::string_view kInfra = "-infra";
  if (name.size() == kShortIdLength + kInfra.size() && name.ends_with(kInfra) &&
      IsHex(name.substr(0, kShortIdLength))) {
    return true;
  }
  if (name == id || (name.size() == kShortIdLength && id.starts_with(name))) {
    return true;
  }
  const size_t dash = name.rfind('-');
  if (dash != std::string_view::npos && dash > 0 && id.size() >= kNerdctlDigits &&
      name.substr(dash + 1) == id.substr(0, kNerdctlDigits)) {
    return true;
  }
  const size_t cut = name.find('_');
  if (cut == std::string_view::npos) {
    return false;
  }
  std::string_view second = name.substr(cut + 1);
  while (!second.empty() && second.back() >= '0' && second.back() <= '9') {
    second.remove_suffix(1);  // When the first try was taken.
  }
  return IsLetters(second) &&
         std::binary_search(kAdjectives.begin(), kAdjectives.end(), name.substr(0, cut));
}

}  // namespace vedette
