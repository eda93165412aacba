// SPDX-License-Identifier: Apache-2.0
#include "agent/collect/ring_reader.h"

#include <errno.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

namespace vedette {
namespace {

constexpr uint64_t kRecordAlignment = 8;

}  // namespace

RingReader::RingReader(int map_fd, size_t size_bytes, void* consumer, void* producer)
    : map_fd_(map_fd),
      size_bytes_(size_bytes),
      page_bytes_(static_cast<size_t>(sysconf(_SC_PAGESIZE))),
      consumer_(static_cast<std::atomic<uint64_t>*>(consumer)),
      producer_(static_cast<const std::atomic<uint64_t>*>(producer)),
      data_(static_cast<const char*>(producer) + page_bytes_),
      position_(consumer_->load(std::memory_order_acquire)) {}

absl::StatusOr<std::unique_ptr<RingReader>> RingReader::Open(int map_fd, size_t size_bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* consumer = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  if (consumer == MAP_FAILED) {
    return absl::InternalError(fmt::format("mapping a ring's position: {}", strerror(errno)));
  }
  void* producer =
      mmap(nullptr, page + 2 * size_bytes, PROT_READ, MAP_SHARED, map_fd, static_cast<off_t>(page));
  if (producer == MAP_FAILED) {
    const int error = errno;
    munmap(consumer, page);
    return absl::InternalError(
        fmt::format("mapping a ring of {} bytes: {}", size_bytes, strerror(error)));
  }
  return std::unique_ptr<RingReader>(new RingReader(map_fd, size_bytes, consumer, producer));
}

RingReader::~RingReader() {
  munmap(consumer_, page_bytes_);
  munmap(const_cast<std::atomic<uint64_t>*>(producer_), page_bytes_ + 2 * size_bytes_);
}

size_t RingReader::Read(size_t most, uint64_t end,
                        const std::function<void(std::string_view)>& visit) {
  size_t count = 0;
  while (position_ < end && count < most) {
    const char* at = data_ + (position_ & (size_bytes_ - 1));
    const uint32_t header =
        reinterpret_cast<const std::atomic<uint32_t>*>(at)->load(std::memory_order_acquire);
    if (header & BPF_RINGBUF_BUSY_BIT) {
      break;
    }
    const uint32_t length = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    if (!(header & BPF_RINGBUF_DISCARD_BIT)) {
      visit(std::string_view(at + BPF_RINGBUF_HDR_SZ, length));
      ++count;
    }
    position_ += (length + BPF_RINGBUF_HDR_SZ + kRecordAlignment - 1) & ~(kRecordAlignment - 1);
  }
  return count;
}

void RingReader::Acknowledge(uint64_t position) {
  consumer_->store(position, std::memory_order_release);
}

void RingReader::SkipTo(uint64_t position) {
  if (position > position_ && position <= producer_->load(std::memory_order_acquire)) {
    position_ = position;
  }
}

uint64_t RingReader::BytesHeld() const {
  return producer_->load(std::memory_order_relaxed) - consumer_->load(std::memory_order_relaxed);
}

}  // namespace vedette
