// SPDX-License-Identifier: Apache-2.0
#include "agent/api/api_server.h"

#include <fmt/format.h>
#include <pwd.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <set>
#include <utility>
#include <vector>

#include "agent/api/json_response.h"
#include "agent/base/status.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

constexpr size_t kDefaultFindings = 100;
constexpr size_t kMaxFindings = 10000;
constexpr size_t kMaxFreezeNames = 1000;
constexpr size_t kMaxReasonBytes = 1000;
constexpr char kDismissPath[] = "/v1/finding/dismiss";
constexpr char kRestorePath[] = "/v1/finding/restore";
// A quiet stream says that it lives, well before either side's idle timeout.
constexpr absl::Duration kKeepAlive = absl::Seconds(5);

// An event stream as server-sent events: "data: LINE". Losses are told where they happened, as
// "event: dropped".
class ServerSentEvents final : public HttpStream {
 public:
  ServerSentEvents(std::unique_ptr<EventStream> events, std::shared_ptr<std::atomic<int>> open)
      : events_(std::move(events)), open_(std::move(open)) {}
  ~ServerSentEvents() override { --*open_; }

  std::optional<std::string> Next(absl::Duration timeout) override {
    if (!std::exchange(greeted_, true)) {
      return ": open\n\n";  // The client sees at once that it is connected.
    }
    std::optional<std::string> line = events_->Next(timeout);
    std::string out;
    if (uint64_t dropped = events_->dropped(); dropped != told_dropped_) {
      out = fmt::format("event: dropped\ndata: {{\"dropped\":{}}}\n\n", dropped - told_dropped_);
      told_dropped_ = dropped;
    }
    if (line.has_value()) {
      out += fmt::format("data: {}\n\n", *line);
    } else if (out.empty() && events_->closed()) {
      return std::nullopt;
    }
    silent_ = out.empty() ? silent_ + timeout : absl::ZeroDuration();
    if (silent_ >= kKeepAlive) {
      silent_ = absl::ZeroDuration();
      return ": quiet\n\n";
    }
    return out;
  }

 private:
  const std::unique_ptr<EventStream> events_;
  const std::shared_ptr<std::atomic<int>> open_;
  bool greeted_ = false;
  uint64_t told_dropped_ = 0;
  absl::Duration silent_;
};

std::string UserName(uid_t uid) {
  std::vector<char> buffer(4096);
  passwd entry = {};
  passwd* found = nullptr;
  getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
  return found == nullptr ? fmt::format("uid {}", uid) : std::string(found->pw_name);
}

// Refuses parameters that the route does not know, so that a misspelt filter is not silently no
// filter.
absl::Status CheckQuery(const HttpRequest& request, const std::set<std::string>& known) {
  for (const auto& [name, value] : request.query) {
    if (!known.contains(name)) {
      return absl::InvalidArgumentError(
          fmt::format("{}: unknown parameter \"{}\"; known: {}", request.path, name,
                      known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Required(const HttpRequest& request, const std::string& name) {
  VEDETTE_RETURN_IF_ERROR(CheckQuery(request, {name}));
  if (request.query.count(name) != 1 || request.query.find(name)->second.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: parameter \"{}\" is needed, once", request.path, name));
  }
  return request.query.find(name)->second;
}

std::vector<std::string> All(const HttpRequest& request, const std::string& name) {
  std::vector<std::string> values;
  auto [begin, end] = request.query.equal_range(name);
  for (auto it = begin; it != end; ++it) {
    values.push_back(it->second);
  }
  return values;
}

absl::StatusOr<FindingQuery> ReadFindingFilter(const HttpRequest& request) {
  VEDETTE_RETURN_IF_ERROR(CheckQuery(request, {"workload", "limit", "status"}));
  FindingQuery filter;
  filter.limit = kDefaultFindings;
  for (const std::string& workload : All(request, "workload")) {
    filter.workload = workload;
  }
  static const std::map<std::string, FindingQuery::Status> kStatuses = {
      {"new", FindingQuery::Status::kNew},
      {"dismissed", FindingQuery::Status::kDismissed},
      {"all", FindingQuery::Status::kAll}};
  for (const std::string& text : All(request, "status")) {
    const auto status = kStatuses.find(text);
    if (status == kStatuses.end()) {
      return absl::InvalidArgumentError(fmt::format(
          "{}: status \"{}\" is not known; write new, dismissed or all", request.path, text));
    }
    filter.status = status->second;
  }
  for (const std::string& text : All(request, "limit")) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), filter.limit);
    if (error != std::errc() || end != text.data() + text.size() || filter.limit == 0 ||
        filter.limit > kMaxFindings) {
      return absl::InvalidArgumentError(fmt::format(
          "{}: limit \"{}\" cannot be used; write 1 to {}", request.path, text, kMaxFindings));
    }
  }
  return filter;
}

