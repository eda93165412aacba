// SPDX-License-Identifier: Apache-2.0
#include "agent/base/workload_name.h"

namespace vedette {

bool NamesWorkload(std::string_view asked, std::string_view workload) {
  return asked == workload || (workload.size() > asked.size() && workload.ends_with(asked) &&
                               workload[workload.size() - asked.size() - 1] == '/');
}

}  // namespace vedette
