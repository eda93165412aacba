// SPDX-License-Identifier: Apache-2.0
#include "tests/recordings/recording.h"

#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "bpf/wire/cgroup.h"
#include "bpf/wire/dns.h"
#include "bpf/wire/exec.h"
#include "bpf/wire/file.h"
#include "bpf/wire/kinds.h"
#include "tests/support/temp_dir.h"

namespace vedette::testing {
namespace {

constexpr std::string_view kMagic = "VEDREC1\n";
constexpr uint64_t kMaxBytes = uint64_t{256} << 20;
constexpr int kWindowLog = 27;  // Jobs that run each hour are far apart.

template <typename T>
bool Take(std::string_view& from, T& to) {
  if (from.size() < sizeof(T)) {
    return false;
  }
  std::memcpy(&to, from.data(), sizeof(T));
  from.remove_prefix(sizeof(T));
  return true;
}

template <typename T>
void Put(T value, std::string& to) {
  to.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void ClearRest(__u8* area, size_t used, size_t size) {
  memset(area + std::min(used, size), 0, size - std::min(used, size));
}

template <typename T>
T* As(std::string& record) {
  return record.size() < sizeof(T) ? nullptr : reinterpret_cast<T*>(record.data());
}

template <typename Exec>
void ClearExec(Exec& exec) {
  ClearRest(exec.path, exec.exec.path_bytes, sizeof(exec.path));
  ClearRest(exec.argv, exec.exec.argv_bytes, sizeof(exec.argv));
  ClearRest(exec.script, exec.exec.script_bytes, sizeof(exec.script));
}

absl::StatusOr<Recording> Parse(std::string_view bytes, const std::string& path) {
  std::string_view rest = bytes;
  int64_t boot_ns = 0;
  if (rest.substr(0, kMagic.size()) != kMagic) {
    return absl::InvalidArgumentError(path + ": no recording");
  }
  rest.remove_prefix(kMagic.size());
  if (!Take(rest, boot_ns)) {
    return absl::InvalidArgumentError(path + ": cut short");
  }
  Recording recording{absl::FromUnixNanos(boot_ns), {}};
  while (!rest.empty()) {
    uint32_t size = 0;
    if (!Take(rest, size) || rest.size() < size) {
      return absl::InvalidArgumentError(path + ": cut short");
    }
    recording.records.emplace_back(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  return recording;
}

std::string BytesOf(const Recording& recording) {
  std::string bytes(kMagic);
  Put(absl::ToUnixNanos(recording.boot), bytes);
  for (const std::string& record : recording.records) {
    Put(static_cast<uint32_t>(record.size()), bytes);
    bytes += record;
  }
  return bytes;
}

absl::Status Write(const std::string& path, const std::string& bytes) {
  return WriteFile(path, bytes) ? absl::OkStatus()
                                : absl::PermissionDeniedError(path + ": cannot be written");
}

}  // namespace

absl::StatusOr<Recording> ReadRecording(const std::string& path) {
  return Parse(ReadFile(path), path);
}

absl::Status WriteRecording(const std::string& path, const Recording& recording) {
  return Write(path, BytesOf(recording));
}

absl::StatusOr<Recording> ReadCompressedRecording(const std::string& path) {
  const std::string compressed = ReadFile(path);
  const unsigned long long size = ZSTD_getFrameContentSize(compressed.data(), compressed.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size > kMaxBytes) {
    return absl::InvalidArgumentError(path + ": no compressed recording");
  }
  std::string bytes(size, '\0');
  const size_t got =
      ZSTD_decompress(bytes.data(), bytes.size(), compressed.data(), compressed.size());
  if (ZSTD_isError(got) || got != size) {
    return absl::InvalidArgumentError(path + ": cut short");
  }
  return Parse(bytes, path);
}

absl::Status WriteCompressedRecording(const std::string& path, const Recording& recording) {
  const std::string bytes = BytesOf(recording);
  std::string compressed(ZSTD_compressBound(bytes.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, ZSTD_maxCLevel());
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, kWindowLog);
  const size_t size =
      ZSTD_compress2(context, compressed.data(), compressed.size(), bytes.data(), bytes.size());
  ZSTD_freeCCtx(context);
  if (ZSTD_isError(size)) {
    return absl::InternalError(path + ": " + ZSTD_getErrorName(size));
  }
  compressed.resize(size);
  return Write(path, compressed);
}

wire_header HeaderOf(const std::string& record) {
  wire_header header = {};
  memcpy(&header, record.data(), std::min(sizeof(header), record.size()));
  return header;
}

void ClearRooms(std::string& record) {
  switch (HeaderOf(record).kind) {
    case WIRE_KIND_EXEC:
      if (auto* large = As<wire_exec_large>(record);
          large != nullptr && (large->exec.flags & WIRE_EXEC_LARGE)) {
        ClearExec(*large);
      } else if (auto* small = As<wire_exec_small>(record); small != nullptr) {
        ClearExec(*small);
      }
      break;
    case WIRE_KIND_DNS:
      if (auto* dns = As<wire_dns>(record); dns != nullptr) {
        ClearRest(dns->answer, dns->answer_bytes, sizeof(dns->answer));
      }
      break;
    case WIRE_KIND_FILE:
      if (auto* large = As<wire_file_large>(record);
          large != nullptr && (large->file.flags & WIRE_FILE_LARGE)) {
        ClearRest(large->path, large->file.path_bytes, sizeof(large->path));
      } else if (auto* small = As<wire_file_small>(record); small != nullptr) {
        ClearRest(small->path, small->file.path_bytes, sizeof(small->path));
      }
      break;
    case WIRE_KIND_CGROUP:
      if (auto* cgroup = As<wire_cgroup>(record); cgroup != nullptr) {
        ClearRest(cgroup->path, cgroup->path_bytes, sizeof(cgroup->path));
      }
      break;
    default:
      break;
  }
}

}  // namespace vedette::testing
