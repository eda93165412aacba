// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/iterator_read.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "agent/base/unique_fd.h"

namespace vedette {
namespace {

TEST(IteratorReadTest, APauseOfTheKernelIsNotTheEnd) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  ASSERT_EQ(write(writer.get(), "one ", 4), 4);
  // Until the rest comes, the reader gets EAGAIN.
  std::thread later([&] {
    ASSERT_EQ(write(writer.get(), "two", 3), 3);
    writer.Reset();
  });
  absl::StatusOr<std::string> bytes = ReadIterator(reader.get());
  later.join();
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(*bytes, "one two");
}

TEST(IteratorReadTest, AnErrorIsOne) { EXPECT_FALSE(ReadIterator(-1).ok()); }

}  // namespace
}  // namespace vedette
