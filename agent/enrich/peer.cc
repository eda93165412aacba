// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/enriched_event.h"

namespace vedette {

std::string PeerInfo::StableName() const {
  if (!dns_name.empty()) {
    return "dns:" + dns_name;
  }
  return workload.empty() ? "net:" + network : "workload:" + workload;
}

}  // namespace vedette
