// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "agent/probes/probe_set.h"

namespace vedette {

// Name of the argument with which this program is its own known child; see RunSelfCheckChild.
inline constexpr char kSelfCheckArgument[] = "--self-check-child";

// Starts a child that does one thing after the other, and looks whether the probes saw its fork,
// its exec and its exit. Errors name what was not seen. Control thread; takes a few milliseconds.
absl::Status RunSelfCheck(const ProbeSet& probes);

// What the child does: waits until its standard input ends.
int RunSelfCheckChild();

}  // namespace vedette
