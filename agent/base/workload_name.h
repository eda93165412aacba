// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace vedette {

// True when `asked` names `workload`: the whole name or its last parts ("nginx.service").
bool NamesWorkload(std::string_view asked, std::string_view workload);

}  // namespace vedette
