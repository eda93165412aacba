// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "agent/api/backend.h"
#include "agent/api/http_server.h"

namespace vedette {

// Serves /metrics over TCP for Prometheus, and nothing else; everybody who reaches the address may
// read. Owned by main; the backend must outlive it. Handlers run in the HTTP server's threads.
class MetricsServer {
 public:
  // `listen` is the configuration's "HOST:PORT" with an IP address; port 0 lets the kernel choose.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(const std::string& listen,
                                                              Backend* backend);
  uint16_t port() const { return port_; }

 private:
  MetricsServer(uint16_t port, std::unique_ptr<HttpServer> server)
      : port_(port), server_(std::move(server)) {}

  const uint16_t port_;
  const std::unique_ptr<HttpServer> server_;
};

}  // namespace vedette
