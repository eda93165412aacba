// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace vedette {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

TEST(TableTest, LongCellsAreCutInTheMiddleOnATerminalOnly) {
  Json rows = Json::array({{{"a", "/begin" + std::string(100, 'x') + "é/end"}}});
  std::ostringstream plain, terminal;
  PrintTable({{"A", "a"}, {"NEVER", "b"}}, rows, {}, plain);
  EXPECT_THAT(plain.str(), HasSubstr(std::string(100, 'x') + "é/end\n"));
  EXPECT_THAT(plain.str(), Not(HasSubstr("NEVER")));
  PrintTable({{"A", "a"}}, rows, {.terminal = true}, terminal);
  EXPECT_THAT(terminal.str(), AllOf(HasSubstr("/beginx"), HasSubstr("…"), HasSubstr("xé/end")));
  std::string cut = terminal.str().substr(terminal.str().find("/begin"));
  EXPECT_EQ(DisplayWidth(cut), 60u);
}

TEST(TableTest, TheLongestTextsAreCutUntilTheTableFits) {
  const std::vector<Column> columns = {
      {"NAME", "name"}, {"STATE", "state"}, {"COUNT", "count", Format::kNumber}};
  const Json rows = Json::array({{{"name", "host/" + std::string(30, 'n')},
                                  {"state", "learning for " + std::string(20, 's')},
                                  {"count", 1234567}}});
  const auto widest = [&](size_t width) {
    std::ostringstream out;
    PrintTable(columns, rows, {.terminal = false, .width = width}, out);
    EXPECT_THAT(out.str(), HasSubstr("1234567\n")) << "numbers stay whole";
    size_t most = 0;
    std::istringstream lines(out.str());
    for (std::string line; std::getline(lines, line);) {
      most = std::max(most, DisplayWidth(line));
    }
    return most;
  };
  EXPECT_EQ(widest(0), 79u);
  EXPECT_EQ(widest(79), 79u);
  EXPECT_EQ(widest(60), 60u);
  EXPECT_EQ(widest(10), kMinCellWidth * 2 + 7 + 4) << "no narrower than can be read";
}

}  // namespace
}  // namespace vedette
