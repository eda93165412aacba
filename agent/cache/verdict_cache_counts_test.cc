// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <string>

#include "agent/cache/verdict_cache.h"

namespace vedette {
namespace {

// Counted by the agent and shown among these: agent/probes/skipped_runs.h.
constexpr char kSkippedRuns[] = "skipped_runs";

// The names in the first column of the table of vedette_kernel_errors_total.
std::set<std::string> DocumentedReasons() {
  std::ifstream doc("docs/metrics.md");
  EXPECT_TRUE(doc) << "run in the source directory";
  std::set<std::string> reasons;
  bool is_in_table = false;
  for (std::string line; std::getline(doc, line);) {
    if (line == "| `vedette_kernel_errors_total` | |") {
      is_in_table = true;
    } else if (line.empty()) {
      is_in_table = false;
    } else if (is_in_table) {
      const std::string column = line.substr(0, line.find('|', 1));
      const std::regex name("`([^`]+)`");
      for (std::sregex_iterator at(column.begin(), column.end(), name), end; at != end; ++at) {
        EXPECT_TRUE(reasons.insert((*at)[1]).second) << line;
      }
    }
  }
  return reasons;
}

TEST(KernelErrorsTest, TheDocumentationListsEveryReasonAndNoOther) {
  // Without maps nothing is counted, and the reasons are the same.
  const VerdictCache cache([](std::string_view) { return -1; }, {});
  std::set<std::string> reasons = {kSkippedRuns};
  for (const auto& [reason, count] : cache.ReadErrors().by_reason) {
    EXPECT_TRUE(reasons.insert(reason).second) << reason;
    EXPECT_EQ(count, 0u);
  }
  EXPECT_EQ(DocumentedReasons(), reasons);
}

}  // namespace
}  // namespace vedette
