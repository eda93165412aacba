// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/code_names.h"

#include <linux/magic.h>

#include "fmt/format.h"

namespace vedette {
namespace {

// Not in linux/magic.h of all C libraries that this is built with.
constexpr uint32_t kFuse = 0x65735546;
constexpr uint32_t kZfs = 0x2fc12fc1;
constexpr uint32_t kXfs = 0x58465342;

}  // namespace

std::string_view OriginName(CodeOrigin origin) {
  switch (origin) {
    case CodeOrigin::kUnknown:
      return "unknown";
    case CodeOrigin::kHost:
      return "host";
    case CodeOrigin::kImage:
      return "image";
    case CodeOrigin::kWritableLayer:
      return "writable-layer";
    case CodeOrigin::kMemfd:
      return "memfd";
    case CodeOrigin::kDeleted:
      return "deleted";
    case CodeOrigin::kUntrustedFs:
      return "untrusted-fs";
  }
  return "unknown";
}

std::string FilesystemName(uint32_t magic) {
  switch (magic) {
    case 0:
      return "";
    case EXT4_SUPER_MAGIC:
      return "ext4";
    case OVERLAYFS_SUPER_MAGIC:
      return "overlay";
    case TMPFS_MAGIC:
      return "tmpfs";
    case RAMFS_MAGIC:
      return "ramfs";
    case BTRFS_SUPER_MAGIC:
      return "btrfs";
    case SQUASHFS_MAGIC:
      return "squashfs";
    case NFS_SUPER_MAGIC:
      return "nfs";
    case kXfs:
      return "xfs";
    case kZfs:
      return "zfs";
    case kFuse:
      return "fuse";
    default:
      return fmt::format("{:#x}", magic);
  }
}

}  // namespace vedette
