// SPDX-License-Identifier: Apache-2.0
// What the programs are told to do: what to send to the tap, which files to look at, which
// programs are runtimes.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <string.h>

#include "agent/base/status.h"
#include "agent/cache/maps.h"
#include "agent/cache/verdict_cache.h"
#include "bpf/wire/cache.h"
#include "bpf/wire/file.h"

namespace vedette {
namespace {

constexpr uint32_t kZero = 0;

}  // namespace

absl::Status VerdictCache::SetTap(uint64_t workload_number, bool on) {
  const uint32_t yes = 1;
  if (tapped_.contains(workload_number) == on) {
    return absl::OkStatus();
  }
  if (on && bpf_map_update_elem(maps_("vd_taps"), &workload_number, &yes, BPF_ANY) != 0) {
    return MapError(fmt::format("opening a tap on workload number {}", workload_number));
  }
  if (!on && bpf_map_delete_elem(maps_("vd_taps"), &workload_number) != 0 && errno != ENOENT) {
    return MapError(fmt::format("closing the tap on workload number {}", workload_number));
  }
  if (on) {
    tapped_.insert(workload_number);
  } else {
    tapped_.erase(workload_number);
  }
  return ChangeConfig([this](wire_config& config) { config.tap_some = !tapped_.empty(); });
}

absl::Status VerdictCache::SetTaps(const absl::flat_hash_set<uint64_t>& workload_numbers) {
  const std::vector<uint64_t> open(tapped_.begin(), tapped_.end());
  for (const uint64_t number : open) {
    VEDETTE_RETURN_IF_ERROR(SetTap(number, workload_numbers.contains(number)));
  }
  for (const uint64_t number : workload_numbers) {
    VEDETTE_RETURN_IF_ERROR(SetTap(number, true));
  }
  return absl::OkStatus();
}

absl::Status VerdictCache::AddRuntime(const CodeKey& code) {
  const wire_code key = {code.device,     code.inode,      code.change_time_ns,
                         code.size_bytes, code.generation, code.flags};
  const uint32_t yes = 1;
  return bpf_map_update_elem(maps_("vd_runtimes"), &key, &yes, BPF_ANY) == 0
             ? absl::OkStatus()
             : MapError("map vd_runtimes");
}

absl::Status VerdictCache::SetTapAll(bool on) {
  if (on == tap_all_) {
    return absl::OkStatus();
  }
  VEDETTE_RETURN_IF_ERROR(ChangeConfig([on](wire_config& config) { config.tap_all = on; }));
  tap_all_ = on;
  return absl::OkStatus();
}

absl::Status VerdictCache::ChangeConfig(const std::function<void(wire_config&)>& change) {
  wire_config config = {};
  if (bpf_map_lookup_elem(maps_("vd_config"), &kZero, &config) != 0) {
    return MapError("map vd_config");
  }
  change(config);
  return bpf_map_update_elem(maps_("vd_config"), &kZero, &config, BPF_ANY) == 0
             ? absl::OkStatus()
             : MapError("map vd_config");
}

absl::Status VerdictCache::WatchFiles(const std::vector<std::string>& paths) {
  const int watched = maps_("vd_watched");
  wire_watched key;
  while (bpf_map_get_next_key(watched, nullptr, &key) == 0) {
    bpf_map_delete_elem(watched, &key);
  }
  wire_watch watch = {};
  const uint32_t yes = 1;
  for (const std::string& path : paths) {
    if (path.size() > kMaxWatchedPath) {
      return absl::InvalidArgumentError(fmt::format("{}: the path is too long", path));
    }
    key = {};
    memcpy(key.path, path.data(), path.size());
    if (bpf_map_update_elem(watched, &key, &yes, BPF_ANY) != 0) {
      return MapError("map vd_watched");
    }
    const std::string name = path.substr(path.rfind('/') + 1);
    const uint32_t bit =
        wire_watch_bit(static_cast<uint32_t>(name.size()), static_cast<uint8_t>(name[0]));
    watch.bits[bit / 64] |= uint64_t{1} << bit % 64;
  }
  return bpf_map_update_elem(maps_("vd_watch"), &kZero, &watch, BPF_ANY) == 0
             ? absl::OkStatus()
             : MapError("map vd_watch");
}

}  // namespace vedette
