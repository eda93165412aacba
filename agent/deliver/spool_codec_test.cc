// SPDX-License-Identifier: Apache-2.0
#include "agent/deliver/spool_codec.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace vedette {
namespace {

class SpoolCodecTest : public testing::Test {
 protected:
  SpoolCodecTest() : path_(testing::TempDir() + "/spool_codec_test." + std::to_string(getpid())) {
    db_ = SqliteDatabase::Open(path_).value();
    EXPECT_TRUE(db_->Exec(kSpoolDictionaryTables).ok());
  }
  ~SpoolCodecTest() override {
    db_.reset();
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::filesystem::remove(path_ + suffix);
    }
  }

  static std::string Event(int number) {
    std::string text = fmt::format("finding {} ", number);
    for (int i = 0; i < 40; ++i) {
      text += fmt::format("host/system.slice/unit-{}.service /usr/lib/program-{} ", i, i * 7);
    }
    return text;
  }
  // Enough events for a dictionary.
  static void Fill(SpoolEncoder& encoder) {
    for (int i = 0; i < 40; ++i) {
      EXPECT_TRUE(encoder.Encode(Event(i)).ok());
    }
  }

  std::string path_;
  std::unique_ptr<SqliteDatabase> db_;
};

TEST_F(SpoolCodecTest, TheFirstRowsArePlainAndLaterOnesSmallAndBothComeBack) {
  SpoolEncoder encoder = SpoolEncoder::Open(*db_).value();
  SpoolDecoder decoder(*db_);
  EXPECT_EQ(encoder.Encode(Event(0)).value(), Event(0));
  Fill(encoder);
  const std::string row = encoder.Encode(Event(41)).value();
  EXPECT_LT(row.size(), Event(41).size() / 10);
  EXPECT_EQ(decoder.Decode(Event(0)), Event(0));
  EXPECT_EQ(decoder.Decode(row), Event(41));
  EXPECT_EQ(decoder.Decode(""), "");
}

TEST_F(SpoolCodecTest, AnotherRunReadsAndGoesOnWithTheSameDictionary) {
  std::string row;
  {
    SpoolEncoder encoder = SpoolEncoder::Open(*db_).value();
    Fill(encoder);
    row = encoder.Encode(Event(50)).value();
  }
  SpoolEncoder encoder = SpoolEncoder::Open(*db_).value();
  EXPECT_EQ(encoder.Encode(Event(50)).value(), row);
  EXPECT_EQ(SpoolDecoder(*db_).Decode(row), Event(50));
}

TEST_F(SpoolCodecTest, ATransactionThatIsRolledBackTakesNoDictionaryWithIt) {
  SpoolEncoder encoder = SpoolEncoder::Open(*db_).value();
  ASSERT_TRUE(db_->Begin().ok());
  Fill(encoder);
  ASSERT_TRUE(db_->Exec("ROLLBACK").ok());
  const std::string row = encoder.Encode(Event(50)).value();
  EXPECT_EQ(row.front(), '\0');
  EXPECT_EQ(SpoolDecoder(*db_).Decode(row), Event(50));
}

TEST_F(SpoolCodecTest, ADamagedRowIsNoEvent) {
  SpoolEncoder encoder = SpoolEncoder::Open(*db_).value();
  Fill(encoder);
  const std::string row = encoder.Encode(Event(50)).value();
  SpoolDecoder decoder(*db_);
  EXPECT_EQ(decoder.Decode(row.substr(0, row.size() / 2)), std::nullopt);
  EXPECT_EQ(decoder.Decode(std::string(1, '\0')), std::nullopt);
  for (size_t i = 1; i < row.size(); ++i) {
    std::string damaged = row;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x55);
    decoder.Decode(damaged);  // Anything, but not out of bounds: the sanitizers look.
  }
  ASSERT_TRUE(db_->Exec("DELETE FROM spool_dictionary").ok());
  EXPECT_EQ(SpoolDecoder(*db_).Decode(row), std::nullopt);
}

TEST_F(SpoolCodecTest, WhatDoesNotCompressStaysPlain) {
  SpoolEncoder encoder = SpoolEncoder::Open(*db_).value();
  Fill(encoder);
  EXPECT_EQ(encoder.Encode("x").value(), "x");
  EXPECT_EQ(encoder.Encode("").value(), "");
}

}  // namespace
}  // namespace vedette
