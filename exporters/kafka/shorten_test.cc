// SPDX-License-Identifier: Apache-2.0
#include "exporters/kafka/shorten.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vedette {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

pb::Event Large() {
  pb::Event event;
  event.set_uid("f-1/2");
  event.set_key("host/a");
  event.set_sequence(7);
  pb::Finding* finding = event.mutable_finding();
  finding->set_uid("f-1");
  finding->set_sentence("New: " + std::string(506, 'x') + "äöü" + std::string(5000, 'y'));
  finding->mutable_process()->set_pid(1);
  finding->mutable_process()->add_argv(std::string(100000, 'a'));
  finding->mutable_process()->mutable_code()->set_path(std::string(4096, '\xff'));
  finding->add_ancestors()->add_argv(std::string(100000, 'b'));
  return event;
}

TEST(ShortenTest, LeavesOutWhatIsLongAndSaysSo) {
  const auto shortened = Shorten(Large(), 123456);
  ASSERT_TRUE(shortened.has_value());
  EXPECT_LT(shortened->ByteSizeLong(), 2500u);
  EXPECT_EQ(shortened->uid(), "f-1/2");
  EXPECT_EQ(shortened->sequence(), 7u);
  EXPECT_EQ(shortened->finding().process().pid(), 1u);
  EXPECT_EQ(shortened->finding().process().argv_size(), 0);
  EXPECT_EQ(shortened->finding().ancestors_size(), 0);
  // A character is kept whole or not at all.
  EXPECT_THAT(shortened->finding().sentence(), HasSubstr("x … [shortened: "));
  EXPECT_THAT(shortened->finding().sentence(),
              EndsWith(" [shortened: the record of 123456 bytes is too large for the topic]"));
}

TEST(ShortenTest, NothingToLeaveOut) {
  pb::Event small;
  small.mutable_finding()->set_sentence("New.");
  EXPECT_FALSE(Shorten(small, 100).has_value());
  pb::Event ledger;
  ledger.mutable_ledger()->add_gaps(std::string(5000, 'x'));
  EXPECT_FALSE(Shorten(ledger, 5100).has_value());
}

}  // namespace
}  // namespace vedette
