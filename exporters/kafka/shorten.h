// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "exporters/schema/event.pb.h"

namespace vedette {

// A finding of a few kilobytes that says the same in short, for a topic that does not take the
// whole one of `size_bytes`: without command lines and ancestors, texts cut, and saying so in its
// sentence. It keeps its uid. Nothing for a ledger record, or where there is nothing to leave out.
std::optional<pb::Event> Shorten(const pb::Event& event, size_t size_bytes);

}  // namespace vedette
