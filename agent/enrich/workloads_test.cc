// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/workloads.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "fmt/format.h"

namespace vedette {
namespace {

using Change = CgroupEvent::Change;

CgroupEvent Cgroup(Change change, uint64_t id, std::string path, uint64_t number) {
  return {.change = change,
          .cgroup_id = id,
          .parent_id = 1,
          .path = std::move(path),
          .workload_number = number};
}

WorkloadTable::NumberSource From(uint64_t first) {
  return [next = first]() mutable { return next++; };
}

TEST(WorkloadTableTest, ANewInstanceKeepsTheKernelsNumberAndPassesItDown) {
  WorkloadTable table("c", From(1000));
  EXPECT_EQ(table.Apply(Cgroup(Change::kCreated, 50, "/system.slice/nginx.service", 7)),
            (Binding{50, 7, true}));
  const WorkloadTable::Entry* entry = table.FindCgroup(50);
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->workload, "host/system.slice/nginx.service");
  EXPECT_EQ(entry->instance.runtime, "systemd");
  EXPECT_EQ(table.FindNumber(7)->identity, "spiffe://c/host/system.slice/nginx.service");
}

TEST(WorkloadTableTest, APlainCgroupWithItsOwnNumberNeedsNoBinding) {
  WorkloadTable table("c", From(1000));
  EXPECT_EQ(table.Apply(Cgroup(Change::kCreated, 50, "/a/b", 7)), std::nullopt);
  EXPECT_EQ(table.FindNumber(7)->name, "host/a/b");
}

TEST(WorkloadTableTest, AKnownNameKeepsItsFirstNumber) {
  WorkloadTable table("c", From(1000));
  table.Apply(Cgroup(Change::kCreated, 50, "/a/run-u1.service", 7));
  EXPECT_EQ(table.Apply(Cgroup(Change::kCreated, 51, "/a/run-u2.service", 8)),
            (Binding{51, 7, true}));
  EXPECT_EQ(table.FindNumber(8), nullptr);
}

TEST(WorkloadTableTest, AStoppedServiceThatReturnsHasItsNumberAgain) {
  WorkloadTable table("c", From(1000));
  table.Apply(Cgroup(Change::kCreated, 50, "/a", 7));
  table.Apply(Cgroup(Change::kRemoved, 50, "/a", 7));
  EXPECT_EQ(table.cgroup_count(), 0u);
  EXPECT_TRUE(table.FindCgroup(50)->removed);  // For events that come late.
  EXPECT_EQ(table.Apply(Cgroup(Change::kCreated, 51, "/a", 8)), (Binding{51, 7, false}));
}

TEST(WorkloadTableTest, ANumberOfAnotherNameIsNotShared) {
  WorkloadTable table("c", From(1000));
  table.Apply(Cgroup(Change::kCreated, 50, "/system.slice/docker.service", 7));
  EXPECT_EQ(table.Apply(Cgroup(Change::kSeen, 51, "/x", 7)), (Binding{51, 1000, false}));
  EXPECT_EQ(table.Apply(Cgroup(Change::kSeen, 52, "/y", 0)), (Binding{52, 1001, false}));
}

TEST(WorkloadTableTest, WithoutAnyNumberTheNameIsStillKnown) {
  WorkloadTable table("c", nullptr);
  EXPECT_EQ(table.Apply(Cgroup(Change::kSeen, 50, "/x", 0)), std::nullopt);
  EXPECT_EQ(table.FindCgroup(50)->workload, "host/x");
  EXPECT_EQ(table.FindNumber(0), nullptr);
  EXPECT_EQ(table.reasons().count("no_number"), 1u);
}

TEST(WorkloadTableTest, SeeingACgroupTwiceChangesNothing) {
  WorkloadTable table("c", From(1000));
  const CgroupEvent seen = Cgroup(Change::kSeen, 50, "/system.slice/a.service", 7);
  const std::optional<Binding> first = table.Apply(seen);
  EXPECT_EQ(table.Apply(seen), first);
  EXPECT_EQ(table.cgroup_count(), 1u);
  table.Apply(Cgroup(Change::kRemoved, 50, "", 0));
  table.Apply(Cgroup(Change::kRemoved, 50, "", 0));
  EXPECT_EQ(table.cgroup_count(), 0u);
}

TEST(WorkloadTableTest, ARemovalAloneStillNamesLateEvents) {
  WorkloadTable table("c", From(1000));
  EXPECT_EQ(table.Apply(Cgroup(Change::kRemoved, 50, "/gone", 7)), std::nullopt);
  EXPECT_EQ(table.FindCgroup(50)->workload, "host/gone");
  EXPECT_EQ(table.cgroup_count(), 0u);
}

TEST(WorkloadTableTest, AFullTableRefusesTheNewAndKeepsTheOld) {
  WorkloadTable table("c", From(1000),
                      {.cgroups = 2, .per_workload = 9, .removed = 1, .idle_names = 1});
  for (uint64_t id = 1; id <= 4; ++id) {
    table.Apply(Cgroup(Change::kCreated, id, fmt::format("/{}", id), id));
  }
  EXPECT_NE(table.FindCgroup(1), nullptr);
  EXPECT_NE(table.FindCgroup(2), nullptr);
  EXPECT_EQ(table.FindCgroup(3), nullptr);
  EXPECT_EQ(table.reasons().count("cgroup_table_full"), 2u);
}

TEST(WorkloadTableTest, AWorkloadWithManyCgroupsLeavesRoomForOthers) {
  WorkloadTable table("c", From(1000), {.cgroups = 10, .per_workload = 4});
  for (uint64_t id = 1; id <= 100; ++id) {
    EXPECT_EQ(table.Apply(Cgroup(Change::kCreated, id, fmt::format("/a.service/{}", id), 7)),
              (Binding{id, 7, true}));
  }
  EXPECT_EQ(table.cgroup_count(), 4u);
  EXPECT_EQ(table.reasons().count("workload_full"), 96u);
  table.Apply(Cgroup(Change::kCreated, 200, "/b.service", 8));
  EXPECT_NE(table.FindCgroup(200), nullptr);
}

TEST(WorkloadTableTest, ChurnStaysBounded) {
  WorkloadTable table("c", From(1 << 20),
                      {.cgroups = 4, .per_workload = 9, .removed = 3, .idle_names = 2});
  for (uint64_t id = 1; id <= 1000; ++id) {
    table.Apply(Cgroup(Change::kCreated, id, fmt::format("/{}", id), id));
    table.Apply(Cgroup(Change::kRemoved, id, "", id));
  }
  EXPECT_EQ(table.cgroup_count(), 0u);
  EXPECT_EQ(table.name_count(), 3u + 2u);
  EXPECT_NE(table.FindCgroup(998), nullptr);
  EXPECT_EQ(table.FindCgroup(997), nullptr);
  EXPECT_EQ(table.FindNumber(995), nullptr);
  EXPECT_NE(table.FindNumber(996), nullptr);
  EXPECT_EQ(table.reasons().counts().size(), 0u);
}

TEST(WorkloadTableTest, AWorkloadRunsWhileAnyOfItsCgroupsIsThere) {
  WorkloadTable table("c", From(1000));
  EXPECT_FALSE(table.IsRunning("host/app"));
  table.Apply(Cgroup(Change::kRemoved, 49, "/app", 6));  // Seen for the first time when it goes.
  EXPECT_FALSE(table.IsRunning("host/app"));
  table.Apply(Cgroup(Change::kCreated, 50, "/app", 7));
  table.Apply(Cgroup(Change::kCreated, 51, "/app", 7));
  table.Apply(Cgroup(Change::kRemoved, 50, "", 7));
  table.Apply(Cgroup(Change::kRemoved, 50, "", 7));
  EXPECT_TRUE(table.IsRunning("host/app"));
  table.Apply(Cgroup(Change::kRemoved, 51, "", 7));
  EXPECT_FALSE(table.IsRunning("host/app"));
}

TEST(WorkloadTableTest, ANewBootGivesTheSameNamesAndIdentities) {
  const std::string path = "/system.slice/system-pg.slice/pg@main.service";
  WorkloadTable before("c", From(1000));
  before.Apply(Cgroup(Change::kSeen, 50, path, 7));
  WorkloadTable after("c", From(1000));
  after.Apply(Cgroup(Change::kSeen, 91, path, 3));
  EXPECT_EQ(before.FindNumber(7)->name, after.FindNumber(3)->name);
  EXPECT_EQ(before.FindNumber(7)->identity, after.FindNumber(3)->identity);
}

}  // namespace
}  // namespace vedette
