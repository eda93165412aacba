// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <thread>

#include "agent/cli/cli_fixture.h"

namespace vedette {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;

bool IsPrintableAscii(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); });
}

TEST_F(CliTest, RunHandsItsOptionsOn) {
  EXPECT_EQ(Run({"run", "--config", "/a b", "--set", "a.b=1", "--set", "c=[x, y]", "--duration",
                 "1m30s", "--check-config"}),
            42);
  EXPECT_EQ(ran_.config_file, "/a b");
  EXPECT_THAT(ran_.sets, ElementsAre("a.b=1", "c=[x, y]"));
  EXPECT_EQ(ran_.duration, absl::Seconds(90));
  EXPECT_TRUE(ran_.check_config);
  EXPECT_EQ(Run({"run"}), 42);
  EXPECT_EQ(ran_.duration, absl::InfiniteDuration());
}

TEST_F(CliTest, WrongUsageIsTwoAndOneSentence) {
  for (const std::vector<const char*>& arguments : std::vector<std::vector<const char*>>{
           {},
           {"dance"},
           {"doctor", "--loud"},
           {"doctor", "extra"},
           {"doctor", "-o", "xml"},
           {"profile"},
           {"profile", "show"},
           {"profile", "freeze"},
           {"profile", "freeze", "w", "--all"},
           {"finding", "list", "--limit", "0"},
           {"finding", "dismiss", "--reason", "x"},
           {"finding", "dismiss", "f1"},
           {"finding", "dismiss", "f1", "--reason", " \t"},
           {"finding", "dismiss", "f1", "--undo", "--reason", "x"},
           {"run", "--duration", "30"},
           {"run", "\x1b[2J"}}) {
    EXPECT_EQ(Run(arguments), kExitUsage) << (arguments.empty() ? "" : arguments.back());
    EXPECT_THAT(Err(), AllOf(StartsWith("vedette: "), HasSubstr("; see `vedette"),
                             EndsWith(" --help`\n"), Not(HasSubstr("\x1b"))));
    EXPECT_EQ(Out(), "");
  }
}

TEST_F(CliTest, WrongUsageSaysWhatThereIs) {
  const std::map<std::vector<const char*>, std::string> sentences = {
      {{}, "no command was given; write one of run, doctor, events, top, profile, finding"},
      {{"dance"},
       "no command dance is known; write one of run, doctor, events, top, profile, finding"},
      {{"--loud"},
       "no option --loud is known here; write one of run, doctor, events, top, profile, finding"},
      {{"profile", "dance"}, "no command dance is known; write one of list, show, export, freeze"},
      {{"run", "x.yaml"},
       "The following argument was not expected: x.yaml. A configuration is named with --config "
       "FILE"},
      {{"events", "-n", "x"}, "--limit: \"x\" is no number from 1 to 2147483647"},
      {{"finding", "list", "-n", "10001"}, "--limit: \"10001\" is no number from 1 to 10000"},
  };
  for (const auto& [arguments, sentence] : sentences) {
    EXPECT_EQ(Run(arguments), kExitUsage);
    EXPECT_THAT(Err(), StartsWith("vedette: " + sentence + "; see `vedette"));
  }
  Run({"finding", "list", "-n", "0"});
  EXPECT_THAT(Err(), EndsWith("see `vedette finding list --help`\n"));
}

TEST_F(CliTest, WhatIsEmptyIsSaid) {
  backend_.top = backend_.peers = backend_.profiles = Json::object();
  Start();
  EXPECT_EQ(Run({"top"}), kExitYes);
  EXPECT_EQ(Out(), "no workload has done anything yet\n");
  EXPECT_EQ(Run({"top", "--peers"}), kExitYes);
  EXPECT_EQ(Out(), "no connections yet\n");
  EXPECT_EQ(Run({"profile", "list"}), kExitYes);
  EXPECT_EQ(Out(), "no profiles yet\n");
  EXPECT_EQ(Run({"profile", "freeze", "--all"}), kExitYes);
  EXPECT_EQ(Out(), "nothing to freeze: all of it is frozen already\n");
}

