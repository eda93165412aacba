// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/probe_fixture.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "agent/probes/bpffs.h"
#include "agent/probes/program_kind.h"
#include "agent/probes/registry.h"
#include "bpf/wire/cache.h"

namespace vedette::testing {
namespace {

constexpr uint32_t kRingBytes = 1 << 20;
constexpr uint32_t kFileEntries = 64;
constexpr size_t kReadAtOnce = 1 << 16;

uint64_t InodeOf(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

}  // namespace

void KernelTest::SetUp() {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
  options_.pin_dir = fmt::format("/sys/fs/bpf/vedette-test/{}-{}-{}", getpid(),
                                 test->test_suite_name(), test->name());
  options_.cgroup_root = CgroupV2Mount().value();
  options_.ring_bytes = kRingBytes;
  Change(options_);
  Load();
}

std::string KernelTest::RefusedProbe() const {
  const std::vector<std::pair<std::string, int>> loaded = probes_->ProgramFds();
  for (const ProbeInfo& probe : AllProbes()) {
    const bool is_wanted = (probe.name != kCapabilityProbe || options_.capabilities) &&
                           (probe.name != kFilesProbe || options_.files) &&
                           (probe.name != kPrivilegeProbe || options_.privilege);
    const auto is_of_probe = [&](const auto& program) {
      return IsOfProbe(program.first, probe.name);
    };
    // Of this one the test itself knows that kernels lack it.
    if (is_wanted && probe.name != kCapabilityProbe &&
        std::none_of(loaded.begin(), loaded.end(), is_of_probe)) {
      return std::string(probe.name);
    }
  }
  return "";
}

void KernelTest::KillAndLoad() {
  rings_.clear();
  cache_.reset();
  probes_->Abandon();
  probes_.reset();
  Load();
}

void KernelTest::Load() {
  absl::StatusOr<std::unique_ptr<ProbeSet>> probes = ProbeSet::Load(options_);
  ASSERT_TRUE(probes.ok()) << probes.status();
  probes_ = *std::move(probes);
  // On kernels that refuse one of them nothing that a test looks at can come, unless it spoils
  // objects of its own to see just that.
  const bool is_own = options_.objects.data() != EmbeddedBpfObjects().data();
  if (const std::string refused = RefusedProbe(); !refused.empty() && !is_own) {
    GTEST_SKIP() << "needs probe " << refused;
  }
  VerdictCacheOptions cache;
  cache.cpus = libbpf_num_possible_cpus();
  cache.entries[kFileCache] = options_.files ? kFileEntries : 0;
  ChangeCache(cache);
  cache_ = std::make_unique<VerdictCache>(
      [this](std::string_view name) { return probes_->MapFd(name); }, cache);
  absl::Status configured = cache_->Configure({0x0123456789abcdef, 0xfedcba9876543210},
                                              kRingBytes / 2, /*tap_all=*/false);
  ASSERT_TRUE(configured.ok()) << configured;
  decoder_ = std::make_unique<Decoder>(BootTime());
  std::vector<const char*> rings = {"vd_ring_code", "vd_ring_flow", "vd_ring_tap"};
  if (options_.files) {
    rings.push_back("vd_ring_file");
  }
  for (const char* name : rings) {
    absl::StatusOr<std::unique_ptr<RingReader>> ring =
        RingReader::Open(probes_->MapFd(name), kRingBytes);
    ASSERT_TRUE(ring.ok()) << ring.status();
    rings_.push_back(*std::move(ring));
  }
  BindRoot();
}

void KernelTest::TearDown() {
  rings_.clear();
  cache_.reset();
  if (probes_) {
    probes_->Remove();
    probes_.reset();
  }
}

void KernelTest::KillAgent() {
  rings_.clear();
  cache_.reset();
  probes_->Abandon();
  probes_.reset();
}

// The test's own processes are in the root, or in a cgroup that stands for it: who leaves it is
// being placed.
void KernelTest::BindRoot() {
  const std::string mount = CgroupV2Mount().value();
  root_id_ = InodeOf(mount);
  const std::string own = ReadFile("/proc/self/cgroup");
  const size_t at = own.find("0::");
  const std::string path = own.substr(at + 3, own.find('\n', at) - at - 3);
  for (uint64_t id : {root_id_, InodeOf(mount + path)}) {
    absl::StatusOr<uint64_t> number = cache_->BindCgroup({id, 0, false, false, /*unplaced=*/true});
    ASSERT_TRUE(number.ok()) << number.status();
  }
}

void KernelTest::Attach() {
  probes_->Attach();
  for (const ProbeStatus& probe : probes_->statuses()) {
    ASSERT_TRUE(probe.ok) << probe.name << ": " << probe.reason;
  }
  RunIterator("scan_processes");
}

uint64_t KernelTest::WorkloadOf(uint64_t cgroup_id) {
  wire_instance instance = {};
  bpf_map_lookup_elem(probes_->MapFd("vd_instances"), &cgroup_id, &instance);
  return instance.workload;
}

void KernelTest::Tap(uint64_t workload_number) {
  ASSERT_NE(workload_number, 0u);
  absl::Status prepared = cache_->PrepareWorkloads();
  ASSERT_TRUE(prepared.ok()) << prepared;
  absl::Status tapped = cache_->SetTap(workload_number, true);
  ASSERT_TRUE(tapped.ok()) << tapped;
}

ScopedCgroup KernelTest::WatchedCgroup(std::string_view suffix) {
  absl::StatusOr<ScopedCgroup> cgroup = ScopedCgroup::Create("/", suffix);
  EXPECT_TRUE(cgroup.ok()) << cgroup.status();
  Tap(WorkloadOf(cgroup->id()));
  return *std::move(cgroup);
}

std::unique_ptr<RuncContainer> KernelTest::WatchedContainer(const RuncOptions& options) {
  absl::StatusOr<std::unique_ptr<RuncContainer>> container = RuncContainer::Start(options);
  EXPECT_TRUE(container.ok()) << container.status();
  Tap(WorkloadOf(InodeOf(CgroupV2Mount().value() + (*container)->cgroup_path())));
  return *std::move(container);
}

uint64_t KernelTest::Watch(const ScopedCgroup& cgroup) {
  absl::StatusOr<uint64_t> number = cache_->BindCgroup({cgroup.id(), 0, false, false, false});
  EXPECT_TRUE(number.ok()) << number.status();
  Tap(*number);
  return *number;
}

void KernelTest::ReadRings() {
  for (const std::unique_ptr<RingReader>& ring : rings_) {
    ring->Read(kReadAtOnce, [this](std::string_view record) {
      absl::Status decoded = decoder_->Decode(record, events_);
      EXPECT_TRUE(decoded.ok()) << decoded;
      records_.emplace_back(record);
    });
    ring->Acknowledge(ring->position());
  }
  cache_->PrepareWorkloads().IgnoreError();
}

std::optional<Seen<ExecEvent>> KernelTest::AwaitExec(std::string_view marker) {
  return Await<ExecEvent>(
      [&](const ExecEvent& exec) { return exec.argv.size() > 1 && exec.argv[1] == marker; });
}

std::optional<Seen<ExitEvent>> KernelTest::AwaitExit(const ExecId& id) {
  return Await<ExitEvent>([&](const ExitEvent& exit) { return exit.process.id == id; });
}

std::optional<Seen<FlowEvent>> KernelTest::AwaitFlow(
    FlowStage stage, uint64_t home_cgroup_id,
    const std::function<bool(const FlowEvent&)>& matches) {
  return Await<FlowEvent>([&](const FlowEvent& flow) {
    return flow.stage == stage && flow.process.home_cgroup_id == home_cgroup_id && matches(flow);
  });
}

std::vector<Event> KernelTest::RunIterator(std::string_view program, int map_fd) {
  ProbeSet::IteratorTarget target;
  target.map_fd = map_fd;
  absl::StatusOr<std::string> bytes = probes_->RunIterator(program, target);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  std::vector<Event> seen;
  absl::Status decoded = decoder_->DecodeAll(bytes.value_or(""), seen);
  EXPECT_TRUE(decoded.ok()) << decoded;
  return seen;
}

uint64_t KernelTest::ErrorCount(std::string_view reason) const {
  for (const auto& [name, count] : cache_->ReadErrors().by_reason) {
    if (name == reason) {
      return count;
    }
  }
  ADD_FAILURE() << "no error is called " << reason;
  return 0;
}

uint32_t NamespaceId(pid_t pid, std::string_view name) {
  return static_cast<uint32_t>(InodeOf(fmt::format("/proc/{}/ns/{}", pid, name)));
}

uint64_t BootNow() {
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

IpAddress Ip(std::string_view text) {
  IpAddress address;
  const std::string copy(text);
  if (inet_pton(AF_INET, copy.c_str(), &address.bytes[12]) == 1) {
    address.bytes[10] = address.bytes[11] = 0xff;
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, copy.c_str(), address.bytes.data()), 1) << text;
  }
  return address;
}

long NumberIn(std::string_view text, std::string_view name) {
  const std::string wanted = fmt::format("{}=", name);
  const size_t at = text.find(wanted);
  EXPECT_NE(at, std::string_view::npos) << "no " << wanted << " in: " << text;
  return at == std::string_view::npos
             ? -1
             : strtol(std::string(text.substr(at + wanted.size())).c_str(), nullptr, 10);
}

}  // namespace vedette::testing
