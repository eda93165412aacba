// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/default_cover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "agent/enrich/cgroup_path.h"
#include "agent/profile/profiles_fixture.h"

namespace vedette {
namespace {

constexpr CodeKey kDpkg = {.inode = 71};
constexpr CodeKey kShell = {.inode = 72};
constexpr CodeKey kImpostor = {.inode = 73};

std::vector<DefaultProfile> Builtin() { return LoadDefaultProfiles("builtin").value(); }

DefaultCover CoverOf(std::vector<DefaultProfile> profiles) {
  return DefaultCover(std::move(profiles), [](const CodeKey& code, const std::string& path) {
    return code == kDpkg && path == "/usr/bin/dpkg";
  });
}

std::string NameOf(const DefaultProfile* profile) { return profile ? profile->name : ""; }

TEST(DefaultCoverTest, WhatIsShippedMeetsTheNamesThatCgroupsGive) {
  const DefaultCover cover = CoverOf(Builtin());
  const std::pair<const char*, const char*> paths[] = {
      {"/user.slice/user-0.slice/session-3.scope", "login session"},
      {"/user.slice/user-1000.slice/session-c12.scope", "login session"},
      {"/user.slice/user-1000.slice/user@1000.service/init.scope", "login session"},
      {"/system.slice/apt-daily.service", "package manager"},
      {"/system.slice/apt-daily-upgrade.service", "package manager"},
      {"/system.slice/dnf-automatic-install.service", "package manager"},
      {"/system.slice/containerd.service", "container runtime"},
      {"/system.slice/docker.service", "container runtime"},
      {"/machine.slice/libpod-conmon-"
       "5c3a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef0123456789abcd.scope",
       "container runtime"},
      {"/system.slice/kubelet.service", "kubelet"},
      {"/system.slice/k3s.service", "kubelet"}};
  for (const auto& [path, name] : paths) {
    EXPECT_EQ(NameOf(cover.OfWorkload(ParseCgroupPath(path).workload)), name)
        << path << " is " << ParseCgroupPath(path).workload;
  }
}

TEST(DefaultCoverTest, NobodyEscapesByAName) {
  const DefaultCover cover = CoverOf(Builtin());
  for (const char* path :
       {"/system.slice/nginx.service", "/system.slice/nginx.service/apt-daily.service",
        "/system.slice/apt-daily.service.d/x.service", "/apt-daily.service",
        "/system.slice/ssh.service", "/system.slice/cron.service",
        // A user's manager starts what the user says, under any name.
        "/user.slice/user-1000.slice/user@1000.service/app.slice/apt-daily.service",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/session-1.scope",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-"
        "5c3a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef0123456789abcd.scope",
        // A container is a container, whatever it makes below itself.
        "/system.slice/docker-5c3a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef0123456789abcd"
        ".scope/system.slice/apt-daily.service",
        "/lxc/apt-daily.service", "/lxc.payload.x/system.slice/apt-daily.service"}) {
    EXPECT_EQ(NameOf(cover.OfWorkload(ParseCgroupPath(path).workload)), "")
        << path << " is " << ParseCgroupPath(path).workload;
  }
}

// A service in which something runs below the package manager.
class CoverTest : public ProfilesTest {
 protected:
  CoverTest() {
    events_.workload = "host/system.slice/puppet.service";
    events_.program = "/opt/puppet";
    options_.defaults = &cover_;
    Reopen();
  }
  // A shell below dpkg starts a program; `dpkg` is the code at its path in the lineage.
  EnrichedEvent Postinst(const std::string& program, const CodeKey& dpkg) {
    TestEvents shell = events_;
    shell.program = "/usr/bin/dash";
    EnrichedEvent e = shell.Exec(program, "p1");
    auto& exec = std::get<ExecEvent>(e.event.body);
    exec.parent_code = kShell;
    exec.process.ancestors = {{{1, 8}, dpkg, "dpkg"}};
    ProcessInfo parent;
    parent.code.path = "/usr/bin/dpkg";
    e.ancestors = {parent};
    return e;
  }
  DefaultCover cover_ = CoverOf(Builtin());
  void KnowDpkg() { Judge(events_.Exec("/usr/bin/dpkg")); }
};

TEST_F(CoverTest, WhatAKnownPackageManagerStartsIsCoveredAndSaysWhy) {
  KnowDpkg();
  Freeze();
  const ScoredEvent scored = Judge(Postinst("/usr/sbin/ldconfig", kDpkg));
  EXPECT_EQ(scored.judgement, Judgement::kDeviation);
  EXPECT_EQ(scored.default_profile, "package manager");
  EXPECT_EQ(scored.covered_by, "below /usr/bin/dpkg");
  EXPECT_EQ(Judge(events_.Exec("/tmp/evil")).default_profile, "") << "the service's own act";
}

TEST_F(CoverTest, SoAreTheFilesThatItMakes) {
  KnowDpkg();
  Freeze();
  TestEvents dpkg = events_;
  dpkg.program = "/usr/bin/dpkg";
  EnrichedEvent unpacked = dpkg.File(FileVerb::kCreate, "/usr/bin/tool.dpkg-new");
  std::get<FileEvent>(unpacked.event.body).process.code = kDpkg;
  const ScoredEvent scored = Judge(unpacked);
  EXPECT_EQ(scored.judgement, Judgement::kDeviation);
  EXPECT_EQ(scored.covered_by, "by /usr/bin/dpkg");
  std::get<FileEvent>(unpacked.event.body).process.code = kImpostor;
  std::get<FileEvent>(unpacked.event.body).path = "/usr/bin/other.dpkg-new";
  EXPECT_EQ(Judge(unpacked).default_profile, "");
  EXPECT_EQ(Judge(events_.File(FileVerb::kCreate, "/usr/bin/evil")).default_profile, "");
}

TEST_F(CoverTest, AServiceThatNeverRanThePackageManagerDoesNotHideBehindIt) {
  Judge(events_.Exec("/bin/a"));
  Freeze();
  EXPECT_EQ(Judge(events_.Exec("/usr/bin/dpkg")).default_profile, "");
  EXPECT_EQ(Judge(Postinst("/bin/sh", kDpkg)).default_profile, "");
}

TEST_F(CoverTest, AnotherFileAtThatPathIsNotThePackageManager) {
  KnowDpkg();
  Freeze();
  EXPECT_EQ(Judge(Postinst("/bin/sh", kImpostor)).default_profile, "");
}

TEST_F(CoverTest, WhatIsNotOfTheHostIsNotCovered) {
  KnowDpkg();
  Freeze();
  EnrichedEvent memfd = Postinst("/memfd:x", kDpkg);
  memfd.process.code.origin = CodeOrigin::kMemfd;
  EXPECT_EQ(Judge(memfd).default_profile, "");
  events_.workload = "container/docker/apt";
  KnowDpkg();
  Freeze();
  EXPECT_EQ(Judge(Postinst("/bin/sh", kDpkg)).default_profile, "");
}

// The workload of the process that is first on every host.
class ServiceManagerTest : public ProfilesTest {
 protected:
  ServiceManagerTest() {
    events_.workload = "host/init.scope";
    events_.program = "/usr/lib/systemd/systemd";
    options_.defaults = &cover_;
    Reopen();
    Judge(events_.Exec("/usr/lib/systemd/system-generators/cron"));
    Freeze();
  }
  DefaultCover cover_ = CoverOf(Builtin());
};

TEST_F(ServiceManagerTest, ThatItSignalsWhatItManagesIsNoFinding) {
  for (const uint32_t signal : {SIGTERM, SIGKILL, SIGHUP}) {
    EXPECT_EQ(Judge(events_.Signal(signal, "host/system.slice/nginx.service")).judgement,
              Judgement::kLearned);
  }
  EXPECT_EQ(Judge(events_.Signal(SIGTERM, "host/system.slice/nginx.service")).judgement,
            Judgement::kKnown);
  Commit();
  Reopen();
  const ProfileDetail detail = profiles_->Show("host/init.scope").value();
  EXPECT_EQ(detail.behaviours.size(), 4u);
  EXPECT_TRUE(detail.deviations.empty());
  EXPECT_EQ(detail.summary.expected,
            (std::map<std::string, std::string>{{"signal", "service manager"}}));
  EXPECT_EQ(detail.summary.default_profile, "") << "only its signals";
  EXPECT_EQ(ToJson(detail.summary)["expected"]["signal"], "service manager");
}

TEST_F(ServiceManagerTest, WhatElseItDoesIsJudgedAsEver) {
  for (EnrichedEvent act :
       {events_.Exec("/tmp/x"), events_.Connect("evil.example", 443), events_.Module("rootkit")}) {
    const ScoredEvent scored = Judge(std::move(act));
    EXPECT_EQ(scored.judgement, Judgement::kDeviation);
    EXPECT_EQ(scored.default_profile, "");
  }
}

TEST_F(ServiceManagerTest, NobodyElseIsExpectedToSignal) {
  for (const char* workload : {"host/system.slice/nginx.service", "host/system.slice/init.scope",
                               "container/docker/init.scope", "host/x/init.scope"}) {
    events_.workload = workload;
    Judge(events_.Exec("/bin/a"));
    Freeze();
    EXPECT_EQ(Judge(events_.Signal(SIGTERM, "host/system.slice/cron.service")).judgement,
              Judgement::kDeviation)
        << workload;
  }
}

// Its signals do not vouch for a program that took its place.
TEST_F(ServiceManagerTest, AnotherContentOfItIsStillANewRevision) {
  events_.program_sha256 = "bb22";
  Judge(events_.Signal(SIGTERM, "host/system.slice/nginx.service"));
  const ScoredEvent scored = Judge(events_.Exec("/usr/lib/systemd/system-generators/cron"));
  EXPECT_EQ(scored.judgement, Judgement::kDeviation);
  EXPECT_TRUE(scored.new_revision);
}

TEST_F(ServiceManagerTest, WithoutTheDefaultProfileItIsAFindingAndStaysThatOne) {
  options_.defaults = nullptr;
  Reopen();
  Judge(events_.Exec("/bin/a"));
  Freeze();
  const EnrichedEvent stop = events_.Signal(SIGTERM, "host/system.slice/nginx.service");
  EXPECT_EQ(Judge(stop).judgement, Judgement::kDeviation);
  Commit();
  options_.defaults = &cover_;
  Reopen();
  EXPECT_EQ(Judge(stop).judgement, Judgement::kDeviation) << "it was told, and is counted for that";
}

TEST_F(CoverTest, AWorkloadThatIsCoveredIsLearnedAndJudgedAsAnyOther) {
  events_.workload = "host/user.slice/user-0.slice/session.scope";
  EXPECT_EQ(Judge(events_.Exec("/bin/ls")).judgement, Judgement::kLearned);
  Freeze();
  const ScoredEvent scored = Judge(events_.Exec("/tmp/x"));
  EXPECT_EQ(scored.judgement, Judgement::kDeviation);
  EXPECT_EQ(scored.default_profile, "login session");
  EXPECT_EQ(scored.covered_by, "");
  EXPECT_EQ(Judge(events_.With(OverflowEvent())).default_profile, "login session");
  EXPECT_EQ(profiles_->List()[0].default_profile, "login session");
  options_.defaults = nullptr;
  Reopen();
  Freeze();
  Judge(events_.Exec("/bin/ls"));
  Freeze();
  EXPECT_EQ(Judge(events_.Exec("/tmp/x")).default_profile, "");
}

}  // namespace
}  // namespace vedette
