// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>

namespace vedette {
namespace {

using ::testing::HasSubstr;

TEST(AccountTest, ABatchThatWasLostBetweenTheThreadsIsAGap) {
  EXPECT_EQ(GapOf({.handed_on = 10, .queued = 4, .entered = 6}), std::nullopt);
  // Handed on after the count was read.
  EXPECT_EQ(GapOf({.handed_on = 10, .queued = 7, .entered = 6}), std::nullopt);
  const std::optional<std::string> gap = GapOf({.handed_on = 10, .queued = 0, .entered = 6});
  ASSERT_TRUE(gap);
  EXPECT_THAT(*gap, HasSubstr("4 events"));
}

// A document of the source directory, on one line.
std::string ReadDocument(const char* path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << "run in the source directory";
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  return std::regex_replace(text, std::regex("\\s+"), " ");
}

std::string Listed(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) {
    list += (list.empty() ? "`" : ", `") + name + "`";
  }
  return list;
}

TEST(AccountTest, TheDocumentationNamesTheStagesAsTheLedgerDoes) {
  EXPECT_THAT(ReadDocument("docs/configuration.md"),
              HasSubstr("The counts are in the ledger (stages " +
                        Listed({kStageStore, kStageProfiles, kStageExport}) + ")"));
  const std::string siem = ReadDocument("docs/siem.md");
  EXPECT_THAT(siem, HasSubstr("under `stage` " + Listed({kStageKernel, kStageCollect, kStageEnrich,
                                                         kStageProfile, kStageCorrelate})));
  EXPECT_THAT(siem, HasSubstr(Listed({"stage"}) + " " + Listed({kStageExport})));
}

TEST(AccountTest, TheDocumentationHasEveryReasonForWhichASinkGetsNothing) {
  const std::string siem = ReadDocument("docs/siem.md");
  const size_t begin = siem.find("Reasons: "), end = siem.find("**Losses before the spool**");
  ASSERT_LT(begin, end);
  ASSERT_NE(end, std::string::npos);
  const std::string sentence = siem.substr(begin, end - begin);
  std::vector<std::string> documented;
  const std::regex name("`([a-z-]+)` \\(");
  for (std::sregex_iterator it(sentence.begin(), sentence.end(), name), last; it != last; ++it) {
    documented.push_back((*it)[1]);
  }
  EXPECT_THAT(documented, ::testing::UnorderedElementsAreArray(kDropReasons));
}

}  // namespace
}  // namespace vedette
