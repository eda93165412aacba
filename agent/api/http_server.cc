// SPDX-License-Identifier: Apache-2.0
#include "agent/api/http_server.h"

#include <microhttpd.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace vedette {
namespace {

// How soon a stream notices that its client left or the server stops.
constexpr absl::Duration kStreamTick = absl::Milliseconds(100);
constexpr size_t kStreamBlockBytes = 16 * 1024;
constexpr size_t kThreadStackBytes = 512 * 1024;

// One request while it arrives.
struct Incoming {
  HttpRequest request;
};

// One streamed body while it is sent.
struct Outgoing {
  std::unique_ptr<HttpStream> stream;
  const std::atomic<bool>& stopping;
  int fd = -1;
  std::string pending;
  size_t sent = 0;
};

bool PeerIsGone(int fd) {
  pollfd peer = {.fd = fd, .events = 0, .revents = 0};
  return poll(&peer, 1, 0) > 0 && (peer.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

ssize_t ReadStream(void* closure, uint64_t, char* buffer, size_t capacity) {
  auto* out = static_cast<Outgoing*>(closure);
  while (out->sent == out->pending.size()) {
    if (out->stopping) {
      return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (PeerIsGone(out->fd)) {
      return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    std::optional<std::string> next = out->stream->Next(kStreamTick);
    if (!next.has_value()) {
      return MHD_CONTENT_READER_END_OF_STREAM;
    }
    out->pending = std::move(*next);
    out->sent = 0;
  }
  size_t n = std::min(capacity, out->pending.size() - out->sent);
  memcpy(buffer, out->pending.data() + out->sent, n);
  out->sent += n;
  return static_cast<ssize_t>(n);
}

void FreeStream(void* closure) { delete static_cast<Outgoing*>(closure); }

int SocketOf(MHD_Connection* connection) {
  const MHD_ConnectionInfo* info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  return info == nullptr ? -1 : info->connect_fd;
}

std::optional<uid_t> CallerOf(MHD_Connection* connection) {
  int fd = SocketOf(connection);
  int domain = 0;
  socklen_t size = sizeof(domain);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_UNIX) {
    return std::nullopt;
  }
  ucred peer = {};
  size = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return std::nullopt;
  }
  return peer.uid;
}

MHD_Result AddQueryValue(void* closure, MHD_ValueKind, const char* key, size_t key_size,
                         const char* value, size_t value_size) {
  static_cast<HttpRequest*>(closure)->query.emplace(
      std::string(key, key_size),
      value == nullptr ? std::string() : std::string(value, value_size));
  return MHD_YES;
}

MHD_Response* MakeResponse(HttpResponse& response, MHD_Connection* connection,
                           const std::atomic<bool>& stopping) {
  if (response.stream == nullptr) {
    return MHD_create_response_from_buffer(response.body.size(), response.body.data(),
                                           MHD_RESPMEM_MUST_COPY);
  }
  auto* out = new Outgoing{.stream = std::move(response.stream),
                           .stopping = stopping,
                           .fd = SocketOf(connection),
                           .pending = "",
                           .sent = 0};
  MHD_Response* made = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, kStreamBlockBytes,
                                                         ReadStream, out, FreeStream);
  if (made == nullptr) {
    delete out;
  }
  return made;
}

MHD_Result Send(MHD_Connection* connection, HttpResponse response,
                const std::atomic<bool>& stopping) {
  MHD_Response* made = MakeResponse(response, connection, stopping);
  if (made == nullptr) {
    return MHD_NO;
  }
  MHD_add_response_header(made, "Content-Type", response.content_type.c_str());
  MHD_add_response_header(made, "Cache-Control", "no-store");
  MHD_Result result = MHD_queue_response(connection, response.status, made);
  MHD_destroy_response(made);
  return result;
}

void LogHttp(void*, const char* format, va_list args) {
  char line[256];
  vsnprintf(line, sizeof(line), format, args);
  spdlog::debug("api: http: {}", line);
}

}  // namespace

// libmicrohttpd's view of the server.
struct HttpCallbacks {
  static MHD_Result Access(void* closure, MHD_Connection* connection, const char* url,
                           const char* method, const char*, const char* upload, size_t* upload_size,
                           void** state) {
    auto* server = static_cast<HttpServer*>(closure);
    auto* incoming = static_cast<Incoming*>(*state);
    if (incoming == nullptr) {
      return Begin(server, connection, {method, url}, state);
    }
    if (*upload_size > 0) {
      if (incoming->request.body.size() + *upload_size > HttpServer::kMaxBodyBytes) {
        return MHD_NO;  // A chunked body without end; the connection is closed.
      }
      incoming->request.body.append(upload, *upload_size);
      *upload_size = 0;
      return MHD_YES;
    }
    return Send(connection, server->handler_(incoming->request), server->stopping_);
  }

  struct Line {
    const char* method;
    const char* url;
  };

  static MHD_Result Begin(HttpServer* server, MHD_Connection* connection, Line line, void** state) {
    auto* incoming = new Incoming;
    *state = incoming;
    incoming->request.method = line.method;
    incoming->request.path = line.url;
    incoming->request.caller = CallerOf(connection);
    MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, AddQueryValue,
                                &incoming->request);
    const char* length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (length != nullptr && strtoull(length, nullptr, 10) > HttpServer::kMaxBodyBytes) {
      HttpResponse response;
      response.status = MHD_HTTP_CONTENT_TOO_LARGE;
      response.body = R"({"error":"the request is too large; at most 64 KiB are read"})";
      return Send(connection, std::move(response), server->stopping_);
    }
    return MHD_YES;
  }

  static void Completed(void*, MHD_Connection*, void** state, MHD_RequestTerminationCode) {
    delete static_cast<Incoming*>(*state);
    *state = nullptr;
  }
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(UniqueFd listener, Handler handler) {
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(handler)));
  server->daemon_ = MHD_start_daemon(
      MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ITC |
          MHD_USE_ERROR_LOG,
      0, nullptr, nullptr, HttpCallbacks::Access, server.get(),  //
      MHD_OPTION_EXTERNAL_LOGGER, LogHttp, nullptr,              //
      MHD_OPTION_LISTEN_SOCKET, listener.get(),                  //
      MHD_OPTION_NOTIFY_COMPLETED, HttpCallbacks::Completed, nullptr, MHD_OPTION_CONNECTION_LIMIT,
      kMaxConnections,                                                                           //
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, kMaxHeaderBytes,                                       //
      MHD_OPTION_CONNECTION_TIMEOUT, static_cast<unsigned>(absl::ToInt64Seconds(kIdleTimeout)),  //
      MHD_OPTION_THREAD_STACK_SIZE, kThreadStackBytes,                                           //
      MHD_OPTION_END);
  if (server->daemon_ == nullptr) {
    return absl::InternalError("the HTTP server cannot start; are threads or descriptors limited?");
  }
  listener.Release();  // libmicrohttpd closes it.
  return server;
}

HttpServer::~HttpServer() {
  stopping_ = true;
  if (daemon_ != nullptr) {
    MHD_stop_daemon(daemon_);
  }
}

}  // namespace vedette
