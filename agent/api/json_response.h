// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "agent/api/http_server.h"

namespace vedette {

// A value as a response. Bytes that are not UTF-8 cannot stop it: they become U+FFFD.
HttpResponse JsonResponse(const nlohmann::json& value, unsigned status = 200);

// {"error": sentence} with the HTTP status that fits the code.
HttpResponse ErrorResponse(const absl::Status& status);

}  // namespace vedette
