// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/dismissals.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <optional>
#include <utility>

#include "agent/base/status.h"
#include "agent/base/text.h"
#include "agent/correlate/finding_of.h"

namespace vedette {
namespace {

// What was done before the person spoke belongs to the finding, and is in the store.
absl::Status Prepare(Pipeline& pipeline) {
  pipeline.SyncCounts();
  if (const absl::Status status = pipeline.Commit(); !status.ok()) {
    return absl::UnavailableError(fmt::format(
        "nothing was changed, because the store takes nothing now: {}", pipeline.counts().trouble));
  }
  return absl::OkStatus();
}

absl::Status TellSinks(Pipeline& pipeline, const std::string& uid,
                       std::optional<Dismissal> dismissal, Finding::StatusChange by) {
  VEDETTE_ASSIGN_OR_RETURN(
      const std::optional<Finding> told,
      pipeline.parts().correlator->SetDismissal(uid, std::move(dismissal), std::move(by)));
  if (told) {
    pipeline.AppendToSpool(ToEvent(pipeline.parts().source, *told));
  }
  return absl::OkStatus();
}

// What was changed is in memory, and stored with the next commit that works.
absl::Status Keep(Pipeline& pipeline, const std::string& uid) {
  if (const absl::Status status = pipeline.Commit(); !status.ok()) {
    return absl::UnavailableError(
        fmt::format("finding {} is changed, but the store takes nothing now, so that it is not "
                    "kept yet: {}",
                    PrintableUtf8(uid), pipeline.counts().trouble));
  }
  return absl::OkStatus();
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", time, absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<Finding> DismissFinding(Pipeline& pipeline, const Backend::Dismiss& dismiss) {
  VEDETTE_RETURN_IF_ERROR(Prepare(pipeline));
  const PipelineParts& parts = pipeline.parts();
  VEDETTE_ASSIGN_OR_RETURN(const std::string uid, parts.correlator->FullUid(dismiss.finding));
  VEDETTE_ASSIGN_OR_RETURN(const Finding finding, parts.correlator->Show(uid));
  if (finding.dismissal) {
    return absl::FailedPreconditionError(fmt::format(
        "finding {} was dismissed already, by {} at {}; see `vedette finding show {}`", finding.uid,
        PrintableUtf8(finding.dismissal->user), TimeText(finding.dismissal->at), finding.uid));
  }
  if (finding.kind != Finding::Kind::kDeviation) {
    return absl::FailedPreconditionError(fmt::format(
        "finding {} is of kind {}: it tells of no behaviour that the profile could be taught, so "
        "it cannot be dismissed",
        finding.uid, KindName(finding.kind)));
  }
  const absl::Time now = parts.clock->Now();
  const Dismissal dismissal = {finding.uid, dismiss.user, dismiss.uid, now, dismiss.reason};
  VEDETTE_RETURN_IF_ERROR(
      parts.profiles->Dismiss(finding.workload.name, finding.behaviour, dismissal));
  VEDETTE_RETURN_IF_ERROR(TellSinks(pipeline, finding.uid, dismissal, {dismiss.user, now}));
  VEDETTE_RETURN_IF_ERROR(Keep(pipeline, finding.uid));
  spdlog::info("finding {} was dismissed by {} (uid {}): {}", finding.uid,
               PrintableUtf8(dismiss.user), dismiss.uid, PrintableUtf8(dismiss.reason));
  return parts.correlator->Show(finding.uid);
}

absl::StatusOr<Finding> RestoreFinding(Pipeline& pipeline, const Backend::Dismiss& dismiss) {
  VEDETTE_RETURN_IF_ERROR(Prepare(pipeline));
  const PipelineParts& parts = pipeline.parts();
  VEDETTE_ASSIGN_OR_RETURN(const std::string uid, parts.correlator->FullUid(dismiss.finding));
  absl::StatusOr<Finding> finding = parts.correlator->Show(uid);
  if (finding.ok() && !finding->dismissal) {
    return absl::FailedPreconditionError(
        fmt::format("finding {} is not dismissed; there is nothing to undo", finding->uid));
  }
  const absl::StatusOr<Profiles::Restored> restored = parts.profiles->Restore(uid);
  if (!finding.ok() && !restored.ok()) {
    return finding.status();
  }
  if (finding.ok()) {
    VEDETTE_RETURN_IF_ERROR(
        TellSinks(pipeline, finding->uid, std::nullopt, {dismiss.user, parts.clock->Now()}));
  }
  VEDETTE_RETURN_IF_ERROR(Keep(pipeline, uid));
  if (restored.ok()) {
    parts.keeper->TellAgain(restored->workload, restored->behaviour);
  }
  spdlog::info("finding {} was restored by {} (uid {})", PrintableUtf8(uid),
               PrintableUtf8(dismiss.user), dismiss.uid);
  if (finding.ok()) {
    return parts.correlator->Show(finding->uid);
  }
  // It left the store; its next act makes it anew.
  Finding gone;
  gone.uid = uid;
  gone.workload.name = restored->workload;
  gone.behaviour = restored->behaviour;
  gone.title = "A finding that left the store; what it was about is a deviation again";
  return gone;
}

}  // namespace vedette
