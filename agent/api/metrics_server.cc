// SPDX-License-Identifier: Apache-2.0
#include "agent/api/metrics_server.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "agent/api/json_response.h"
#include "agent/base/status.h"
#include "agent/base/unique_fd.h"
#include "agent/config/values.h"

namespace vedette {
namespace {

constexpr int kBacklog = 16;

absl::Status ListenError(const std::string& listen, const char* why) {
  return absl::UnavailableError(fmt::format(
      "metrics.listen {}: cannot be listened on: {}; choose another address", listen, why));
}

absl::StatusOr<UniqueFd> Listen(const std::string& text) {
  VEDETTE_ASSIGN_OR_RETURN(HostPort address, ParseHostPort(text));
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int code =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (code != 0) {
    return ListenError(text, "the host is not an IP address");
  }
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  UniqueFd fd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int on = 1;
  if (!fd.valid() || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 || listen(fd.get(), kBacklog) != 0) {
    return ListenError(text, strerror(errno));
  }
  return fd;
}

uint16_t PortOf(int fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return 0;
  }
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

HttpResponse Handle(Backend& backend, const HttpRequest& request) {
  if (request.path != "/metrics") {
    return ErrorResponse(absl::NotFoundError("only /metrics is here"));
  }
  if (request.method != "GET" && request.method != "HEAD") {
    return ErrorResponse(absl::UnimplementedError("/metrics: use GET"));
  }
  absl::StatusOr<std::string> text = backend.Metrics();
  if (!text.ok()) {
    return ErrorResponse(text.status());
  }
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = *std::move(text);
  return response;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(const std::string& listen,
                                                                    Backend* backend) {
  VEDETTE_ASSIGN_OR_RETURN(UniqueFd fd, Listen(listen));
  uint16_t port = PortOf(fd.get());
  VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<HttpServer> server,
                           HttpServer::Start(std::move(fd), [backend](const HttpRequest& request) {
                             return Handle(*backend, request);
                           }));
  return std::unique_ptr<MetricsServer>(new MetricsServer(port, std::move(server)));
}

}  // namespace vedette
