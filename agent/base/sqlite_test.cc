// SPDX-License-Identifier: Apache-2.0
#include "agent/base/sqlite.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace vedette {
namespace {

class SqliteTest : public testing::Test {
 protected:
  SqliteTest() : dir_(testing::TempDir() + "/sqlite_test." + std::to_string(getpid())) {
    std::filesystem::create_directories(dir_);
  }
  ~SqliteTest() override { std::filesystem::remove_all(dir_); }
  std::string dir_;
};

TEST_F(SqliteTest, BytesSurviveAsTheyAre) {
  auto db = SqliteDatabase::Open(dir_ + "/a.db");
  ASSERT_TRUE(db.ok()) << db.status();
  ASSERT_TRUE((*db)->Exec("CREATE TABLE t(id INTEGER, value BLOB)").ok());
  const std::string bytes("\xff\0\n'x", 5);
  auto insert = (*db)->Prepare("INSERT INTO t VALUES(?, ?)");
  ASSERT_TRUE(insert.ok());
  ASSERT_TRUE(insert->Bind(1, int64_t{7}).BindBlob(2, bytes).Run().ok());
  ASSERT_TRUE(insert->Bind(1, int64_t{8}).BindBlob(2, {}).Run().ok());

  auto select = (*db)->Prepare("SELECT id, value FROM t ORDER BY id");
  ASSERT_TRUE(select->Step().value());
  EXPECT_EQ(select->Int64(0), 7);
  EXPECT_EQ(select->Bytes(1), bytes);
  ASSERT_TRUE(select->Step().value());
  EXPECT_EQ(select->Bytes(1), "");
  EXPECT_FALSE(select->Step().value());
}

TEST_F(SqliteTest, RollbackForgetsAndCommitKeeps) {
  auto db = SqliteDatabase::Open(dir_ + "/a.db");
  ASSERT_TRUE((*db)->Exec("CREATE TABLE t(id INTEGER)").ok());
  ASSERT_TRUE((*db)->Begin().ok());
  ASSERT_TRUE((*db)->Exec("INSERT INTO t VALUES(1)").ok());
  (*db)->Rollback();
  ASSERT_TRUE((*db)->Begin().ok());
  ASSERT_TRUE((*db)->Exec("INSERT INTO t VALUES(2)").ok());
  ASSERT_TRUE((*db)->Commit().ok());
  auto select = (*db)->Prepare("SELECT id FROM t");
  ASSERT_TRUE(select->Step().value());
  EXPECT_EQ(select->Int64(0), 2);
  EXPECT_FALSE(select->Step().value());
}

TEST_F(SqliteTest, AFileThatIsNoDatabaseIsDataLossAndNamed) {
  const std::string path = dir_ + "/bad.db";
  std::ofstream(path) << std::string(4096, 'x');
  auto db = SqliteDatabase::Open(path);
  ASSERT_FALSE(db.ok());
  EXPECT_EQ(db.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(db.status().message().find(path), std::string::npos);
}

TEST_F(SqliteTest, AFolderThatIsNotThereIsRefused) {
  auto db = SqliteDatabase::Open(dir_ + "/none/a.db");
  EXPECT_EQ(db.status().code(), absl::StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace vedette
