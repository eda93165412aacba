// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/stage_options.h"

#include <utility>

#include "agent/enrich/runtime_metadata.h"

namespace vedette {

uint32_t RingBytes(const Config& config) {
  uint32_t bytes = 4096;
  while (bytes < config.collect.ring_size_bytes && bytes < (1u << 30)) {
    bytes *= 2;
  }
  return bytes;
}

WorkloadTable::Namer MakeNamer(const Config& config) {
  RuntimeMetadata::Roots roots = {config.identity.docker_roots, config.identity.containerd_roots,
                                  config.identity.storage_roots};
  if (!config.identity.user_containers) {
    roots.passwd.clear();
  }
  return
      [metadata = RuntimeMetadata(std::move(roots))](
          const CgroupName& cgroup, std::string_view path) { return metadata.Find(cgroup, path); };
}

std::vector<std::string> SensitiveFiles(const Config& config) {
  std::vector<std::string> files = config.files.sensitive;
  files.insert(files.end(), config.files.watch.begin(), config.files.watch.end());
  return files;
}

}  // namespace vedette
