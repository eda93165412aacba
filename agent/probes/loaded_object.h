// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/probes/probe_set.h"

namespace vedette {

// One BPF object of a set of probes, with what of it is attached. Without an object: it could not
// be loaded, and the status says why. For the files of ProbeSet alone.
struct ProbeSet::LoadedObject {
  struct CloseObject {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
  };
  struct DestroyLink {
    void operator()(bpf_link* link) const { bpf_link__destroy(link); }
  };
  std::string name;
  std::unique_ptr<bpf_object, CloseObject> object;
  std::vector<std::unique_ptr<bpf_link, DestroyLink>> links;
  ProbeStatus status;
};

}  // namespace vedette
