// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "exporters/schema/event.pb.h"

namespace vedette {

// A finding event as one line of JSON: OCSF 1.8 Detection Finding (class 2004). A fact that the
// class has no attribute for is under `unmapped`. Bytes of the kernel that are not UTF-8 are shown
// as agent/base/utf8.h says, so they can be read back.
std::string OcsfJson(const pb::Event& event);

}  // namespace vedette
