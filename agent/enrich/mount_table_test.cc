// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/mount_table.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace vedette {
namespace {

constexpr char kTable[] =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "45 22 0:52 / /home/a\\040b rw - fuse.sshfs host:/ rw,user_id=0\n"
    "46 22 0:53 / /x - y rw - overlay overlay rw,lowerdir=/a:/b\n"
    "47 22 0:54 /\n";

TEST(MountTableTest, FindsTypesByDeviceAndByMount) {
  const MountTable mounts({kTable, "900 1 0:77 / / rw master:3 propagate_from:2 - tmpfs none rw"});
  EXPECT_EQ(mounts.TypeOfDevice(8ull << 20 | 1), "ext4");
  EXPECT_EQ(mounts.TypeOfDevice(52), "fuse.sshfs");
  EXPECT_EQ(mounts.TypeOfMount(45), "fuse.sshfs");
  EXPECT_EQ(mounts.TypeOfMount(900), "tmpfs");
  EXPECT_EQ(mounts.TypeOfDevice(54), std::nullopt) << "a line that was cut";
  EXPECT_EQ(mounts.TypeOfMount(4), std::nullopt);
}

TEST(MountTableTest, ReadsWhatThisProcessSees) {
  const MountTable mounts = MountTable::Read(static_cast<uint32_t>(getpid()));
  EXPECT_EQ(MountTable({""}).TypeOfMount(1), std::nullopt);
  bool any = false;
  for (uint64_t id = 1; id < 20000 && !any; ++id) {
    any = mounts.TypeOfMount(id).has_value();
  }
  EXPECT_TRUE(any);
}

TEST(MountTableTest, WhatAProcessServes) {
  EXPECT_TRUE(IsServedByProcess("fuse"));
  EXPECT_TRUE(IsServedByProcess("fuse.glusterfs"));
  EXPECT_TRUE(IsServedByProcess("fuseblk"));
  EXPECT_FALSE(IsServedByProcess("ext4"));
}

TEST(MountTableTest, APathIsOnTheNearestMountAbove) {
  const MountTable table(
      {"20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
       "21 20 0:40 / /home rw - nfs4 server:/home rw\n"
       "22 20 0:41 / /home rw - autofs systemd-1 rw\n"
       "23 20 0:42 / /srv/my\\040disk rw - xfs /dev/sdb rw\n"});
  EXPECT_EQ(table.TypeOfPath("/var/lib"), "ext4");
  EXPECT_EQ(table.TypeOfPath("/homes/ann"), "ext4");
  EXPECT_EQ(table.TypeOfPath("/home/ann"), "autofs");  // Mounted last, so on top.
  EXPECT_EQ(table.TypeOfPath("/home"), "autofs");
  EXPECT_EQ(table.TypeOfPath("/srv/my disk/x"), "xfs");
  EXPECT_EQ(MountTable({}).TypeOfPath("/"), std::nullopt);
}

}  // namespace
}  // namespace vedette