TEST_F(CliTest, HelpNamesWhatIsBuiltAndNothingElse) {
  EXPECT_EQ(Run({"--help"}), kExitYes);
  for (const char* command : {"run", "doctor", "events", "top", "profile", "finding"}) {
    EXPECT_THAT(Out(), HasSubstr(std::string("\n  ") + command + " ")) << Out();
  }
  for (const char* command : {"policy", "quarantine", "detach", "replay", "incident"}) {
    EXPECT_THAT(Out(), Not(HasSubstr(command)));
  }
  EXPECT_EQ(Run({"--version"}), kExitYes);
  EXPECT_EQ(Out(), "vedette " VEDETTE_VERSION "\n");
}

TEST_F(CliTest, NoAgentIsThreeAndSaysWhatToDo) {
  for (const std::vector<const char*>& arguments : std::vector<std::vector<const char*>>{
           {"doctor"}, {"events"}, {"top"}, {"profile", "list"}, {"finding", "list"}}) {
    EXPECT_EQ(Run(arguments), kExitFailed);
    EXPECT_THAT(Err(),
                AllOf(StartsWith("vedette: " + socket_ + ": no agent answers there"),
                      HasSubstr(" (No such file or directory); start one with `vedette run`")));
  }
  EXPECT_EQ(Run({"doctor", "--socket", "/nonexistent/x"}), kExitFailed);
  EXPECT_THAT(Err(), StartsWith("vedette: /nonexistent/x: no agent answers there"));
}

// Root may open every socket: for a while, this process is somebody else.
class AsOrdinaryUser {
 public:
  AsOrdinaryUser() : was_(geteuid()) { EXPECT_TRUE(was_ != 0 || seteuid(kNobody) == 0); }
  ~AsOrdinaryUser() { EXPECT_EQ(seteuid(was_), 0); }

 private:
  static constexpr uid_t kNobody = 65534;
  const uid_t was_;
};

TEST_F(CliTest, NoPermissionIsThreeAndSaysWhatToDo) {
  Start();
  ASSERT_EQ(chmod(socket_.c_str(), 0), 0);
  {
    AsOrdinaryUser user;
    EXPECT_EQ(Run({"doctor"}), kExitFailed);
  }
  EXPECT_THAT(Err(), HasSubstr("no permission to open the agent's socket"));
}

Json HostileFinding() {
  Json finding =
      Json::parse(R"json({"uid": "f1", "severity": "high", "score_bits": 12.25, "count": 2,
    "title": "New program in host/x: /tmp/\u001b[2Jevil\n", "sentence": "x ran what it never ran.",
    "workload": "host/x", "profile_state": "frozen (by root)",
    "first_seen": "2026-01-02T03:04:05.5Z", "last_seen": "2026-01-02T03:04:06Z",
    "process": {"pid": 7, "path": "/tmp/evil", "argv": ["evil", "a b", "\u009b1m\u202e"], "sha256": "ab"},
    "ancestors": [{"pid": 3, "path": "/bin/sh", "argv": ["sh"]}, {"unknown": true}]})json");
  finding["process"]["path"] = "/tmp/\xff";
  return finding;
}

TEST_F(CliTest, AFindingIsDismissedAndRestored) {
  backend_.finding = Json{{"uid", "f1"}, {"title", "New program"}, {"workload", "host/x"}};
  Start();
  EXPECT_EQ(Run({"finding", "dismiss", "f1", "--reason", "our\x1b backup"}), kExitYes);
  EXPECT_EQ(Out(),
            "dismissed: New program\nhost/x takes it for normal now; `vedette finding dismiss f1 "
            "--undo` takes that back\n");
  ASSERT_EQ(backend_.dismissals.size(), 1u);
  EXPECT_EQ(backend_.dismissals[0].reason, "our\x1b backup");
  EXPECT_EQ(Run({"finding", "dismiss", "f1", "--undo"}), kExitYes);
  EXPECT_THAT(Out(), StartsWith("restored: New program\n"));
  EXPECT_EQ(backend_.restored.size(), 1u);
  EXPECT_EQ(Run({"finding", "dismiss", "f2", "--reason", "x"}), kExitNo);
  EXPECT_EQ(Err(), "vedette: no finding f2; `vedette finding list` shows them\n");
  api_.reset();
  Start(geteuid() + 1);
  EXPECT_EQ(Run({"finding", "dismiss", "f1", "--reason", "x"}), kExitFailed);
  EXPECT_THAT(Err(), HasSubstr("may change the agent"));
}

