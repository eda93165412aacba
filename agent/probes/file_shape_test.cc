// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/file_shape.h"

#include <gtest/gtest.h>

#include <string>

namespace vedette {
namespace {

TEST(FileShapeTest, DigitsStandAsOneStar) {
  EXPECT_EQ(ShapeOfPath("/tmp/request-1.tmp"), "/tmp/request-*.tmp");
  EXPECT_EQ(ShapeOfPath("/tmp/request-1234567.tmp"), "/tmp/request-*.tmp");
  EXPECT_EQ(ShapeOfPath("/tmp/request17.tmp"), "/tmp/request*.tmp");
  EXPECT_EQ(ShapeOfPath("/var/log/app-2026-11-23.log"), "/var/log/app-*-*-*.log");
  EXPECT_EQ(ShapeOfPath("/run/4711"), "/run/*");
}

TEST(FileShapeTest, WhatStandsForItselfHasNoShape) {
  for (const char* path : {"/etc/passwd", "/tmp/evil.sh", "/", "", "/tmp/", "/var/log/nginx/x.log",
                           "/tmp/ResultSet.java", "/tmp/Readme", "/srv/feed.xml", "/a/UPPER"}) {
    EXPECT_EQ(ShapeOfPath(path), "") << path;
  }
}

TEST(FileShapeTest, RandomWordsStandAsOneStar) {
  EXPECT_EQ(ShapeOfPath("/tmp/550e8400-e29b-41d4-a716-446655440000"), "/tmp/*-*-*-*-*");
  // A group of letters alone, and one that begins with them.
  EXPECT_EQ(ShapeOfPath("/tmp/550e8400-abcd-41d4-face-446655440000"), "/tmp/*-*-*-*-*");
  EXPECT_EQ(ShapeOfPath("/tmp/sess_k2j5h3k4j5h6g7"), "/tmp/sess_*");
  EXPECT_EQ(ShapeOfPath("/tmp/tmp.aB3xY9"), "/tmp/tmp.*");
  EXPECT_EQ(ShapeOfPath("/tmp/tmp.QwErTy"), "/tmp/tmp.*") << "mkstemp without a digit";
  EXPECT_EQ(ShapeOfPath("/cache/da39a3ee5e6b4b0d3255bfef95601890afd80709"), "/cache/*");
}

TEST(FileShapeTest, PythonsTemporaryNames) {
  EXPECT_EQ(ShapeOfPath("/tmp/tmpabcdefgh"), "/tmp/tmp*");
  EXPECT_EQ(ShapeOfPath("/tmp/tmpk3x9_a1b.txt"), "/tmp/tmp*.txt");
  EXPECT_EQ(ShapeOfPath("/tmp/tmpabcdefghi"), "") << "nine are not eight";
  EXPECT_EQ(ShapeOfPath("/tmp/tmp"), "");
}

TEST(FileShapeTest, EachNameOfThePathHasItsShape) {
  EXPECT_EQ(ShapeOfPath("/data/req-17/part-3/out.txt"), "/data/req-*/part-*/out.txt");
}

TEST(FileShapeTest, BytesThatAreNoTextAreKept) {
  EXPECT_EQ(ShapeOfPath("/tmp/\xff\n1"), "/tmp/\xff\n*");
  EXPECT_EQ(ShapeOfPath("/tmp/*"), "");
}

TEST(FileShapeTest, TheLongestNamesHaveAShapeAndLongerOnesNone) {
  const std::string longest = std::string(127, 'x') + "1";
  EXPECT_EQ(ShapeOfPath("/" + longest), "/" + std::string(127, 'x') + "*");
  EXPECT_EQ(ShapeOfPath("/x" + longest), "");
}

}  // namespace
}  // namespace vedette
