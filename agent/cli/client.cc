// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "agent/base/status.h"

namespace vedette {
namespace {

constexpr long kConnectTimeoutMs = 5000;
constexpr long kAnswerTimeoutMs = 30000;
// The agent says every few seconds that a quiet stream lives; this long without a byte it is dead.
constexpr long kStreamSilenceSeconds = 30;
constexpr size_t kMaxAnswerBytes = size_t{64} << 20;
constexpr size_t kMaxEventBytes = size_t{1} << 20;

struct CurlFree {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Curl = std::unique_ptr<CURL, CurlFree>;

std::string Target(CURL* curl, const std::string& path, const ApiClient::Query& query) {
  std::string url = "http://vedette" + path;
  char separator = '?';
  for (const auto& [name, value] : query) {
    char* escaped = curl_easy_escape(curl, value.data(), static_cast<int>(value.size()));
    url += fmt::format("{}{}={}", separator, name, escaped == nullptr ? "" : escaped);
    curl_free(escaped);
    separator = '&';
  }
  return url;
}

size_t AppendAnswer(char* data, size_t size, size_t count, void* closure) {
  auto* answer = static_cast<std::string*>(closure);
  if (answer->size() + size * count > kMaxAnswerBytes) {
    return 0;
  }
  answer->append(data, size * count);
  return size * count;
}

absl::Status TransportError(CURL* curl, CURLcode code, const std::string& socket) {
  long os_error = 0;
  curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_error);
  if (code == CURLE_COULDNT_CONNECT && (os_error == EACCES || os_error == EPERM)) {
    return absl::PermissionDeniedError(fmt::format(
        "{}: no permission to open the agent's socket; run as root or join group vedette", socket));
  }
  // A socket that is there and not even refuses has no place left in its queue.
  const bool is_busy = code == CURLE_COULDNT_CONNECT && (os_error == 0 || os_error == EAGAIN);
  if (is_busy || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
      code == CURLE_GOT_NOTHING) {
    return absl::UnavailableError(
        fmt::format("{}: the agent takes no further connection, or is stopping: end other clients, "
                    "or try again",
                    socket));
  }
  if (code == CURLE_COULDNT_CONNECT) {
    return absl::UnavailableError(fmt::format(
        "{}: no agent answers there{}; start one with `vedette run`, or name its socket with "
        "--socket or VEDETTE_SOCKET",
        socket, os_error == 0 ? "" : fmt::format(" ({})", strerror(static_cast<int>(os_error)))));
  }
  return absl::UnavailableError(fmt::format("{}: the agent did not answer: {}; see its log", socket,
                                            curl_easy_strerror(code)));
}

absl::StatusCode CodeOf(long http_status) {
  switch (http_status) {
    case 400:
    case 405:
    case 413:
    case 414:
      return absl::StatusCode::kInvalidArgument;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 409:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

absl::Status ErrorOf(long http_status, const std::string& answer) {
  nlohmann::json body = nlohmann::json::parse(answer, nullptr, /*allow_exceptions=*/false);
  std::string sentence = fmt::format("the agent answered with HTTP status {}", http_status);
  if (body.is_object() && body.contains("error") && body["error"].is_string()) {
    sentence = body["error"].get<std::string>();
  }
  return absl::Status(CodeOf(http_status), sentence);
}

absl::StatusOr<nlohmann::json> Perform(CURL* curl, const std::string& socket) {
  std::string answer;
  curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, kAnswerTimeoutMs);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, AppendAnswer);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
  if (CURLcode code = curl_easy_perform(curl); code != CURLE_OK) {
    return TransportError(curl, code, socket);
  }
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) {
    return ErrorOf(status, answer);
  }
  nlohmann::json value = nlohmann::json::parse(answer, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    return absl::UnavailableError(
        fmt::format("{}: the answer is not JSON; is this an agent's socket?", socket));
  }
  return value;
}

// Cuts a stream of server-sent events into events. Lives for one stream.
struct EventReader {
  CURL* curl = nullptr;
  const ApiClient::OnEvent& on_event;
  std::string buffer = {};
  std::string error_body = {};
  bool stopped = false;

  bool Take(std::string_view event) {
    std::string_view name, data;
    while (!event.empty()) {
      size_t end = event.find('\n');
      std::string_view line = event.substr(0, end);
      event.remove_prefix(end == std::string_view::npos ? event.size() : end + 1);
      if (line.starts_with("event: ")) {
        name = line.substr(7);
      } else if (line.starts_with("data: ")) {
        data = line.substr(6);
      }
    }
    return data.empty() || on_event(name, data);
  }

  bool Feed(std::string_view bytes) {
    buffer += bytes;
    size_t begin = 0;
    for (size_t end; (end = buffer.find("\n\n", begin)) != std::string::npos; begin = end + 2) {
      if (!Take(std::string_view(buffer).substr(begin, end - begin))) {
        stopped = true;
        return false;
      }
    }
    buffer.erase(0, begin);
    return buffer.size() <= kMaxEventBytes;
  }

  static size_t Write(char* data, size_t size, size_t count, void* closure) {
    auto* reader = static_cast<EventReader*>(closure);
    std::string_view bytes(data, size * count);
    long status = 0;
    curl_easy_getinfo(reader->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
      reader->error_body += bytes.substr(0, kMaxEventBytes - reader->error_body.size());
      return bytes.size();
    }
    return reader->Feed(bytes) ? bytes.size() : 0;
  }
};

}  // namespace

absl::StatusOr<nlohmann::json> ApiClient::Get(const std::string& path, const Query& query) const {
  Curl curl(curl_easy_init());
  curl_easy_setopt(curl.get(), CURLOPT_URL, Target(curl.get(), path, query).c_str());
  return Perform(curl.get(), socket_);
}

absl::StatusOr<nlohmann::json> ApiClient::Post(const std::string& path,
                                               const nlohmann::json& body) const {
  Curl curl(curl_easy_init());
  std::string text = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::unique_ptr<curl_slist, CurlFree> headers(
      curl_slist_append(nullptr, "Content-Type: application/json"));
  curl_easy_setopt(curl.get(), CURLOPT_URL, Target(curl.get(), path, {}).c_str());
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(text.size()));
  curl_easy_setopt(curl.get(), CURLOPT_COPYPOSTFIELDS, text.c_str());
  return Perform(curl.get(), socket_);
}

absl::Status ApiClient::Stream(const std::string& path, const Query& query,
                               const OnEvent& on_event) const {
  Curl curl(curl_easy_init());
  EventReader reader{.curl = curl.get(), .on_event = on_event};
  curl_easy_setopt(curl.get(), CURLOPT_URL, Target(curl.get(), path, query).c_str());
  curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, socket_.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_TIME, kStreamSilenceSeconds);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, EventReader::Write);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &reader);
  CURLcode code = curl_easy_perform(curl.get());
  if (reader.stopped) {
    return absl::OkStatus();
  }
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status == 200 && (code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR)) {
    return absl::UnavailableError(fmt::format("{}: the agent ended", socket_));
  }
  if (code != CURLE_OK) {
    return TransportError(curl.get(), code, socket_);
  }
  return status == 200 ? absl::OkStatus() : ErrorOf(status, reader.error_body);
}

}  // namespace vedette