using Route = std::function<absl::StatusOr<Json>(Backend&, const HttpRequest&)>;

template <absl::StatusOr<Json> (Backend::*kMethod)()>
absl::StatusOr<Json> Plain(Backend& backend, const HttpRequest& request) {
  VEDETTE_RETURN_IF_ERROR(CheckQuery(request, {}));
  return (backend.*kMethod)();
}

template <absl::StatusOr<Json> (Backend::*kMethod)(const std::string&)>
absl::StatusOr<Json> ByWorkload(Backend& backend, const HttpRequest& request) {
  VEDETTE_ASSIGN_OR_RETURN(std::string workload, Required(request, "workload"));
  return (backend.*kMethod)(workload);
}

absl::StatusOr<Json> ListFindings(Backend& backend, const HttpRequest& request) {
  VEDETTE_ASSIGN_OR_RETURN(FindingQuery filter, ReadFindingFilter(request));
  return backend.FindingList(filter);
}

absl::StatusOr<Json> ShowFinding(Backend& backend, const HttpRequest& request) {
  VEDETTE_ASSIGN_OR_RETURN(std::string uid, Required(request, "uid"));
  return backend.FindingShow(uid);
}

// The questions whose answer is one JSON value.
const std::map<std::string, Route>& Questions() {
  static const std::map<std::string, Route> kRoutes = {
      {"/v1/doctor", Plain<&Backend::Doctor>},
      {"/v1/top", Plain<&Backend::Top>},
      {"/v1/top/peers", Plain<&Backend::TopPeers>},
      {"/v1/profiles", Plain<&Backend::ProfileList>},
      {"/v1/profile", ByWorkload<&Backend::ProfileShow>},
      {"/v1/profile/export", ByWorkload<&Backend::ProfileExport>},
      {"/v1/findings", ListFindings},
      {"/v1/finding", ShowFinding},
  };
  return kRoutes;
}

absl::Status WrongMethod(const HttpRequest& request, std::string_view right) {
  return absl::UnimplementedError(
      fmt::format("{}: {} is not possible; use {}", request.path, request.method, right));
}

absl::StatusOr<Backend::Freeze> ReadFreeze(const HttpRequest& request) {
  absl::Status error = absl::InvalidArgumentError(
      R"(/v1/profile/freeze: write {"workloads": ["NAME", …]} or {"all": true})");
  Json body = Json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object() || body.size() != 1) {
    return error;
  }
  Backend::Freeze freeze;
  if (body.contains("all") && body["all"].is_boolean()) {
    freeze.all = body["all"].get<bool>();
  } else if (body.contains("workloads") && body["workloads"].is_array()) {
    for (const Json& name : body["workloads"]) {
      if (!name.is_string() || freeze.workloads.size() >= kMaxFreezeNames) {
        return error;
      }
      freeze.workloads.push_back(name.get<std::string>());
    }
  }
  if (!freeze.all && freeze.workloads.empty()) {
    return error;
  }
  return freeze;
}

bool IsBlank(const std::string& text) { return text.find_first_not_of(" \t\r\n") == text.npos; }

absl::StatusOr<Backend::Dismiss> ReadDismiss(const HttpRequest& request) {
  const bool restores = request.path == kRestorePath;
  Json body = Json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  const auto is_text = [&body](const char* key) {
    return body.contains(key) && body[key].is_string();
  };
  if (!body.is_object() || body.size() != (restores ? 1 : 2) || !is_text("uid") ||
      (!restores && !is_text("reason"))) {
    return absl::InvalidArgumentError(fmt::format(R"({}: write {{"uid": "ID"{}}})", request.path,
                                                  restores ? "" : R"(, "reason": "TEXT")"));
  }
  Backend::Dismiss dismiss;
  dismiss.finding = body["uid"].get<std::string>();
  if (restores) {
    return dismiss;
  }
  dismiss.reason = body["reason"].get<std::string>();
  if (IsBlank(dismiss.reason)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: the reason is empty; say why this is no finding", request.path));
  }
  if (dismiss.reason.size() > kMaxReasonBytes) {
    return absl::InvalidArgumentError(fmt::format("{}: the reason has {} bytes; write at most {}",
                                                  request.path, dismiss.reason.size(),
                                                  kMaxReasonBytes));
  }
  return dismiss;
}

