// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/base/unique_fd.h"

struct MHD_Daemon;

namespace vedette {

struct HttpRequest {
  std::string method;
  std::string path;
  std::multimap<std::string, std::string> query;
  std::string body;
  std::optional<uid_t> caller;  // Peer credentials; only on a Unix socket.
};

// A body that is made while it is sent.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  // Waits at most `timeout`; an empty string when nothing is there yet, nullopt at the end.
  virtual std::optional<std::string> Next(absl::Duration timeout) = 0;
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::unique_ptr<HttpStream> stream;  // Instead of the body.
};

// HTTP/1.1 on a listening socket. One thread accepts and each connection, of which there are at
// most kMaxConnections, has one of its own: these are the control threads, and the handler runs in
// them. Bounds what a client can make it hold: connections, header and body size, silence. Knows no
// routes.
class HttpServer {
 public:
  static constexpr unsigned kMaxConnections = 32;
  static constexpr size_t kMaxHeaderBytes = 32 * 1024;
  static constexpr size_t kMaxBodyBytes = 64 * 1024;
  static constexpr absl::Duration kIdleTimeout = absl::Seconds(30);

  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  // Serves at once on `listener`, which is bound and listening.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(UniqueFd listener, Handler handler);

  // Ends streams, waits for handlers that run, closes the socket.
  ~HttpServer();

 private:
  friend struct HttpCallbacks;
  explicit HttpServer(Handler handler) : handler_(std::move(handler)) {}

  const Handler handler_;
  std::atomic<bool> stopping_{false};
  MHD_Daemon* daemon_ = nullptr;
};

}  // namespace vedette
