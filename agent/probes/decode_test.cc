// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/decode.h"

#include <gtest/gtest.h>

#include <cstring>

#include "agent/base/clock.h"
#include "bpf/wire/base.h"
#include "bpf/wire/cgroup.h"
#include "bpf/wire/kinds.h"

namespace vedette {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'780'000'000);

absl::Time TimeOf(const Decoder& decoder, absl::Duration since_boot) {
  wire_header header = {};
  header.boot_ns = static_cast<uint64_t>(absl::ToInt64Nanoseconds(since_boot));
  return decoder.Header({reinterpret_cast<const char*>(&header), sizeof(header)})->time;
}

TEST(DecoderTest, TheTimeOfEventsFollowsTheWallClock) {
  ManualClock wall(kNow);
  Decoder decoder(BootTime(wall));
  const absl::Duration act = SinceBoot();
  EXPECT_LT(absl::AbsDuration(TimeOf(decoder, act) - kNow), absl::Seconds(5));
  for (const absl::Duration step : {absl::Hours(1), -absl::Hours(3)}) {
    const absl::Time before = TimeOf(decoder, act);
    wall.Advance(step);
    decoder.SetBootTime(BootTime(wall) + (SinceBoot() - act));  // The wall stands still otherwise.
    EXPECT_LT(absl::AbsDuration(TimeOf(decoder, act) - before - step), absl::Seconds(1));
  }
}

TEST(DecoderTest, AHookThatIsNotKnownIsNone) {
  const auto hook_of = [](uint8_t hook) {
    wire_header header = {};
    header.hook = hook;
    return Decoder(kNow).Header({reinterpret_cast<const char*>(&header), sizeof(header)})->hook;
  };
  EXPECT_EQ(hook_of(WIRE_HOOK_ONLY), Hook::kOnly);
  EXPECT_EQ(hook_of(WIRE_HOOK_SYS_EXIT), Hook::kSysExit);
  EXPECT_EQ(hook_of(WIRE_HOOK_FILE_OPEN), Hook::kLsmFileOpen);
  EXPECT_EQ(hook_of(200), Hook::kOnly);
}

// The kernel gives 1,023 bytes of a cgroup's path, and the rest of them may be another's.
TEST(DecoderTest, ACgroupWhosePathIsCutIsAsIfItsRecordWereLost) {
  wire_cgroup record = {};
  record.header.kind = WIRE_KIND_CGROUP;
  record.header.version = WIRE_VERSION_CGROUP;
  record.header.size = sizeof(record);
  record.change = WIRE_CGROUP_CREATED;
  record.path_bytes = sizeof(record.path) - 1;
  memset(record.path, 'x', record.path_bytes);
  const auto events = [&record] {
    std::vector<Event> decoded;
    const std::string_view bytes(reinterpret_cast<const char*>(&record), sizeof(record));
    EXPECT_TRUE(Decoder(kNow).Decode(bytes, decoded).ok());
    return decoded.size();
  };
  EXPECT_EQ(events(), 1u);
  record.path_cut = 1;
  EXPECT_EQ(events(), 0u);
  // That it is gone its number says.
  record.change = WIRE_CGROUP_REMOVED;
  EXPECT_EQ(events(), 1u);
}

TEST(DecoderTest, TheJitterOfTwoClocksDoesNotChangeTheOrderOfEvents) {
  Decoder decoder(kNow);
  decoder.SetBootTime(kNow + kClockStep - absl::Nanoseconds(1));
  decoder.SetBootTime(kNow - kClockStep + absl::Nanoseconds(1));
  EXPECT_EQ(decoder.boot_time(), kNow);
  decoder.SetBootTime(kNow - kClockStep);
  EXPECT_EQ(decoder.boot_time(), kNow - kClockStep);
}

TEST(BootTimeTest, IsTheWallClockLessWhatHasPassedSinceTheBoot) {
  const ManualClock wall(kNow);
  const absl::Duration before = SinceBoot();
  const absl::Time boot = BootTime(wall);
  EXPECT_LE(boot, kNow - before);
  EXPECT_GE(boot, kNow - SinceBoot());
}

}  // namespace
}  // namespace vedette
