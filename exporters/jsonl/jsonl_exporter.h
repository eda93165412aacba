// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/unique_fd.h"
#include "exporters/api/exporter.h"

namespace vedette {

struct JsonlOptions {
  std::string path;
};

// Appends each event as one line of JSON to a file; a batch is on the disk before it counts as
// delivered. Findings and ledger records share the file. A line that a crash or a full disk cut is
// taken back, or at least ended, before the next one is written. Nothing is ever dropped here: a
// file that cannot be written is Unavailable, and so is a pipe that nobody reads. A file that was
// removed or replaced is opened anew by its path. Owned by its exporter thread; does not rotate
// files.
class JsonlExporter final : public Exporter {
 public:
  explicit JsonlExporter(JsonlOptions options) : path_(std::move(options.path)) {}

  std::string_view name() const override { return "jsonl"; }
  void Export(std::vector<pb::Event> batch, Done done) override;
  absl::Status Shutdown(Deadline deadline) override;

  // Opens the path anew before the next batch, after somebody renamed the file. From any thread.
  void Reopen() { reopen_ = true; }

 private:
  absl::Status Write(const std::vector<pb::Event>& batch);
  absl::Status Open();
  bool IsStillThere() const;
  absl::Status Append(std::string_view text);
  bool WaitForRoom() const;
  absl::Status Error(std::string_view what, int error) const;

  const std::string path_;
  std::atomic<bool> reopen_ = false;
  UniqueFd file_;
  bool regular_ = false;   // Not a pipe, a terminal or a device.
  bool mid_line_ = false;  // What is not regular took a part of a line.
  bool shut_down_ = false;
};

}  // namespace vedette
