// SPDX-License-Identifier: Apache-2.0
#include "exporters/kafka/shorten.h"

#include <fmt/format.h>

namespace vedette {
namespace {

constexpr size_t kMaxTextBytes = 512;

// Cuts text before the character that does not fit, bytes anywhere.
void Cut(std::string* text) {
  if (text->size() <= kMaxTextBytes) {
    return;
  }
  size_t end = kMaxTextBytes;
  for (int i = 0; i < 3 && (static_cast<unsigned char>((*text)[end]) & 0xc0) == 0x80; ++i) {
    --end;
  }
  text->resize(end);
  *text += " …";
}

}  // namespace

std::optional<pb::Event> Shorten(const pb::Event& event, size_t size_bytes) {
  if (!event.has_finding()) {
    return std::nullopt;
  }
  pb::Event shortened = event;
  pb::Finding* finding = shortened.mutable_finding();
  finding->clear_ancestors();
  if (finding->has_process()) {
    finding->mutable_process()->clear_argv();
    Cut(finding->mutable_process()->mutable_code()->mutable_path());
    Cut(finding->mutable_process()->mutable_code()->mutable_script());
  }
  Cut(finding->mutable_title());
  Cut(finding->mutable_sentence());
  Cut(finding->mutable_subject());
  Cut(finding->mutable_object());
  Cut(finding->mutable_workload()->mutable_cgroup_path());
  if (shortened.ByteSizeLong() >= event.ByteSizeLong()) {
    return std::nullopt;
  }
  *finding->mutable_sentence() +=
      fmt::format(" [shortened: the record of {} bytes is too large for the topic]", size_bytes);
  return shortened;
}

}  // namespace vedette