TEST_F(CliTest, AFindingSaysAsWhoseProcessItWas) {
  backend_.finding = HostileFinding();
  Start();
  backend_.finding["process"].update({{"uid", 33}, {"euid", 0}, {"gid", 34}, {"egid", 34}});
  EXPECT_EQ(Run({"finding", "show", "f1"}), kExitYes);
  EXPECT_THAT(Out(), HasSubstr("user        uid 33 (effective 0) gid 34\n"));
}

TEST_F(CliTest, WhatWasDismissedIsShownWhenAskedFor) {
  Json finding = {{"uid", "f1"}, {"title", "New program"}, {"status", "dismissed"}};
  finding["dismissal"] = {
      {"user", "root"}, {"time", "2026-01-02T03:04:05Z"}, {"reason", "ours\x1b"}};
  backend_.finding = finding;
  backend_.findings =
      Json{{"findings", {finding, {{"uid", "f2"}, {"title", "New peer"}, {"status", "new"}}}}};
  backend_.profile["host/x"] = {
      {"workload", "host/x"},
      {"behaviours", {{{"object", "/bin/x"}, {"dismissal", finding["dismissal"]}}}}};
  Start();
  EXPECT_EQ(Run({"finding", "list", "--all"}), kExitYes);
  EXPECT_EQ(Out(),
            "ID  STATUS     WHAT\n"
            "f1  dismissed  New program\n"
            "f2             New peer\n");
  EXPECT_EQ(backend_.finding_filter.status, FindingQuery::Status::kAll);
  EXPECT_EQ(Run({"finding", "list"}), kExitYes);
  EXPECT_EQ(backend_.finding_filter.status, FindingQuery::Status::kNew);
  EXPECT_EQ(Run({"finding", "show", "f1"}), kExitYes);
  EXPECT_THAT(Out(), HasSubstr("  dismissed   by root at 2026-01-02 03:04:05: ours\\x1b\n"));
  EXPECT_EQ(Run({"profile", "show", "host/x"}), kExitYes);
  EXPECT_THAT(Out(), HasSubstr("by root at 2026-01-02 03:04:05: ours\\x1b\n"));
}

TEST_F(CliTest, FindingsAreShownWithTheirStoryAndHarmless) {
  backend_.finding = HostileFinding();
  backend_.findings = Json{{"findings", {HostileFinding()}}};
  Start();
  EXPECT_EQ(Run({"finding", "list", "--workload", "x", "--limit", "5"}), kExitYes);
  EXPECT_EQ(Out(),
            "ID  SEVERITY  SCORE  COUNT  LAST SEEN            WHAT\n"
            "f1  high       12.2      2  2026-01-02 03:04:06  New program in host/x: "
            "/tmp/\\x1b[2Jevil\\x0a\n");
  EXPECT_EQ(backend_.finding_filter.workload, "x");
  EXPECT_EQ(backend_.finding_filter.limit, 5u);

  EXPECT_EQ(Run({"finding", "show", "f1"}), kExitYes);
  EXPECT_THAT(Out(), StartsWith("high  New program in host/x: /tmp/\\x1b[2Jevil\\x0a\n"
                                "x ran what it never ran.\n\n  id          f1\n"));
  EXPECT_THAT(Out(), EndsWith("\n  /tmp/\xef\xbf\xbd [7]  evil 'a b' \\xc2\\x9b1m\\xe2\\x80\\xae\n"
                              "    started by /bin/sh [3]  sh\n"
                              "      started by (ended before the agent first started)\n"));
  for (const char* format : {"json", "jsonl"}) {
    EXPECT_EQ(Run({"finding", "show", "f1", "-o", format}), kExitYes);
    EXPECT_EQ(Json::parse(Out())["uid"], "f1");
    EXPECT_TRUE(IsPrintableAscii(Out())) << Out();
  }
  EXPECT_EQ(Run({"finding", "show", "f2"}), kExitNo);
  EXPECT_EQ(Err(), "vedette: no finding f2; `vedette finding list` shows them\n");
}

