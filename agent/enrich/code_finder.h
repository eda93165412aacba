// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "agent/base/unique_fd.h"
#include "agent/enrich/mount_table.h"

namespace vedette {

// Where the file of a program can be found, in the order in which it is tried.
enum class CodePlace : uint8_t { kProcessImage, kProcessRoot, kNeighbourRoot, kHostRoot };

// A handle (O_PATH) for the file that `tgid` runs. Neither opening nor closing it asks the
// filesystem; so it may be held by who must not wait. Invalid: the process is gone.
UniqueFd FindImage(uint32_t tgid);

// A handle for `path` below `root`, component by component: stops before it would look something up
// in a filesystem that a process serves, or that no table lists. No links, no "..". Invalid: not
// found, or not to be looked for. That it is the right file is for its key to say.
UniqueFd FindBelow(const std::string& root, const std::string& path, const MountTable& mounts);

// Whether the file may be read: false where a process answers for it, also below an overlay or
// after it was deleted, and where neither its device nor its mount is listed. Asks no filesystem.
bool MayRead(int handle, uint64_t device, const MountTable& mounts);

}  // namespace vedette
