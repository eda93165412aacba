// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/statusor.h"
#include "agent/api/backend.h"
#include "agent/correlate/finding.h"
#include "agent/pipeline/pipeline.h"

namespace vedette {

// A person's word on a finding: the profile is taught, the sinks are told, the store has it before
// the answer. On the pipeline thread. The finding as it is then; errors are whole sentences.
absl::StatusOr<Finding> DismissFinding(Pipeline& pipeline, const Backend::Dismiss& dismiss);

// Takes it back: the behaviour is a deviation again, and its next act is news. Also of a finding
// that left the store, as long as the profile holds what was dismissed.
absl::StatusOr<Finding> RestoreFinding(Pipeline& pipeline, const Backend::Dismiss& dismiss);

}  // namespace vedette
