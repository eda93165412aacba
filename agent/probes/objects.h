// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "agent/probes/embedded_objects.h"

namespace vedette {

// Names the directory of a build's pins: the first bytes of a digest of its objects.
std::string BuildDigest(absl::Span<const EmbeddedObject> objects);

// The object of this name; null: there is none.
const EmbeddedObject* FindObject(absl::Span<const EmbeddedObject> objects, std::string_view name);

}  // namespace vedette
