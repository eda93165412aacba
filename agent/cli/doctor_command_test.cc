// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "agent/cli/cli_fixture.h"

namespace vedette {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

using DoctorCommandTest = CliTest;

Json Degraded() {
  return Json::parse(
      R"json({"status": "degraded", "version": "0.1.0", "node": "n1", "kernel": "6.1.0",
    "tier": "tracepoint", "uptime_seconds": 3725,
    "problems": ["probe udp: refused by the kernel"],
    "probes": [{"name": "tcp", "state": "ok", "reason": "", "programs": ["tcp_a", "tcp_b"]},
               {"name": "udp", "state": "degraded", "reason": "refused by the kernel", "programs": []}],
    "ledger": [{"stage": "kernel", "counter": "cpu0/code", "received": 10, "delivered": 7,
                "dropped": {"ring-full": 3}, "lost": 3, "in_flight": 0},
               {"stage": "kernel", "counter": "cpu1/code", "received": 5, "delivered": 4,
                "dropped": {"ring-full": 1}, "lost": 1, "in_flight": 0},
               {"stage": "correlate", "counter": "events", "received": 9, "delivered": 2,
                "dropped": {"no-finding": 7, "repeat": 0}, "lost": 0, "in_flight": 0},
               {"stage": "export", "counter": "jsonl", "received": 2, "delivered": 1,
                "dropped": {}, "in_flight": 1}],
    "store": {"path": "/s/vedette.db", "bytes": 1048576, "max_bytes": 536870912,
              "failed_commits": 2, "findings_aged": 0, "findings_shed": 0},
    "kernel_errors": {"no_process": 3}, "degradations": {"code/too_large": 9, "dns/mismatch": 0},
    "hashing": {"stalls": 1, "hanging_workers": 0}, "bookkeeping": {"told_twice": 1},
    "redaction": {},
    "sinks": [{"name": "jsonl", "state": "ok", "delivered": 2, "waiting": 0, "reason": ""}],
    "cache": [{"name": "code", "workloads": 3, "entries": 17, "limit": 512, "full": 0}],
    "full": [{"workload": "host/build", "caches": "code, flow", "not_judged": 900000}],
    "memory": {"resident_bytes": 20971520, "rings_bytes": 2097152}})json");
}

TEST_F(DoctorCommandTest, DoctorTellsHowItIs) {
  backend_.doctor = Degraded();
  Start();
  EXPECT_EQ(Run({"doctor"}), kExitNo);
  EXPECT_EQ(Out(), R"(vedette 0.1.0 on n1, kernel 6.1.0, tier tracepoint, up 1h 2m: degraded
  ! probe udp: refused by the kernel

PROBE  STATE     PROGRAMS  REASON
tcp    ok               2
udp    degraded         0  refused by the kernel

STAGE      RECEIVED  DELIVERED  UNDER WAY  LOST  DROPPED
kernel           15         11          0     4  ring-full 4
correlate         9          2          0     0  no-finding 7
export            2          1          1     0

IN THE KERNEL  COUNT
no_process         3

INCOMPLETE      COUNT
code/too_large      9

HASHING  COUNT
stalls       1

BOOKKEEPING  COUNT
told_twice       1

SINK   STATE  DELIVERED  WAITING
jsonl  ok             2        0

CACHE  WORKLOADS  ENTRIES  LIMIT  FULL
code           3       17    512     0

CACHE FULL  CACHES      NOT JUDGED
host/build  code, flow      900000

STORE             SIZE      BOUND  FAILED COMMITS  FINDINGS AGED  FINDINGS SHED
/s/vedette.db  1.0 MiB  512.0 MiB               2              0              0

MEMORY
resident  20.0 MiB
rings      2.0 MiB
)");
  EXPECT_EQ(Run({"doctor", "-o", "json"}), kExitNo);
  EXPECT_EQ(Json::parse(Out()), Degraded());
  EXPECT_EQ(Run({"doctor", "-o", "jsonl"}), kExitNo);
  EXPECT_EQ(Json::parse(Out()), Degraded());
  EXPECT_EQ(Out().find('\n'), Out().size() - 1);
}

TEST_F(DoctorCommandTest, AProbeThatIsWellSaysByWhatItSees) {
  Json doctor = Degraded();
  doctor["probes"] = Json::array(
      {{{"name", "files"}, {"state", "ok"}, {"reason", ""}, {"note", "by BPF LSM"}},
       {{"name", "udp"}, {"state", "degraded"}, {"reason", "refused"}, {"note", "by a hook"}}});
  backend_.doctor = doctor;
  Start();
  EXPECT_EQ(Run({"doctor"}), kExitNo);
  const std::string out = Out();
  EXPECT_THAT(out, HasSubstr("by BPF LSM\n"));
  EXPECT_THAT(out, HasSubstr("refused\n"));
  EXPECT_THAT(out, Not(HasSubstr("by a hook")));
}

TEST_F(DoctorCommandTest, AnAnswerOfAnotherShapeIsNotTheEnd) {
  backend_.doctor = Json::parse(R"({"status": 7, "ledger": [{"stage": []}]})");
  Start();
  EXPECT_EQ(Run({"doctor"}), kExitFailed);
  EXPECT_THAT(Err(), HasSubstr("are agent and command of one version?"));
}

TEST_F(DoctorCommandTest, DoctorsExitCodeIsTheAnswer) {
  Start();
  EXPECT_EQ(Run({"doctor"}), kExitYes);
  backend_.doctor = absl::UnavailableError("the pipeline does not answer; see the log");
  EXPECT_EQ(Run({"doctor"}), kExitFailed);
  EXPECT_EQ(Err(), "vedette: the pipeline does not answer; see the log\n");
}

TEST_F(DoctorCommandTest, ColourOnATerminalOnly) {
  backend_.doctor = Degraded();
  Start();
  Run({"doctor"});
  EXPECT_THAT(Out(), Not(HasSubstr("\x1b")));
  terminal_ = true;
  Run({"doctor"});
  EXPECT_THAT(Out(), HasSubstr("\x1b[33mdegraded"));
  Run({"doctor", "-o", "json"});
  EXPECT_THAT(Out(), Not(HasSubstr("\x1b")));
}

// The text between the first `begin` and the `end` after it.
std::string Between(const std::string& text, const std::string& begin, const std::string& end) {
  const size_t from = text.find(begin);
  const size_t to = from == std::string::npos ? from : text.find(end, from + begin.size());
  return to == std::string::npos ? "" : text.substr(from + begin.size(), to - from - begin.size());
}

std::string ReadDocument(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(DoctorCommandTest, TheDocumentationShowsWhatIsPrinted) {
  const std::string api = ReadDocument("docs/api.md");
  backend_.doctor = Json::parse(Between(api, "**doctor**", "\n```\n")
                                    .substr(Between(api, "**doctor**", "\n```\n").find('{')));
  Start();
  EXPECT_EQ(Run({"doctor"}), kExitNo);
  EXPECT_EQ(Between(ReadDocument("docs/cli.md"), "$ vedette doctor\n", "$ vedette"), Out());
}

TEST(ApiDocumentTest, ItsSamplesAreJson) {
  std::string rest = ReadDocument("docs/api.md");
  size_t samples = 0;
  for (std::string sample; !(sample = Between(rest, "```json\n", "```")).empty(); ++samples) {
    EXPECT_TRUE(Json::accept(sample)) << sample;
    rest = rest.substr(rest.find(sample) + sample.size() + 3);
  }
  EXPECT_GE(samples, 6u);
}

}  // namespace
}  // namespace vedette
