// SPDX-License-Identifier: Apache-2.0
// How long the pipeline keeps a workload's maps, with real maps and a clock of the test's own.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "agent/pipeline/pipeline.h"
#include "agent/probes/bpffs.h"
#include "tests/support/temp_dir.h"

namespace vedette::testing {
namespace {

constexpr absl::Duration kLongAfterTheGrace = absl::Minutes(10);

class AgentWorkloadsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ProbeOptions options;
    options.pin_dir = pin_dir_;
    options.cgroup_root = FindCgroup2Mount().value();
    options.ring_bytes = 1 << 16;
    auto probes = ProbeSet::Load(options);
    ASSERT_TRUE(probes.ok()) << probes.status();
    probes_ = *std::move(probes);
    cache_ = MakeCache();
    db_ = SqliteDatabase::Open(dir_ / "vedette.db").value();
    bindings_ = CacheBindings::Load(db_.get(), "boot", false).value();
    Enricher::Options enrich;
    enrich.cluster = "test";
    enrich.boot_id = "boot";
    enrich.new_number = [this] { return cache_->TakeNumber().value_or(0); };
    enricher_ = Enricher::Create(std::move(enrich)).value();
    profiles_ = Profiles::Load(db_.get(), &clock_, {}).value();
    correlator_ = Correlator::Load(db_.get(), &clock_, {}).value();
    delivery_ = Delivery::Start(*db_, {}, {}).value();
    bound_ = std::make_unique<StoreBound>(db_.get(), &clock_, StoreBound::Options());
    keeper_ = std::make_unique<CacheKeeper>(CacheKeeperParts{.clock = &clock_,
                                                             .steady = &clock_,
                                                             .cache = cache_.get(),
                                                             .enricher = enricher_.get(),
                                                             .profiles = profiles_.get(),
                                                             .correlator = correlator_.get(),
                                                             .bindings = bindings_.get(),
                                                             .services = &services_,
                                                             .series = &series_});
    cgroups_ = std::make_unique<CgroupWalk>(CgroupWalk::Parts{
        &clock_, &clock_, &enricher_->workloads(),
        [this](uint64_t cgroup) { return cache_->NumberOf(cgroup); }, FindCgroup2Mount().value()});
    pipeline_ = std::make_unique<Pipeline>(PipelineParts{.db = db_.get(),
                                                         .clock = &clock_,
                                                         .steady = &clock_,
                                                         .probes = probes_.get(),
                                                         .decoder = &decoder_,
                                                         .cache = cache_.get(),
                                                         .enricher = enricher_.get(),
                                                         .profiles = profiles_.get(),
                                                         .correlator = correlator_.get(),
                                                         .bindings = bindings_.get(),
                                                         .keeper = keeper_.get(),
                                                         .cgroups = cgroups_.get(),
                                                         .services = &services_,
                                                         .series = &series_,
                                                         .delivery = delivery_.get(),
                                                         .bound = bound_.get(),
                                                         .hub = &hub_});
    pipeline_->Start();
  }
  void TearDown() override {
    pipeline_.reset();
    delivery_.reset();
    probes_.reset();  // Removes the pins.
    EXPECT_FALSE(std::filesystem::exists(pin_dir_));
  }

  std::unique_ptr<VerdictCache> MakeCache() {
    VerdictCacheOptions options;
    options.cpus = libbpf_num_possible_cpus();
    auto cache = std::make_unique<VerdictCache>(
        [this](std::string_view name) { return probes_->MapFd(name); }, options);
    const absl::Status configured = cache->Configure({1, 2}, 1 << 15, false);
    EXPECT_TRUE(configured.ok()) << configured;
    return cache;
  }
  void OnPipeline(const std::function<void()>& task) {
    const absl::Status asked = pipeline_->Ask([&] {
      task();
      return absl::OkStatus();
    });
    ASSERT_TRUE(asked.ok()) << asked;
  }
  // As the kernel tells it: `number` is its own, not yet judged.
  void CgroupMade(uint64_t id, const std::string& path, uint64_t number) {
    OnPipeline([&] {
      Event event;
      event.header.time = clock_.Now();
      event.body = CgroupEvent{CgroupEvent::Change::kCreated, id, 1, path, number};
      std::vector<Event> events;
      events.push_back(std::move(event));
      pipeline_->Process(std::move(events), Entrance::kRings);
    });
  }
  // What is due is done between two questions, by the questions' own thread.
  void LetTimePass() {
    OnPipeline([this] { clock_.Advance(kLongAfterTheGrace); });
    OnPipeline([] {});
  }

