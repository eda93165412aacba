// SPDX-License-Identifier: Apache-2.0
// tsan_setup race: two threads count without a lock, which must be reported.
// tsan_setup handover: they hand messages over under a lock, which must not be.
#include <fmt/format.h>

#include <cstring>
#include <deque>
#include <thread>

#include "agent/base/mutex.h"
#include "exporters/schema/event.pb.h"

namespace vedette {
namespace {

constexpr int kTimes = 1000;

int counted = 0;

void CountWithoutALock() {
  for (int i = 0; i < kTimes; ++i) {
    ++counted;
  }
}

void Race() {
  std::thread other(CountWithoutALock);
  CountWithoutALock();
  other.join();
}

void HandOver() {
  Mutex mutex;
  std::deque<pb::Event> queue;
  std::thread other([&mutex, &queue] {
    for (int i = 0; i < kTimes; ++i) {
      pb::Event event;
      event.set_uid(fmt::format("event {}", i));
      event.mutable_finding()->set_title(event.uid());
      MutexLock lock(&mutex);
      queue.push_back(std::move(event));
    }
  });
  for (int i = 0; i < kTimes; ++i) {
    pb::Event event;
    {
      MutexLock lock(&mutex);
      mutex.Await([&queue] { return !queue.empty(); });
      event = std::move(queue.front());
      queue.pop_front();
    }
    counted += static_cast<int>(event.SerializeAsString().size());
  }
  other.join();
}

}  // namespace
}  // namespace vedette

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "race") == 0) {
    vedette::Race();
  } else {
    vedette::HandOver();
  }
  fmt::print("{}\n", vedette::counted);
}
