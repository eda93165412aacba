// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace vedette {

// ".service", ".scope", … of a unit that holds processes; empty for everything else.
std::string_view UnitSuffix(std::string_view name);

// The name of a unit without what changes from start to start: numbers of sessions and transient
// units, the instance of a template, random ends.
std::string StableUnit(std::string_view name);

// The same for a slice, and for a cgroup that is none of systemd's.
std::string StableSlice(std::string_view name);

}  // namespace vedette
