// SPDX-License-Identifier: Apache-2.0
#include "exporters/jsonl/jsonl_exporter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "agent/base/status.h"
#include "exporters/schema/encode.h"

namespace vedette {
namespace {

constexpr mode_t kFileMode = 0640;

// True when the file's last byte is there and is not the end of a line.
bool EndsInMidLine(int fd, off_t size) {
  char last = '\n';
  return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

}  // namespace

void JsonlExporter::Export(std::vector<pb::Event> batch, Done done) {
  if (shut_down_) {
    done(absl::UnavailableError(path_ + ": the exporter is shut down"));
    return;
  }
  absl::Status status = Write(batch);
  if (!status.ok()) {
    // The next batch starts from the path again: the disk may have been replaced below us.
    file_.Reset();
  }
  done(std::move(status));
}

absl::Status JsonlExporter::Shutdown(Deadline) {
  shut_down_ = true;
  file_.Reset();
  return absl::OkStatus();
}

absl::Status JsonlExporter::Write(const std::vector<pb::Event>& batch) {
  if (batch.empty()) {
    return absl::OkStatus();
  }
  if (reopen_.exchange(false) || !file_.valid()) {
    VEDETTE_RETURN_IF_ERROR(Open());
  }
  std::string text;
  for (const pb::Event& event : batch) {
    text += EncodeJson(event);
    text += '\n';
  }
  return Append(text);
}

absl::Status JsonlExporter::Open() {
  const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  std::error_code ignored;
  if (!folder.empty() && !std::filesystem::exists(folder, ignored)) {
    // A folder that cannot be made shows itself as a file that cannot be opened.
    std::filesystem::create_directories(folder, ignored);
  }
  // Readable too, for the look at the last byte; a pipe or a log socket may allow writing only.
  file_.Reset(open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, kFileMode));
  if (!file_.valid() && errno == EACCES) {
    file_.Reset(open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kFileMode));
  }
  if (!file_.valid()) {
    return Error("cannot be opened", errno);
  }
  struct stat stat = {};
  regular_ = fstat(file_.get(), &stat) == 0 && S_ISREG(stat.st_mode);
  if (regular_ && stat.st_size == 0) {
    // A new name in a folder is on the disk only when the folder is.
    const UniqueFd parent(open(folder.empty() ? "." : folder.c_str(), O_DIRECTORY | O_CLOEXEC));
    if (parent.valid()) {
      fsync(parent.get());
    }
  }
  if (regular_ && EndsInMidLine(file_.get(), stat.st_size)) {
    return Append("\n");
  }
  return absl::OkStatus();
}

absl::Status JsonlExporter::Append(std::string_view text) {
  struct stat before = {};
  fstat(file_.get(), &before);
  std::string_view left = text;
  while (!left.empty()) {
    const ssize_t written = write(file_.get(), left.data(), left.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      const int error = written == 0 ? ENOSPC : errno;
      if (regular_ && left.size() < text.size() && ftruncate(file_.get(), before.st_size) != 0) {
        // What is left in mid-line is ended when the file is opened again.
        file_.Reset();
      }
      return Error("cannot be written", error);
    }
    left.remove_prefix(static_cast<size_t>(written));
  }
  if (regular_ && fdatasync(file_.get()) != 0) {
    return Error("cannot be brought to the disk", errno);
  }
  return absl::OkStatus();
}

absl::Status JsonlExporter::Error(std::string_view what, int error) const {
  const char* advice = error == ENOSPC || error == EDQUOT
                           ? "make room on its disk"
                           : "give the agent a file that it may write in sinks.jsonl.path";
  return absl::UnavailableError(
      fmt::format("{}: {}: {}; {}", path_, what, std::strerror(error), advice));
}

}  // namespace vedette