TEST_F(CliTest, NoFindingsIsSaid) {
  Start();
  EXPECT_EQ(Run({"finding", "list"}), kExitYes);
  EXPECT_EQ(Out(), "no findings\n");
  EXPECT_EQ(Run({"finding", "list", "-o", "jsonl"}), kExitYes);
  EXPECT_EQ(Out(), "");
}

TEST_F(CliTest, ProfilesAreListedShownAndExported) {
  backend_.profiles = Json::parse(R"json({"profiles": [
    {"workload": "host/a&b c.service", "state": "learning",
     "state_text": "learning (2 of 5 runs, 1 of 3 without news)", "watched_seconds": 90,
     "progress": "2 of 5 runs, 1 of 3 without news",
     "channels": {"exec": {"behaviours": 1, "deviations": 0}, "connect": {"behaviours": 2, "deviations": 1}}},
    {"workload": "host/d", "state": "frozen", "state_text": "frozen (by root)",
     "watched_seconds": 90000, "progress": "3 min of 24 h, quiet 10 s of 6 h",
     "channels": {"exec": {"behaviours": 14, "deviations": 0}}}]
})json");
  backend_.profile["host/a&b c.service"] = Json::parse(R"json({"workload": "host/a&b c.service",
    "state": "learned", "state_text": "learned", "watched_seconds": 90, "is_job": true, "runs": 6,
    "progress": "6 of 5 runs, 3 of 3 without news", "first_seen": "2026-01-02T03:04:05Z",
    "channels": {"exec": {"behaviours": 1, "deviations": 0}},
    "behaviours": [{"channel": "exec", "subject": "/bin/sh", "object": "/bin/ls", "count": 4,
                    "sources": ["a", "b"]}]})json");
  Start();
  EXPECT_EQ(Run({"profile", "list"}), kExitYes);
  EXPECT_EQ(
      Out(),
      "WORKLOAD            STATE                                        LEARNED FROM               "
      "       WATCHED  BEHAVIOURS  DEVIATIONS\n"
      "host/a&b c.service  learning (2 of 5 runs, 1 of 3 without news)                             "
      "        1m 30s           3           1\n"
      "host/d              frozen (by root)                             3 min of 24 h, quiet 10 s o"
      "f 6 h    1d 1h          14           0\n");
  EXPECT_EQ(Run({"profile", "list", "-o", "jsonl"}), kExitYes);
  EXPECT_EQ(Lines(), 2);
  EXPECT_EQ(Run({"profile", "show", "host/a&b c.service"}), kExitYes);
  EXPECT_THAT(Out(), AllOf(HasSubstr("watched for 1m 30s since 2026-01-02 03:04:05, a job: 6 runs\n"
                                     "learned from 6 of 5 runs, 3 of 3 without news\n"),
                           HasSubstr("exec     /bin/sh  /bin/ls      4        2\n")));
  EXPECT_EQ(Run({"profile", "export", "host/a&b c.service"}), kExitYes);
  EXPECT_EQ(Json::parse(Out()), backend_.profile["host/a&b c.service"]);
  EXPECT_EQ(Run({"profile", "show", "nobody"}), kExitNo);
  EXPECT_EQ(Err(), "vedette: no workload nobody; `vedette profile list` shows them\n");
}

TEST_F(CliTest, FreezeIsForTheAdmin) {
  backend_.profile["a"] = backend_.profile["b"] = {};
  Start();
  EXPECT_EQ(Run({"profile", "freeze", "a", "b"}), kExitYes);
  EXPECT_THAT(Out(), HasSubstr("\na         frozen (by "));
  EXPECT_EQ(Run({"profile", "freeze", "--all"}), kExitYes);
  ASSERT_EQ(backend_.freezes.size(), 2u);
  EXPECT_THAT(backend_.freezes[0].workloads, ElementsAre("a", "b"));
  EXPECT_TRUE(backend_.freezes[1].all);
  EXPECT_EQ(Run({"profile", "freeze", "nobody"}), kExitNo);
  api_.reset();
  Start(geteuid() + 1);
  EXPECT_EQ(Run({"profile", "freeze", "--all"}), kExitFailed);
  EXPECT_THAT(Err(), HasSubstr("may change the agent"));
}

