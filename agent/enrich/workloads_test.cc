// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/workloads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
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
}

TEST(WorkloadTableTest, WhatWasDoneUnderANumberThatACgroupHadInPassingIsItsWorkloads) {
  WorkloadTable::Limits limits;
  limits.passing_numbers = 2;
  WorkloadTable table("c", From(1000), limits);
  table.Apply(Cgroup(Change::kCreated, 50, "/a/run-u1.service", 7));
  table.Apply(Cgroup(Change::kCreated, 51, "/a/run-u2.service", 8));
  ASSERT_NE(table.FindNumber(8), nullptr);
  EXPECT_EQ(table.FindNumber(8)->number, 7u);
  for (uint64_t i = 9; i < 11; ++i) {
    table.Apply(Cgroup(Change::kCreated, 43 + i, "/a/run-u2.service", i));
  }
  EXPECT_EQ(table.FindNumber(8), nullptr);  // A bound, the oldest go first.
  EXPECT_NE(table.FindNumber(10), nullptr);
}

TEST(WorkloadTableTest, TheCgroupsThatAreThereCanBeListed) {
  WorkloadTable table("c", From(1000));
  table.Apply(Cgroup(Change::kCreated, 50, "/a", 7));
  table.Apply(Cgroup(Change::kCreated, 51, "/b", 8));
  table.Apply(Cgroup(Change::kRemoved, 50, "/a", 7));
  EXPECT_EQ(table.LiveCgroups(), std::vector<uint64_t>{51});
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

// Names containers as a runtime would that writes its files when the test says so.
class NamedWorkloadsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    table_.SetNamer([this](const CgroupName& cgroup, std::string_view) {
      ++asked_;
      auto name = names_.find(cgroup.container_id);
      return name == names_.end() ? absl::StatusOr<ContainerIdentity>(error_)
                                  : ContainerIdentity{name->second, "podman"};
    });
  }
  static std::string Id(char digit) { return std::string(64, digit); }
  static std::string Path(char digit) { return "/machine.slice/libpod-" + Id(digit) + ".scope"; }
  std::optional<Binding> Make(uint64_t cgroup, const std::string& path, uint64_t number) {
    return table_.Apply(Cgroup(Change::kCreated, cgroup, path, number));
  }
  void Remove(uint64_t cgroup) { table_.Apply(Cgroup(Change::kRemoved, cgroup, "", 0)); }
  std::string WorkloadOf(uint64_t cgroup) const { return table_.FindCgroup(cgroup)->workload; }
  uint64_t Count(std::string_view reason) const { return table_.reasons().count(reason); }

  std::map<std::string, std::string> names_;
  absl::Status error_ = absl::NotFoundError("not there");
  int asked_ = 0;
  WorkloadTable table_{"c", From(1000), {.unnamed = 2, .tries = 3}};
};

TEST_F(NamedWorkloadsTest, AContainerMadeAnewIsTheSameWorkload) {
  names_ = {{Id('a'), "container/podman/web"}, {Id('b'), "container/podman/web"}};
  EXPECT_EQ(Make(50, Path('a'), 7), (Binding{50, 7, true}));
  Remove(50);
  EXPECT_EQ(Make(51, Path('b'), 8), (Binding{51, 7, true}));
  EXPECT_EQ(WorkloadOf(51), "container/podman/web");
  EXPECT_EQ(table_.FindNumber(7)->identity, "spiffe://c/container/podman/web");
  EXPECT_EQ(table_.unnamed_count(), 0u);
}

TEST_F(NamedWorkloadsTest, CgroupsBelowAreNamedAsTheirContainerWithoutAskingAgain) {
  names_ = {{Id('a'), "container/podman/web"}};
  Make(50, Path('a'), 7);
  Make(51, Path('a') + "/container", 7);
  EXPECT_EQ(WorkloadOf(51), "container/podman/web");
  EXPECT_EQ(asked_, 1);
  // The same container, started again under another name.
  Remove(50);
  Remove(51);
  names_[Id('a')] = "container/podman/db";
  Make(52, Path('a'), 9);
  EXPECT_EQ(WorkloadOf(52), "container/podman/db");
}

