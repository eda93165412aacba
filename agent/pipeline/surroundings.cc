// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/surroundings.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "agent/base/status.h"
#include "agent/base/unique_fd.h"
#include "agent/pipeline/node.h"
#include "agent/probes/file_key.h"

namespace vedette {
namespace {

constexpr size_t kMaxWalks = 8;  // So many ancestors of a process are kept.

size_t AncestorsOf(const std::vector<Event>& seen) {
  size_t sum = 0;
  for (const Event& event : seen) {
    if (const auto* process = std::get_if<ProcessSeenEvent>(&event.body)) {
      sum += process->process.ancestors.size();
    }
  }
  return sum;
}

}  // namespace

absl::Status Surroundings::SeeCgroups(const std::string& mount) const {
  std::vector<Event> seen;
  const absl::Time now = parts_.clock->Now();
  VEDETTE_RETURN_IF_ERROR(WalkCgroups(mount, [&](const CgroupEvent& cgroup) {
    Event event;
    event.header.time = now;
    event.body = cgroup;
    // A cgroup that the kernel knows keeps its number, and so its cache.
    std::get<CgroupEvent>(event.body).workload_number = parts_.cache->NumberOf(cgroup.cgroup_id);
    seen.push_back(std::move(event));
  }));
  parts_.pipeline->Process(std::move(seen), Entrance::kScan);
  return absl::OkStatus();
}

absl::Status Surroundings::SeeProcesses() const {
  std::vector<Event> seen;
  // A walk may meet a child before its parent, and tells it then what the walk before found out.
  size_t lineage = 0, before = 0;
  for (size_t walk = 0; walk < kMaxWalks && (walk == 0 || lineage != before); ++walk) {
    absl::StatusOr<std::string> bytes = parts_.probes->RunIterator("scan_processes", {});
    if (absl::IsNotFound(bytes.status())) {
      return absl::OkStatus();  // The kernel refused the iterators: `doctor` says so.
    }
    VEDETTE_RETURN_IF_ERROR(bytes.status());
    seen.clear();
    VEDETTE_RETURN_IF_ERROR(parts_.decoder->DecodeAll(*bytes, seen));
    before = std::exchange(lineage, AncestorsOf(seen));
  }
  parts_.pipeline->Process(std::move(seen), Entrance::kScan);
  return parts_.probes->RunIterator("scan_sockets", {}).status();
}

void Surroundings::PlaceRuntimes(const std::vector<std::string>& more) const {
  std::vector<std::string> paths = DefaultRuntimes();
  paths.insert(paths.end(), more.begin(), more.end());
  for (const std::string& path : paths) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!fd.valid()) {
      continue;
    }
    absl::Status status;
    if (absl::StatusOr<CodeKey> key = ReadFileKey(*parts_.probes, fd.get()); key.ok()) {
      status = parts_.cache->AddRuntime(*key);
      parts_.pipeline->parts().enricher->KnowRuntime(*key, path);
    } else {
      status = key.status();
    }
    if (!status.ok()) {
      spdlog::warn("{}: not known as a runtime: {}", path, Message(status));
    }
  }
}

}  // namespace vedette