TEST_F(CliTest, TopShowsWorkloadsLearningAndFlows) {
  backend_.top = Json::parse(R"json({"uptime_seconds": 10, "workloads": [
     {"name": "host/a", "state": "learning",
      "state_text": "learning (2 h of 24 h, quiet 1 h of 6 h)",
      "behaviours": 3, "execs": 5, "flows": 6, "new": 1, "findings": 0},
     {"name": "host/b", "state": "frozen", "state_text": "frozen (by root)", "behaviours": 1,
      "execs": 0, "flows": 0, "new": 0, "findings": 2}],
    "flows": [{"workload": "host/a", "direction": "outbound", "peer": "db.example", "port": 5432,
      "protocol": "tcp", "connections": 7, "failures": 1, "sent_bytes": 2048, "received_bytes": 9}]
})json");
  Start();
  std::string flows =
      "WORKLOAD  DIRECTION  PEER        PORT  PROTOCOL  CONNECTIONS  FAILED     SENT  RECEIVED\n"
      "host/a    outbound   db.example  5432  tcp                 7       1  2.0 KiB       9 B\n";
  EXPECT_EQ(Run({"top"}), kExitYes);
  EXPECT_EQ(Out(),
            "WORKLOAD  PROFILE                                   BEHAVIOURS  EXECS  FLOWS  NEW  "
            "FINDINGS\n"
            "host/a    learning (2 h of 24 h, quiet 1 h of 6 h)           3      5      6    1     "
            "    0\n"
            "host/b    frozen (by root)                                   1      0      0    0     "
            "    2\n\n" +
                flows);
  EXPECT_EQ(Run({"top", "-o", "jsonl"}), kExitYes);
  EXPECT_EQ(Lines(), 2);
}

TEST_F(CliTest, TopRefreshesOnATerminalAndShowsRates) {
  backend_.top =
      Json::parse(R"json({"workloads": [{"name": "host/a", "execs": 5, "flows": 6}]})json");
  Start();
  terminal_ = true;
  looks_ = 3;
  EXPECT_EQ(Run({"top"}), kExitYes);
  size_t screens = 0;
  for (size_t at = 0; (at = Out().find("\x1b[H\x1b[2J", at)) != std::string::npos; ++at) {
    ++screens;
  }
  EXPECT_EQ(screens, 3u);
  EXPECT_THAT(Out(), HasSubstr("0.0"));
  EXPECT_EQ(Run({"top", "--once"}), kExitYes);
  EXPECT_THAT(Out(), Not(HasSubstr("\x1b[H")));
}

