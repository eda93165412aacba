// SPDX-License-Identifier: Apache-2.0
#include "agent/api/json_response.h"

namespace vedette {
namespace {

unsigned HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kUnimplemented:
      return 405;
    case absl::StatusCode::kFailedPrecondition:
      return 409;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

}  // namespace

HttpResponse JsonResponse(const nlohmann::json& value, unsigned status) {
  HttpResponse response;
  response.status = status;
  response.body = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  response.body += '\n';
  return response;
}

HttpResponse ErrorResponse(const absl::Status& status) {
  return JsonResponse({{"error", std::string(status.message())}}, HttpStatusOf(status.code()));
}

}  // namespace vedette
