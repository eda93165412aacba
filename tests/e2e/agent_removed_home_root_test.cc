// SPDX-License-Identifier: Apache-2.0
// A process outlives the cgroup that says whose it is.
#include "agent/pipeline/cache_keeper.h"
#include "tests/kernel/probe_fixture.h"

namespace vedette::testing {
namespace {

constexpr absl::Duration kBeyondGrace = absl::Seconds(61);

class RemovedHomeTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    Attach();
    db_ = SqliteDatabase::Open(dir_ / "vedette.db").value();
    Enricher::Options enrich;
    enrich.cluster = "test";
    enrich.boot_id = "boot";
    enricher_ = Enricher::Create(std::move(enrich)).value();
    profiles_ = Profiles::Load(db_.get(), &clock_, {}).value();
    bindings_ = CacheBindings::Load(db_.get(), "boot", /*adopted=*/false).value();
    keeper_ = std::make_unique<CacheKeeper>(CacheKeeperParts{.clock = &clock_,
                                                             .steady = &clock_,
                                                             .cache = &cache(),
                                                             .enricher = enricher_.get(),
                                                             .profiles = profiles_.get(),
                                                             .bindings = bindings_.get()});
  }
  void Tell(CgroupEvent::Change change, uint64_t cgroup_id) {
    CgroupEvent cgroup;
    cgroup.change = change;
    cgroup.cgroup_id = cgroup_id;
    cgroup.workload_number = WorkloadOf(cgroup_id);
    Event event;
    event.body = cgroup;
    keeper_->BindCgroups(event);
  }
  void LetGraceEnd() {
    clock_.Advance(kBeyondGrace);
    keeper_->ForgetLeft();
  }

  TempDir dir_{"vedette-removed-home"};
  ManualClock clock_{absl::FromUnixSeconds(1'800'000'000)};
  std::unique_ptr<SqliteDatabase> db_;
  std::unique_ptr<Enricher> enricher_;
  std::unique_ptr<Profiles> profiles_;
  std::unique_ptr<CacheBindings> bindings_;
  std::unique_ptr<CacheKeeper> keeper_;
};

TEST_F(RemovedHomeTest, AProcessThatWasMovedOutKeepsItsWorkloadAfterItsCgroupIsGone) {
  const ScopedCgroup elsewhere = WatchedCgroup();
  std::optional<ScopedCgroup> home(WatchedCgroup());
  const uint64_t id = home->id();
  const uint64_t number = WorkloadOf(id);
  Tell(CgroupEvent::Change::kCreated, id);
  absl::StatusOr<Child> child =
      home->Spawn({"sh", "-c", "read begin; " + Actor() + " nothing:later; read end"});
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_TRUE(elsewhere.Move(child->pid()).ok());
  home.reset();
  Tell(CgroupEvent::Change::kRemoved, id);
  LetGraceEnd();
  LetGraceEnd();
  EXPECT_EQ(cache().NumberOf(id), number);
  EXPECT_EQ(ErrorCount("no_instance"), 0u);
  ASSERT_TRUE(child->Write("begin\n"));
  const auto exec = AwaitExec("nothing:later");
  ASSERT_TRUE(exec);
  EXPECT_EQ(exec->header.slot.workload_number, number);
  EXPECT_EQ(exec->header.reason, Reason::kNews);
  EXPECT_EQ(exec->body.process.workload_number, number);

  // With its last process the cgroup goes as well, and with it a workload that has no other.
  ASSERT_TRUE(child->Write("end\n"));
  ASSERT_TRUE(child->Wait().ok());
  LetGraceEnd();
  EXPECT_EQ(cache().NumberOf(id), 0u);
  EXPECT_FALSE(cache().DropUnused(number)) << "it was dropped already";
}

TEST_F(RemovedHomeTest, ACgroupThatNobodyIsAtHomeInIsForgottenThoughItsWorkloadRuns) {
  const ScopedCgroup stays = WatchedCgroup();
  std::optional<ScopedCgroup> goes(WatchedCgroup());
  const uint64_t id = goes->id();
  const uint64_t number = WorkloadOf(stays.id());
  ASSERT_TRUE(cache().BindCgroup({id, number, false, false, false}).ok());
  absl::StatusOr<Child> child = stays.Spawn({"sleep", "1000"});
  ASSERT_TRUE(child.ok()) << child.status();
  goes.reset();
  Tell(CgroupEvent::Change::kRemoved, id);
  LetGraceEnd();
  EXPECT_EQ(cache().NumberOf(id), 0u);
  EXPECT_EQ(cache().NumberOf(stays.id()), number);
}

}  // namespace
}  // namespace vedette::testing