TEST_F(NamedWorkloadsTest, ANameThatComesLateMovesTheContainer) {
  Make(50, Path('a'), 7);
  Make(51, Path('a') + "/container", 7);
  const std::string by_id = "container/podman/aaaaaaaaaaaa";
  EXPECT_EQ(WorkloadOf(50), by_id);
  EXPECT_EQ(table_.NameLate(), std::vector<Binding>());
  names_ = {{Id('a'), "container/podman/web"}};
  // A number of its own: the kernel has to tell the workload all that it already told the other.
  EXPECT_THAT(table_.NameLate(),
              testing::UnorderedElementsAre(Binding{50, 1000, true}, Binding{51, 1000, true}));
  EXPECT_EQ(WorkloadOf(50), "container/podman/web");
  EXPECT_EQ(WorkloadOf(51), "container/podman/web");
  EXPECT_TRUE(table_.IsRunning("container/podman/web"));
  EXPECT_FALSE(table_.IsRunning(by_id));
  EXPECT_EQ(Count("named_late"), 1u);
  EXPECT_EQ(Count("no_metadata"), 0u);
  EXPECT_EQ(table_.NameLate(), std::vector<Binding>());
  Make(52, Path('a') + "/later", 1000);
  EXPECT_EQ(WorkloadOf(52), "container/podman/web");
  Remove(50);
  Remove(51);
  Remove(52);
  EXPECT_FALSE(table_.IsRunning("container/podman/web"));
}

TEST_F(NamedWorkloadsTest, ANameThatNeverComesIsWaitedForSoManyTimes) {
  Make(50, Path('a'), 7);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(table_.NameLate(), std::vector<Binding>());
  }
  EXPECT_EQ(asked_, 1 + 3);
  EXPECT_EQ(Count("no_metadata"), 1u);
  EXPECT_EQ(WorkloadOf(50), "container/podman/aaaaaaaaaaaa");
  EXPECT_EQ(table_.unnamed_count(), 0u);
}

TEST_F(NamedWorkloadsTest, AContainerThatEndsBeforeItsNameComesIsForgotten) {
  Make(50, Path('a'), 7);
  Remove(50);
  EXPECT_EQ(table_.unnamed_count(), 0u);
  EXPECT_EQ(Count("no_metadata"), 1u);
  names_ = {{Id('a'), "container/podman/web"}};
  EXPECT_EQ(table_.NameLate(), std::vector<Binding>());
}

TEST_F(NamedWorkloadsTest, OnlySoManyAreWaitedFor) {
  for (const char digit : {'a', 'b', 'c', 'd'}) {
    Make(static_cast<uint64_t>(digit), Path(digit), 7);
  }
  EXPECT_EQ(table_.unnamed_count(), 2u);
  EXPECT_EQ(Count("unnamed_full"), 2u);
}

TEST_F(NamedWorkloadsTest, AFileThatCannotBeUsedIsCountedOnceForItsContainer) {
  error_ = absl::InvalidArgumentError("/x is not JSON");
  Make(50, Path('a'), 7);
  table_.NameLate();
  EXPECT_EQ(Count("metadata_unreadable"), 1u);
}

TEST_F(NamedWorkloadsTest, WhatIsNotNamedByAnIdIsNotAskedFor) {
  Make(50, "/system.slice/nginx.service", 7);
  Make(51, "/lxc/web", 8);
  Make(52, "/default/web", 9);
  Make(53, "/system.slice/web.service/libpod-payload-" + Id('a'), 10);
  EXPECT_EQ(asked_, 0);
  EXPECT_EQ(WorkloadOf(53), "host/system.slice/web.service");
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
