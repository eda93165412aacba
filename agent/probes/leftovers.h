// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace vedette {

// Pins that an agent of the same build left under `build_dir` when it was killed. True: its maps
// are there, and are to be reused. Of one that had detached its programs already, the tables that
// only programs keep true are removed: processes and sockets have come and gone since.
bool KeepLeftovers(const std::string& build_dir);

// Removes the pins of all links. Killed at any moment, it leaves all of them or none.
void RemoveLinkPins(const std::string& build_dir);
// Only those of one probe, which the agent before had and this one does not want.
void RemoveLinkPins(const std::string& build_dir, std::string_view probe);

}  // namespace vedette
