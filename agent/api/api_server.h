// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/api/backend.h"
#include "agent/api/http_server.h"
#include "agent/api/unix_listener.h"

namespace vedette {

struct ApiOptions {
  std::string socket;
  std::string group = "vedette";  // May read.
  uid_t admin = 0;                // May change.
};

// The control API: HTTP + JSON on a Unix socket, server-sent events for streams; docs/api.md. The
// caller is known by its peer credentials: whoever can open the socket reads, `admin` changes.
// Owned by main; answers from Start to destruction, so main starts it when the agent is ready.
// Handlers run in the HTTP server's threads. Knows routes and shapes of requests; answers come from
// the Backend, which must outlive it.
class ApiServer {
 public:
  // Streams that may be open at once; the other connections are kept for questions.
  static constexpr int kMaxStreams = 8;

  static absl::StatusOr<std::unique_ptr<ApiServer>> Start(const ApiOptions& options,
                                                          Backend* backend);

  // The socket's name goes first, then open streams end and handlers finish.
  ~ApiServer() = default;

 private:
  ApiServer(uid_t admin, Backend* backend, UnixListener listener);

  HttpResponse Handle(const HttpRequest& request);
  HttpResponse Events(const HttpRequest& request);
  // OK if the request may change the agent: the right method, by the right user.
  absl::Status MayChange(const HttpRequest& request) const;
  absl::StatusOr<nlohmann::json> Freeze(const HttpRequest& request);
  absl::StatusOr<nlohmann::json> Dismiss(const HttpRequest& request);

  const uid_t admin_;
  Backend* const backend_;
  std::shared_ptr<std::atomic<int>> streams_ = std::make_shared<std::atomic<int>>(0);
  std::unique_ptr<HttpServer> server_;
  UnixListener listener_;  // After server_, so that it goes first.
};

}  // namespace vedette
