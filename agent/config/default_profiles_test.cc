// SPDX-License-Identifier: Apache-2.0
#include "agent/config/default_profiles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace vedette {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Errors(const std::string& yaml) {
  std::vector<std::string> lines;
  std::istringstream message{std::string(ParseDefaultProfiles(yaml, "d.yaml").status().message())};
  for (std::string line; std::getline(message, line);) {
    lines.push_back(line);
  }
  return lines;
}

TEST(DefaultProfilesTest, WhatIsShippedIsWhatIsPartOfTheAgent) {
  std::ifstream file("deploy/default-profiles.yaml");
  ASSERT_TRUE(file) << "run in the source directory";
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), BuiltinDefaultProfiles());
  const auto profiles = LoadDefaultProfiles("builtin");
  ASSERT_TRUE(profiles.ok()) << profiles.status();
  std::vector<std::string> names;
  for (const DefaultProfile& profile : *profiles) {
    names.push_back(profile.name);
  }
  EXPECT_THAT(names, ElementsAre("service manager", "login session", "package manager",
                                 "container runtime", "kubelet"));
  EXPECT_TRUE(LoadDefaultProfiles("off")->empty());
  EXPECT_EQ(LoadDefaultProfiles("deploy/default-profiles.yaml")->size(), names.size());
  EXPECT_THAT(std::string(LoadDefaultProfiles("/no/such").status().message()),
              HasSubstr("/no/such: cannot be read: No such file or directory; name a readable"));
}

TEST(DefaultProfilesTest, EveryMistakeIsToldAtOnceWithItsPlace) {
  EXPECT_THAT(Errors(R"(version: 2
colour: red
)"),
              ElementsAre("d.yaml:2:1: unknown key \"colour\"; known here: profiles, version",
                          "d.yaml:1:1: has no profiles; write one"));
  EXPECT_THAT(
      Errors(R"(version: 2
profiles:
  - name: a
    about: x
    rules:
      - workloads: [container/docker/apt, host/x]
        by: [apt]
  - name: a
    about: ""
    rules: [{ workloads: ["host/**"] }]
  - name: b
    about: y
    rules: [{ workloads: ["host/*/*/*/*/*"], below: [] }]
)"),
      ElementsAre(HasSubstr("d.yaml:1:10: the version is not known; write version: 1"),
                  HasSubstr("d.yaml:6:21: \"container/docker/apt\" does not begin with "
                            "host/; containers choose their names themselves"),
                  HasSubstr("d.yaml:7:14: \"apt\" is no absolute path"),
                  HasSubstr("d.yaml:9:12: about is empty"),
                  HasSubstr("d.yaml:10:13: covers every workload of the host"),
                  HasSubstr("a second profile is called a"), HasSubstr("has more than 4 stars"),
                  HasSubstr("below is not a list of 1 to 256")));
  EXPECT_THAT(Errors("- a"), ElementsAre("d.yaml:1:1: is not a map; write profiles, version"));
  EXPECT_THAT(Errors(""), ElementsAre(HasSubstr("is not a map")));
  EXPECT_THAT(Errors("a: ["), ElementsAre(HasSubstr("not YAML")));
}

TEST(DefaultProfilesTest, OnlySomeActsOfNamedWorkloadsCanBeExpected) {
  const auto profiles = ParseDefaultProfiles(R"(version: 1
profiles:
  - name: a
    about: x
    rules: [{ workloads: [host/init.scope], expected: [signal] }]
)",
                                             "d.yaml");
  ASSERT_TRUE(profiles.ok()) << profiles.status();
  EXPECT_THAT(profiles->at(0).rules.at(0).expected, ElementsAre("signal"));
  EXPECT_FALSE(profiles->at(0).rules.at(0).whole_workload());
  EXPECT_THAT(Errors(R"(version: 1
profiles:
  - name: a
    about: x
    rules:
      - { workloads: [host/a], expected: [exec] }
      - { workloads: [host/a], expected: [signal], by: [/bin/a] }
      - { workloads: ["host/**"], expected: [signal] }
      - { workloads: [host/a], expected: signal }
)"),
              ElementsAre(HasSubstr("d.yaml:6:43: \"exec\" cannot be expected; what can: signal"),
                          HasSubstr("d.yaml:7:42: goes with workloads alone"),
                          HasSubstr("d.yaml:8:9: covers every workload of the host"),
                          HasSubstr("d.yaml:9:42: expected is not a list of 1 to 256")));
}

TEST(DefaultProfilesTest, AStarStopsAtASlashAndTwoDoNot) {
  EXPECT_TRUE(MatchesWorkload("host/a", "host/a"));
  EXPECT_FALSE(MatchesWorkload("host/a", "host/ab"));
  EXPECT_FALSE(MatchesWorkload("host/ab", "host/a"));
  EXPECT_TRUE(
      MatchesWorkload("host/user-*.slice/session.scope", "host/user-0.slice/session.scope"));
  EXPECT_FALSE(
      MatchesWorkload("host/user-*.slice/session.scope", "host/user-0/x.slice/session.scope"));
  EXPECT_TRUE(MatchesWorkload("host/**", "host/a/b/c"));
  EXPECT_TRUE(MatchesWorkload("host/**", "host/"));
  EXPECT_FALSE(MatchesWorkload("host/**", "container/host/a"));
  EXPECT_TRUE(MatchesWorkload("host/**/x*.service", "host/a/b/x/x1.service"));
  EXPECT_FALSE(MatchesWorkload("host/**/x*.service", "host/a/b/x/y.service"));
}

}  // namespace
}  // namespace vedette
