// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/file_shape.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>

namespace vedette {
namespace {

std::string TextOf(std::string_view path) { return ShapeOfPath(path).text; }

TEST(FileShapeTest, DigitsStandAsOneStar) {
  EXPECT_EQ(TextOf("/tmp/request-1.tmp"), "/tmp/request-*.tmp");
  EXPECT_EQ(TextOf("/tmp/request-1234567.tmp"), "/tmp/request-*.tmp");
  EXPECT_EQ(TextOf("/tmp/request17.tmp"), "/tmp/request*.tmp");
  EXPECT_EQ(TextOf("/var/log/app-2026-11-23.log"), "/var/log/app-*-*-*.log");
  EXPECT_EQ(TextOf("/run/4711"), "/run/*");
}

TEST(FileShapeTest, WhatStandsForItselfHasNoShape) {
  for (const char* path : {"/etc/passwd", "/tmp/evil.sh", "/", "", "/tmp/", "/var/log/nginx/x.log",
                           "/tmp/ResultSet.java", "/tmp/Readme", "/srv/feed.xml", "/a/UPPER"}) {
    EXPECT_EQ(TextOf(path), "") << path;
  }
}

TEST(FileShapeTest, RandomWordsStandAsOneStar) {
  EXPECT_EQ(TextOf("/tmp/550e8400-e29b-41d4-a716-446655440000"), "/tmp/*-*-*-*-*");
  // A group of letters alone, and one that begins with them.
  EXPECT_EQ(TextOf("/tmp/550e8400-abcd-41d4-face-446655440000"), "/tmp/*-*-*-*-*");
  EXPECT_EQ(TextOf("/tmp/sess_k2j5h3k4j5h6g7"), "/tmp/sess_*");
  EXPECT_EQ(TextOf("/cache/da39a3ee5e6b4b0d3255bfef95601890afd80709"), "/cache/*");
}

TEST(FileShapeTest, NamesAsMkstempMakesThemStandByTheirLength) {
  EXPECT_EQ(TextOf("/tmp/tmp.aB3xY9"), "/tmp/tmp.??????");
  EXPECT_EQ(TextOf("/tmp/tmp.QwErTy"), "/tmp/tmp.??????") << "without a digit";
  EXPECT_EQ(TextOf("/tmp/ccmhhchG.s"), "/tmp/????????.s");
  EXPECT_EQ(TextOf("/tmp/ccrdWyz5.s"), "/tmp/????????.s");
  EXPECT_EQ(TextOf("/srv/req-qzxvkjfh"), "/srv/req-????????");
  EXPECT_EQ(TextOf("/tmp/qzxvkjfhwqz"), "") << "eleven";
  EXPECT_EQ(TextOf("/tmp/qzxvk"), "") << "five";
}

TEST(FileShapeTest, WordsStandForThemselvesWhateverStandsBesideThem) {
  for (const char* word : {"passwd", "shadow", "config", "secret", "backup", "password", "daemon",
                           "settings", "sudoers", "crontab", "gshadow", "Config", "SHADOW",
                           "Settings", "kubeconfig", "ResultSet"}) {
    EXPECT_EQ(TextOf(std::string("/srv/") + word), "");
    EXPECT_EQ(TextOf(std::string("/srv/x-") + word + ".y"), "") << word;
  }
  EXPECT_EQ(TextOf("/srv/report12"), "/srv/report*") << "its digits alone";
  EXPECT_EQ(TextOf("/srv/nginx1"), "/srv/nginx*");
}

TEST(FileShapeTest, ItIsSaidHowSureItIs) {
  EXPECT_EQ(ShapeOfPath("/tmp/request-1").sure, NamesDiffer::kSurely);
  EXPECT_EQ(ShapeOfPath("/tmp/tmp.aB3xY9").sure, NamesDiffer::kSurely);
  EXPECT_EQ(ShapeOfPath("/srv/req-qzxvkjfh").sure, NamesDiffer::kLikely);
  EXPECT_EQ(ShapeOfPath("/srv/OpenSSL").sure, NamesDiffer::kUnsure);
  // The least of all names of the path.
  EXPECT_EQ(ShapeOfPath("/srv/req-qzxvkjfh/part-1").sure, NamesDiffer::kLikely);
  EXPECT_EQ(ShapeOfPath("/srv/part-1/OpenSSL").sure, NamesDiffer::kUnsure);
  EXPECT_EQ(ShapeOfPath("/srv/passwd").sure, NamesDiffer::kUnsure);
}

TEST(FileShapeTest, NamesOfDirectories) {
  EXPECT_EQ(TextOf("/r/objects/ab/x"), "/r/objects/\?\?/x");
  EXPECT_EQ(TextOf("/r/objects/1f/x"), "/r/objects/\?\?/x");
  EXPECT_EQ(TextOf("/r/objects/07/x"), "/r/objects/*/x");
  EXPECT_EQ(TextOf("/r/objects/ab"), "") << "of a directory alone";
  EXPECT_EQ(TextOf("/r/gh/x"), "");
  // Which stay the same, mostly: it takes more than for a file.
  EXPECT_EQ(TextOf("/srv/kvmtools/x"), "");
  EXPECT_EQ(TextOf("/srv/kvmtools"), "/srv/????????");
  EXPECT_EQ(TextOf("/srv/req-AbXdEg/x"),
            "/srv/req-?????"
            "?/x");
}

// Of names that a generator makes, nearly all are of one shape; and what is made of words has none.
TEST(FileShapeTest, NearlyAllNamesOfAGeneratorHaveOneShape) {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  constexpr int kNames = 20000;
  std::mt19937 random(7);
  int same = 0, sure = 0;
  for (int i = 0; i < kNames; ++i) {
    std::string name = "/tmp/cc";
    for (int j = 0; j < 6; ++j) {
      name += kLetters[random() % kLetters.size()];
    }
    const PathShape shape = ShapeOfPath(name + ".s");
    same += shape.text == "/tmp/????????.s";
    sure += shape.text == "/tmp/????????.s" && shape.sure != NamesDiffer::kUnsure;
  }
  EXPECT_GT(same, kNames * 0.985);
  EXPECT_GT(sure, kNames * 0.8);
}

TEST(FileShapeTest, PythonsTemporaryNames) {
  EXPECT_EQ(TextOf("/tmp/tmpabcdefgh"), "/tmp/tmp*");
  EXPECT_EQ(TextOf("/tmp/tmpk3x9_a1b.txt"), "/tmp/tmp*.txt");
  EXPECT_EQ(TextOf("/tmp/tmpabcdefghi"), "") << "nine are not eight";
  EXPECT_EQ(TextOf("/tmp/tmp"), "");
}

TEST(FileShapeTest, EachNameOfThePathHasItsShape) {
  EXPECT_EQ(TextOf("/data/req-17/part-3/out.txt"), "/data/req-*/part-*/out.txt");
}

TEST(FileShapeTest, BytesThatAreNoTextAreKept) {
  EXPECT_EQ(TextOf("/tmp/\xff\n1"), "/tmp/\xff\n*");
  EXPECT_EQ(TextOf("/tmp/*"), "");
}

TEST(FileShapeTest, TheLongestNamesHaveAShapeAndLongerOnesNone) {
  const std::string longest = std::string(127, 'x') + "1";
  EXPECT_EQ(TextOf("/" + longest), "/" + std::string(127, 'x') + "*");
  EXPECT_EQ(TextOf("/x" + longest), "");
}

}  // namespace
}  // namespace vedette
