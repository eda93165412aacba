// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vedette {

// Asks the agent over its socket. One thread. Errors are whole sentences: Unavailable when no agent
// answers, PermissionDenied, NotFound, InvalidArgument as the agent says.
class ApiClient {
 public:
  using Query = std::vector<std::pair<std::string, std::string>>;
  // One server-sent event; `name` is empty for a plain one. False ends the stream.
  using OnEvent = std::function<bool(std::string_view name, std::string_view data)>;

  explicit ApiClient(std::string socket) : socket_(std::move(socket)) {}

  absl::StatusOr<nlohmann::json> Get(const std::string& path, const Query& query = {}) const;
  absl::StatusOr<nlohmann::json> Post(const std::string& path, const nlohmann::json& body) const;
  // Until the agent ends the stream or `on_event` gives false.
  absl::Status Stream(const std::string& path, const Query& query, const OnEvent& on_event) const;

 private:
  std::string socket_;
};

}  // namespace vedette