  TempDir dir_;
  const std::string pin_dir_ = fmt::format("/sys/fs/bpf/vedette-test-workloads-{}", getpid());
  ManualClock clock_{absl::Now()};
  Decoder decoder_{BootTime(clock_)};
  std::unique_ptr<ProbeSet> probes_;
  std::unique_ptr<VerdictCache> cache_;
  std::unique_ptr<SqliteDatabase> db_;
  std::unique_ptr<CacheBindings> bindings_;
  std::unique_ptr<Enricher> enricher_;
  std::unique_ptr<Profiles> profiles_;
  std::unique_ptr<Correlator> correlator_;
  std::unique_ptr<Delivery> delivery_;
  std::unique_ptr<StoreBound> bound_;
  EventHub hub_{[] {}};
  ServiceMap services_;
  WorkloadSeries series_{2000};
  std::unique_ptr<CacheKeeper> keeper_;
  std::unique_ptr<CgroupWalk> cgroups_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(AgentWorkloadsTest, ACgroupThatLivesKeepsItsCacheWhoeverGaveTheNumber) {
  const uint64_t number = cache_->TakeNumber().value();
  CgroupMade(7777, "/plain", number);
  LetTimePass();
  OnPipeline([&] {
    EXPECT_FALSE(cache_->DropUnused(number));  // It is used ...
    EXPECT_EQ(cache_->ForgetCgroup(7777), number);
    EXPECT_TRUE(cache_->DropUnused(number));  // ... and its maps were there until now.
  });
}

TEST_F(AgentWorkloadsTest, ANumberThatIsNotNeededAndACgroupThatIsGoneAreLetGo) {
  const uint64_t number = cache_->TakeNumber().value();
  const uint64_t spare = cache_->TakeNumber().value();
  // Two containers of one workload: the second keeps the number of the first.
  const std::string container = "/docker/" + std::string(64, 'a');
  CgroupMade(7777, container, number);
  CgroupMade(8888, container + "/below", spare);
  OnPipeline([&] {
    Event event;
    event.header.time = clock_.Now();
    event.body = CgroupEvent{CgroupEvent::Change::kRemoved, 7777, 1, container, number};
    std::vector<Event> events;
    events.push_back(std::move(event));
    pipeline_->Process(std::move(events), Entrance::kRings);
  });
  LetTimePass();
  OnPipeline([&] {
    EXPECT_FALSE(cache_->DropUnused(spare));  // Its maps are gone already.
    EXPECT_EQ(cache_->ForgetCgroup(7777), 0u);
    EXPECT_EQ(cache_->ForgetCgroup(8888), number);
    EXPECT_TRUE(cache_->DropUnused(number));
  });
}

TEST_F(AgentWorkloadsTest, ASuccessorFindsTheNumbersAndMakesNoMapsForOldOnes) {
  uint64_t number = 0;
  for (int i = 0; i < 200; ++i) {
    number = cache_->TakeNumber().value();
  }
  OnPipeline([&] {
    ASSERT_TRUE(cache_->BindCgroup({.id = 7777, .workload_number = number}).ok());
    const std::unique_ptr<VerdictCache> successor = MakeCache();
    EXPECT_EQ(successor->NumberOf(7777), number);
    EXPECT_FALSE(successor->DropUnused(number));
    EXPECT_FALSE(successor->DropUnused(number - 100));  // It has no maps.
    EXPECT_GT(successor->TakeNumber().value(), number);
  });
}

TEST_F(AgentWorkloadsTest, NoNumberIsGivenTwiceByAgentAndKernel) {
  std::set<uint64_t> taken;
  OnPipeline([&] {
    for (int i = 0; i < 1000; ++i) {
      taken.insert(cache_->TakeNumber().value());
    }
  });
  EXPECT_EQ(taken.size(), 1000u);
  uint32_t zero = 0;
  uint64_t next = 0;
  ASSERT_EQ(bpf_map_lookup_elem(probes_->MapFd("vd_next_workload"), &zero, &next), 0);
  EXPECT_EQ(next, *taken.rbegin() + 1);  // The kernel goes on behind them.
}

}  // namespace
}  // namespace vedette::testing
