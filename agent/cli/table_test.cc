// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  PrintTable({{"A", "a"}, {"NEVER", "b"}}, rows, false, plain);
  EXPECT_THAT(plain.str(), HasSubstr(std::string(100, 'x') + "é/end\n"));
  EXPECT_THAT(plain.str(), Not(HasSubstr("NEVER")));
  PrintTable({{"A", "a"}}, rows, true, terminal);
  EXPECT_THAT(terminal.str(), AllOf(HasSubstr("/beginx"), HasSubstr("…"), HasSubstr("xé/end")));
  std::string cut = terminal.str().substr(terminal.str().find("/begin"));
  EXPECT_EQ(DisplayWidth(cut), 60u);
}

}  // namespace
}  // namespace vedette