HttpResponse FromStatusOr(const absl::StatusOr<Json>& value) {
  return value.ok() ? JsonResponse(*value) : ErrorResponse(value.status());
}

}  // namespace

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::Start(const ApiOptions& options,
                                                            Backend* backend) {
  VEDETTE_ASSIGN_OR_RETURN(UnixListener listener,
                           UnixListener::Bind(options.socket, options.group));
  std::unique_ptr<ApiServer> api(new ApiServer(options.admin, backend, std::move(listener)));
  auto handle = [server = api.get()](const HttpRequest& request) {
    try {
      return server->Handle(request);
    } catch (const std::exception& e) {
      // Of a library; a request must not end the agent.
      spdlog::error("api: {} {}: {}", request.method, request.path, e.what());
      return ErrorResponse(absl::InternalError(
          fmt::format("{}: the agent could not answer: {}", request.path, e.what())));
    }
  };
  VEDETTE_ASSIGN_OR_RETURN(api->server_,
                           HttpServer::Start(api->listener_.TakeSocket(), std::move(handle)));
  VEDETTE_RETURN_IF_ERROR(api->listener_.Publish());
  return api;
}

ApiServer::ApiServer(uid_t admin, Backend* backend, UnixListener listener)
    : admin_(admin), backend_(backend), listener_(std::move(listener)) {}

HttpResponse ApiServer::Handle(const HttpRequest& request) {
  if (request.path == "/v1/profile/freeze") {
    return FromStatusOr(Freeze(request));
  }
  if (request.path == kDismissPath || request.path == kRestorePath) {
    return FromStatusOr(Dismiss(request));
  }
  auto question = Questions().find(request.path);
  bool known = question != Questions().end() || request.path == "/v1/events" ||
               request.path == "/v1/metrics";
  if (!known) {
    return ErrorResponse(absl::NotFoundError(
        fmt::format("{}: there is no such resource; docs/api.md lists them", request.path)));
  }
  if (request.method != "GET") {
    return ErrorResponse(WrongMethod(request, "GET"));
  }
  if (question != Questions().end()) {
    return FromStatusOr(question->second(*backend_, request));
  }
  if (request.path == "/v1/events") {
    return Events(request);
  }
  absl::StatusOr<std::string> metrics = backend_->Metrics();
  if (!metrics.ok()) {
    return ErrorResponse(metrics.status());
  }
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = *std::move(metrics);
  return response;
}

HttpResponse ApiServer::Events(const HttpRequest& request) {
  if (absl::Status status = CheckQuery(request, {"workload", "kind"}); !status.ok()) {
    return ErrorResponse(status);
  }
  if (++*streams_ > kMaxStreams) {
    --*streams_;
    return ErrorResponse(absl::ResourceExhaustedError(
        fmt::format("/v1/events: {} streams are open already; close one", kMaxStreams)));
  }
  absl::StatusOr<std::unique_ptr<EventStream>> events = backend_->SubscribeEvents(
      {.workloads = All(request, "workload"), .kinds = All(request, "kind")});
  if (!events.ok()) {
    --*streams_;
    return ErrorResponse(events.status());
  }
  HttpResponse response;
  response.content_type = "text/event-stream";
  response.stream = std::make_unique<ServerSentEvents>(*std::move(events), streams_);
  return response;
}

absl::Status ApiServer::MayChange(const HttpRequest& request) const {
  if (request.method != "POST") {
    return WrongMethod(request, "POST");
  }
  if (request.caller != admin_) {
    return absl::PermissionDeniedError(
        fmt::format("{}: only {} may change the agent; run the command as that user", request.path,
                    UserName(admin_)));
  }
  return absl::OkStatus();
}

absl::StatusOr<nlohmann::json> ApiServer::Freeze(const HttpRequest& request) {
  VEDETTE_RETURN_IF_ERROR(MayChange(request));
  VEDETTE_ASSIGN_OR_RETURN(Backend::Freeze freeze, ReadFreeze(request));
  freeze.user = UserName(*request.caller);
  return backend_->ProfileFreeze(freeze);
}

absl::StatusOr<nlohmann::json> ApiServer::Dismiss(const HttpRequest& request) {
  VEDETTE_RETURN_IF_ERROR(MayChange(request));
  VEDETTE_ASSIGN_OR_RETURN(Backend::Dismiss dismiss, ReadDismiss(request));
  dismiss.user = UserName(*request.caller);
  dismiss.uid = *request.caller;
  return request.path == kRestorePath ? backend_->FindingRestore(dismiss)
                                      : backend_->FindingDismiss(dismiss);
}

}  // namespace vedette