TEST_F(CliTest, TopPeersIsTheServiceMap) {
  backend_.peers = Json::parse(R"json({"uptime_seconds": 10, "peers": [
     {"workload": "host/a", "direction": "outbound", "peer": "workload:host/db", "port": 5432,
      "protocol": "tcp", "connections": 7, "failures": 1, "sent_bytes": 2048, "received_bytes": 9,
      "retransmits": 3, "peer_workload": "host/db", "connect_median_seconds": 0.0000964,
      "connect_p99_seconds": 0.25, "connect_buckets": [1], "last_seen": "2026-01-02T03:04:05Z"},
     {"workload": "host/db", "direction": "inbound", "peer": "net:10.0.0.0/24\u001b\"\\", "port": 80,
      "protocol": "tcp", "connections": 1, "failures": 0, "sent_bytes": 0, "received_bytes": 0,
      "retransmits": 0, "rtt_median_seconds": 0.0000481, "rtt_p99_seconds": 1.5, "last_seen": "2026-01-02T03:04:05Z"}]})json");
  Start();
  EXPECT_EQ(Run({"top", "--peers"}), kExitYes);
  EXPECT_THAT(Out(), HasSubstr("CONNECTIONS  FAILED     SENT  RECEIVED  RETRANSMITS  MEDIAN"));
  EXPECT_THAT(Out(), HasSubstr("workload:host/db"));
  EXPECT_THAT(Out(), HasSubstr("  96 us  250.0 ms  2026-01-02 "));
  EXPECT_THAT(Out(), HasSubstr("  48 us     1.5 s  2026-01-02 "));
  EXPECT_EQ(Run({"top", "--peers", "-o", "jsonl"}), kExitYes);
  EXPECT_EQ(Lines(), 2);
  EXPECT_EQ(Run({"top", "--peers", "-o", "json"}), kExitYes);
  EXPECT_EQ(Json::parse(Out()), *backend_.peers);
  EXPECT_EQ(Run({"top", "--peers", "-o", "dot"}), kExitYes);
  EXPECT_EQ(Out(),
            "digraph vedette {\n  rankdir=LR;\n"
            "  \"workload host/a\" [shape=box, label=\"host/a\"];\n"
            "  \"workload host/db\" [shape=box, label=\"host/db\"];\n"
            "  \"peer net:10.0.0.0/24\\\\x1b\\\"\\\\\" [shape=ellipse, "
            "label=\"net:10.0.0.0/24\\\\x1b\\\"\\\\\"];\n"
            "  \"workload host/a\" -> \"workload host/db\" [label=\"5432/tcp × 7, 1 failed\", "
            "color=red];\n"
            "  \"peer net:10.0.0.0/24\\\\x1b\\\"\\\\\" -> \"workload host/db\" "
            "[label=\"80/tcp × 1\"];\n"
            "}\n");
  EXPECT_EQ(Run({"top", "-o", "dot"}), kExitUsage);
  EXPECT_THAT(Err(), HasSubstr("say --peers"));
  EXPECT_EQ(Run({"profile", "list", "-o", "dot"}), kExitUsage);
}

TEST_F(CliTest, EventsAreFollowed) {
  Start();
  auto watch = [&](std::vector<const char*> arguments) {
    std::thread publisher([&] {
      absl::Time deadline = absl::Now() + absl::Seconds(10);
      while (!backend_.hub.watched() && absl::Now() < deadline) {
        std::this_thread::yield();
      }
      for (int i = 0; i < 3; ++i) {
        backend_.hub.Publish("host/a", "exec", [] {
          return std::string(
              R"({"time":"2026-01-02T03:04:05Z","kind":"exec","workload":"host/a",)"
              R"("pid":7,"judgement":"learned","summary":"/bin/ls\u001b by /bin/sh"})");
        });
      }
    });
    int code = Run(std::move(arguments));
    publisher.join();
    absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (backend_.hub.watched() && absl::Now() < deadline) {
      std::this_thread::yield();
    }
    return code;
  };
  EXPECT_EQ(watch({"events", "-n", "2", "-w", "a", "-k", "exec"}), kExitYes);
  std::string line = "03:04:05 host/a  exec       learned          7  /bin/ls\\x1b by /bin/sh\n";
  EXPECT_EQ(Out(), line + line);
  EXPECT_FALSE(backend_.hub.watched());
  EXPECT_EQ(Err(),
            "vedette: no workload is called a so far, see `vedette profile list`; its events "
            "are shown once it is there\n");
  backend_.profiles = Json::parse(R"({"profiles": [{"workload": "host/a"}]})");
  EXPECT_EQ(watch({"events", "-n", "1", "-w", "a"}), kExitYes);
  EXPECT_EQ(Err(), "");
  EXPECT_EQ(watch({"events", "-n", "1", "-o", "jsonl"}), kExitYes);
  EXPECT_EQ(Json::parse(Out())["kind"], "exec");
}

TEST_F(CliTest, ALostEventIsSaid) {
  Start();
  std::thread publisher([&] {
    while (!backend_.hub.watched()) {
      std::this_thread::yield();
    }
    for (int i = 0; i < 20000; ++i) {
      backend_.hub.Publish("w", "exec",
                           [] { return "{\"x\":\"" + std::string(1000, 'x') + "\"}"; });
    }
    backend_.hub.Close();
  });
  EXPECT_EQ(Run({"events", "-o", "jsonl"}), kExitYes);
  publisher.join();
  if (Lines() < 20000) {
    EXPECT_THAT(Err(), HasSubstr("events were lost here"));
  }
}

}  // namespace
}  // namespace vedette
