// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/default_cover.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

namespace vedette {

// Code that acted, or started what acted, and where it was.
struct DefaultCover::Step {
  CodeKey code;
  const std::string* path;
};

namespace {

bool Covers(const DefaultRule& rule, const std::string& workload) {
  return std::any_of(rule.workloads.begin(), rule.workloads.end(), [&](const std::string& pattern) {
    return MatchesWorkload(pattern, workload);
  });
}

// What the workload never started by itself is no ordinary act of it.
bool IsKnownToStart(const Profile& profile, const std::string& path) {
  return std::any_of(profile.entries().begin(), profile.entries().end(), [&](const auto& entry) {
    const Behaviour& b = entry->record.behaviour;
    return !entry->deviation && b.channel == Channel::kExec && b.object == path;
  });
}

bool Contains(const std::vector<std::string>& paths, const std::string& path) {
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

const ProcessContext* ContextOf(const EventBody& body) {
  if (const auto* exec = std::get_if<ExecEvent>(&body)) {
    return &exec->process;
  }
  if (const auto* flow = std::get_if<FlowEvent>(&body)) {
    return &flow->process;
  }
  if (const auto* change = std::get_if<CredentialEvent>(&body)) {
    return &change->process;
  }
  if (const auto* act = std::get_if<PrivilegeEvent>(&body)) {
    return &act->process;
  }
  if (const auto* file = std::get_if<FileEvent>(&body)) {
    return &file->process;
  }
  return nullptr;
}

}  // namespace

const DefaultProfile* DefaultCover::OfWorkload(const std::string& workload) const {
  for (const DefaultProfile& cover : profiles_) {
    for (const DefaultRule& rule : cover.rules) {
      if (rule.whole_workload() && Covers(rule, workload)) {
        return &cover;
      }
    }
  }
  return nullptr;
}

const DefaultProfile* DefaultCover::Expecting(const std::string& workload, Channel channel) const {
  const std::string act(ChannelName(channel));
  for (const DefaultProfile& cover : profiles_) {
    for (const DefaultRule& rule : cover.rules) {
      if (Contains(rule.expected, act) && Covers(rule, workload)) {
        return &cover;
      }
    }
  }
  return nullptr;
}

DefaultCover::Found DefaultCover::OfAct(const EnrichedEvent& event, const Profile& profile) const {
  if (const DefaultProfile* cover = OfWorkload(profile.name)) {
    return {cover, ""};
  }
  const ProcessContext* context = ContextOf(event.event.body);
  if (context == nullptr) {
    return {};
  }
  std::vector<Step> lineage;
  if (const auto* exec = std::get_if<ExecEvent>(&event.event.body)) {
    // What is not of the host, as the code of a container, is no ordinary act of such a program.
    if (event.process.code.origin != CodeOrigin::kHost) {
      return {};
    }
    if (event.parent_code) {
      lineage.push_back({exec->parent_code, &event.parent_code->path});
    }
  } else {
    lineage.push_back({context->code, &event.process.code.path});
  }
  const size_t ancestors = std::min(context->ancestors.size(), event.ancestors.size());
  for (size_t i = 0; i < ancestors; ++i) {
    lineage.push_back({context->ancestors[i].code, &event.ancestors[i].code.path});
  }
  for (const DefaultProfile& cover : profiles_) {
    for (const DefaultRule& rule : cover.rules) {
      if ((rule.by.empty() && rule.below.empty()) || !Covers(rule, profile.name)) {
        continue;
      }
      if (std::string why = Match(rule, lineage, profile); !why.empty()) {
        return {&cover, std::move(why)};
      }
    }
  }
  return {};
}

std::string DefaultCover::Match(const DefaultRule& rule, const std::vector<Step>& lineage,
                                const Profile& profile) const {
  for (size_t i = 0; i < lineage.size(); ++i) {
    const std::string& path = *lineage[i].path;
    const bool by = i == 0 && (Contains(rule.by, path) || Contains(rule.below, path));
    if ((by || Contains(rule.below, path)) && IsKnownToStart(profile, path) &&
        is_program_(lineage[i].code, path)) {
      return fmt::format("{} {}", by ? "by" : "below", path);
    }
  }
  return "";
}

}  // namespace vedette
