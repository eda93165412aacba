// SPDX-License-Identifier: Apache-2.0
#include "exporters/jsonl/jsonl_exporter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
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
// How long a pipe may be full before its batch is tried again later.
constexpr int kRoomWaitMs = 500;

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
  if (reopen_.exchange(false) || !file_.valid() || !IsStillThere()) {
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
  // A pipe or a terminal that nobody reads would hold this thread for ever, and the agent's end
  // with it. A pipe is not opened for reading: then it would have a reader that never reads.
  constexpr int kFlags = O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  struct stat stat = {};
  const bool is_pipe = ::stat(path_.c_str(), &stat) == 0 && S_ISFIFO(stat.st_mode);
  // Readable too, for the look at the last byte.
  file_.Reset(open(path_.c_str(), kFlags | (is_pipe ? O_WRONLY : O_RDWR), kFileMode));
  if (!file_.valid() && errno == EACCES) {
    file_.Reset(open(path_.c_str(), kFlags | O_WRONLY, kFileMode));
  }
  if (!file_.valid()) {
    return is_pipe && errno == ENXIO ? Error("is a pipe that nobody reads", 0)
                                     : Error("cannot be opened", errno);
  }
  regular_ = fstat(file_.get(), &stat) == 0 && S_ISREG(stat.st_mode);
  mid_line_ = mid_line_ && !regular_;
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

// A file that was removed would take everything, and nobody could read it.
bool JsonlExporter::IsStillThere() const {
  struct stat open_file = {};
  struct stat named = {};
  return fstat(file_.get(), &open_file) == 0 && stat(path_.c_str(), &named) == 0 &&
         open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

bool JsonlExporter::WaitForRoom() const {
  pollfd wait = {.fd = file_.get(), .events = POLLOUT, .revents = 0};
  return poll(&wait, 1, kRoomWaitMs) > 0;
}

absl::Status JsonlExporter::Append(std::string_view text) {
  struct stat before = {};
  fstat(file_.get(), &before);
  const std::string ended = mid_line_ ? fmt::format("\n{}", text) : "";
  std::string_view left = mid_line_ ? ended : text;
  while (!left.empty()) {
    const ssize_t written = write(file_.get(), left.data(), left.size());
    if (written < 0 && (errno == EINTR || (errno == EAGAIN && WaitForRoom()))) {
      continue;
    }
    if (written < 0 && errno == EAGAIN) {
      return Error("is full, and nobody reads it", 0);
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
    mid_line_ = !regular_ && !left.empty();
  }
  if (regular_ && fdatasync(file_.get()) != 0) {
    return Error("cannot be brought to the disk", errno);
  }
  return absl::OkStatus();
}

absl::Status JsonlExporter::Error(std::string_view what, int error) const {
  if (error == 0) {
    return absl::UnavailableError(
        fmt::format("{}: {}; start its reader, or name a file in sinks.jsonl.path", path_, what));
  }
  const char* advice = error == ENOSPC || error == EDQUOT
                           ? "make room on its disk"
                           : "give the agent a file that it may write in sinks.jsonl.path";
  return absl::UnavailableError(
      fmt::format("{}: {}: {}; {}", path_, what, std::strerror(error), advice));
}

}  // namespace vedette
