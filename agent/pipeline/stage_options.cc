// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/stage_options.h"

#include <utility>

#include "agent/enrich/runtime_metadata.h"
#include "agent/probes/file_shape.h"

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
  // With those that a class of the same shape would stand for, as files and as directories.
  for (size_t i = files.size(); i-- > 0;) {
    for (const char* end : {"", "/"}) {
      if (std::string shape = ShapeOfPath(files[i] + end).text; !shape.empty()) {
        files.push_back(shape.substr(0, shape.find_last_not_of('/') + 1));
      }
    }
  }
  return files;
}

}  // namespace vedette
