// SPDX-License-Identifier: Apache-2.0
#include "agent/api/api_server.h"

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "agent/api/fake_backend.h"
#include "agent/base/unique_fd.h"

namespace vedette {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kWaitMs = 10000;  // A bound for what must happen; never the time it takes.

// A connection of a client that knows no more than bytes.
class RawClient {
 public:
  explicit RawClient(const std::string& path)
      : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path.data(), path.size());
    connected_ = connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  bool connected() const { return connected_; }

  void Send(const std::string& bytes) {
    ASSERT_EQ(send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  // The other side may close in the middle of it.
  void Flood(const std::string& bytes) {
    for (size_t sent = 0; sent < bytes.size();) {
      ssize_t n = send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) {
        return;
      }
      sent += static_cast<size_t>(n);
    }
  }
  void WaitForClose() {
    pollfd closed = {.fd = fd_.get(), .events = POLLRDHUP, .revents = 0};
    EXPECT_EQ(poll(&closed, 1, kWaitMs), 1);
  }

  // Reads until `mark` was seen or the other side closed; gives all that was read so far.
  std::string ReadUntil(const std::string& mark) {
    errno = 0;
    while (mark.empty() || read_.find(mark) == std::string::npos) {
      pollfd ready = {.fd = fd_.get(), .events = POLLIN, .revents = 0};
      char buffer[4096];
      ssize_t n = poll(&ready, 1, kWaitMs) == 1 ? recv(fd_.get(), buffer, sizeof(buffer), 0) : -1;
      if (n <= 0) {
        // A refusal may leave bytes of ours unread, which ends the connection by a reset.
        EXPECT_TRUE(n == 0 || errno == ECONNRESET) << "nothing came in time; so far: " << read_;
        break;
      }
      read_.append(buffer, static_cast<size_t>(n));
    }
    return read_;
  }
  std::string ReadAll() { return ReadUntil(""); }

 private:
  UniqueFd fd_;
  bool connected_ = false;
  std::string read_;
};

class ApiServerTest : public ::testing::Test {
 protected:
  ApiServerTest() : directory_(::testing::TempDir() + "vedette_api_XXXXXX") {
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    options_.socket = directory_ + "/run/agent.sock";
    options_.admin = geteuid();
  }
  ~ApiServerTest() override {
    api_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Start() {
    absl::StatusOr<std::unique_ptr<ApiServer>> api = ApiServer::Start(options_, &backend_);
    ASSERT_TRUE(api.ok()) << api.status();
    api_ = *std::move(api);
  }

  std::string Talk(const std::string& request) {
    RawClient client(options_.socket);
    EXPECT_TRUE(client.connected());
    client.Send(request);
    return client.ReadAll();
  }
  std::string Get(const std::string& target) {
    return Talk("GET " + target + " HTTP/1.1\r\nHost: v\r\nConnection: close\r\n\r\n");
  }
  std::string Post(const std::string& target, const std::string& body) {
    return Talk("POST " + target + " HTTP/1.1\r\nHost: v\r\nConnection: close\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  std::string directory_;
  ApiOptions options_;
  FakeBackend backend_;
  std::unique_ptr<ApiServer> api_;
};

TEST_F(ApiServerTest, AnswersQuestions) {
  backend_.doctor = nlohmann::json{{"status", "ok"}};
  backend_.profile["host/a b/ü.service"] = {{"name", "x"}};
  Start();
  EXPECT_THAT(Get("/v1/doctor"), ::testing::AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                                                  HasSubstr("Content-Type: application/json\r\n"),
                                                  HasSubstr("\r\n\r\n{\"status\":\"ok\"}\n")));
  EXPECT_THAT(Get("/v1/profile?workload=host/a%20b/%C3%BC.service"), HasSubstr("{\"name\":\"x\"}"));
  EXPECT_THAT(Get("/v1/metrics"), HasSubstr("\r\n\r\nvedette_build_info 1\n"));
  EXPECT_THAT(Get("/v1/findings?workload=w&limit=7"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(backend_.finding_filter.workload, "w");
  EXPECT_EQ(backend_.finding_filter.limit, 7u);
}

TEST_F(ApiServerTest, AFindingIsDismissedByTheAdminWithAReason) {
  backend_.finding = {{"uid", "f-1"}, {"title", "x"}};
  Start();
  EXPECT_THAT(Post("/v1/finding/dismiss", R"({"uid": "f-1", "reason": "our backup"})"),
              ::testing::AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("\"title\":\"x\"")));
  ASSERT_EQ(backend_.dismissals.size(), 1u);
  EXPECT_EQ(backend_.dismissals[0].finding, "f-1");
  EXPECT_EQ(backend_.dismissals[0].reason, "our backup");
  EXPECT_EQ(backend_.dismissals[0].uid, geteuid());
  EXPECT_EQ(backend_.dismissals[0].user.empty(), false);
  EXPECT_THAT(Post("/v1/finding/restore", R"({"uid": "f-1"})"), StartsWith("HTTP/1.1 200"));
  ASSERT_EQ(backend_.restored.size(), 1u);
  EXPECT_THAT(Post("/v1/finding/restore", R"({"uid": "f-2"})"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Get("/v1/findings?status=all"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(backend_.finding_filter.status, FindingQuery::Status::kAll);
  EXPECT_THAT(Get("/v1/findings"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(backend_.finding_filter.status, FindingQuery::Status::kNew);
}

TEST_F(ApiServerTest, ADismissalThatCannotBeIsOneSentence) {
  options_.admin = geteuid() + 1;
  Start();
  for (const char* path : {"/v1/finding/dismiss", "/v1/finding/restore"}) {
    EXPECT_THAT(Post(path, R"({"uid": "f-1", "reason": "x"})"),
                ::testing::AllOf(StartsWith("HTTP/1.1 403"), HasSubstr("may change the agent")));
    EXPECT_THAT(Get(path), ::testing::AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("use POST")));
  }
  api_.reset();
  options_.admin = geteuid();
  Start();
  const std::pair<std::string, const char*> wrong[] = {
      {"", R"(write {\"uid\": \"ID\", \"reason\": \"TEXT\"})"},
      {R"({"uid": 7, "reason": "x"})", "write {"},
      {R"({"uid": "f", "reason": "x", "user": "root"})", "write {"},
      {R"({"uid": "f", "reason": " \n\t"})", "the reason is empty; say why"},
      {R"({"uid": "f", "reason": ")" + std::string(1001, 'x') + "\"}", "has 1001 bytes"}};
  for (const auto& [body, sentence] : wrong) {
    EXPECT_THAT(Post("/v1/finding/dismiss", body),
                ::testing::AllOf(StartsWith("HTTP/1.1 400"), HasSubstr(sentence)))
        << body;
  }
  EXPECT_THAT(Post("/v1/finding/restore", R"({"uid": "f", "reason": "x"})"),
              HasSubstr(R"(/v1/finding/restore: write {\"uid\": \"ID\"})"));
  EXPECT_THAT(Get("/v1/findings?status=old"), HasSubstr("write new, dismissed or all"));
  EXPECT_TRUE(backend_.dismissals.empty());
}

TEST_F(ApiServerTest, BadRequestsGetASentence) {
  backend_.top = absl::UnavailableError("the pipeline is busy; ask again");
  backend_.doctor = absl::InternalError("broken");
  Start();
  EXPECT_THAT(Get("/v2"),
              ::testing::AllOf(StartsWith("HTTP/1.1 404"),
                               HasSubstr("{\"error\":\"/v2: there is no such resource")));
  EXPECT_THAT(Post("/v1/doctor", ""),
              ::testing::AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("use GET")));
  EXPECT_THAT(Get("/v1/profile/freeze"),
              ::testing::AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("use POST")));
  EXPECT_THAT(
      Get("/v1/doctor?verbose=1"),
      ::testing::AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("unknown parameter \\\"verbose\\\"")));
  EXPECT_THAT(Get("/v1/profile"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Get("/v1/profile?workload=a&workload=b"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Get("/v1/profile?workload=none"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Get("/v1/findings?limit=0"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Get("/v1/findings?limit=1x"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Get("/v1/top"), ::testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("ask again")));
  EXPECT_THAT(Get("/v1/doctor"), StartsWith("HTTP/1.1 500"));
}

TEST_F(ApiServerTest, BytesThatAreNotTextDoNotStopAnAnswer) {
  backend_.doctor = nlohmann::json{{"path", "/x\xff\n\x1b"}};
  Start();
  EXPECT_THAT(Get("/v1/doctor"), HasSubstr("{\"path\":\"/x\xef\xbf\xbd\\n\\u001b\"}"));
}

TEST_F(ApiServerTest, FreezeReachesTheBackendWithTheCallersName) {
  backend_.profile["a"] = {};
  Start();
  EXPECT_THAT(Post("/v1/profile/freeze", R"({"workloads":["a"]})"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Post("/v1/profile/freeze", R"({"all":true})"), StartsWith("HTTP/1.1 200"));
  ASSERT_EQ(backend_.freezes.size(), 2u);
  EXPECT_THAT(backend_.freezes[0].workloads, ElementsAre("a"));
  EXPECT_FALSE(backend_.freezes[0].all);
  EXPECT_TRUE(backend_.freezes[1].all);
  if (geteuid() == 0) {
    EXPECT_EQ(backend_.freezes[0].user, "root");
  }
  for (const char* body : {"", "{}", "[]", "{", R"({"all":false})", R"({"workloads":[]})",
                           R"({"workloads":[1]})", R"({"workloads":["a"],"all":true})", "\xff"}) {
    EXPECT_THAT(Post("/v1/profile/freeze", body), StartsWith("HTTP/1.1 400")) << body;
  }
  EXPECT_EQ(backend_.freezes.size(), 2u);
}

TEST_F(ApiServerTest, OnlyTheAdminChanges) {
  options_.admin = geteuid() + 1;
  Start();
  EXPECT_THAT(Get("/v1/doctor"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Post("/v1/profile/freeze", R"({"all":true})"),
              ::testing::AllOf(StartsWith("HTTP/1.1 403"), HasSubstr("may change the agent")));
  EXPECT_TRUE(backend_.freezes.empty());
}

TEST_F(ApiServerTest, TooMuchIsRefused) {
  Start();
  EXPECT_THAT(Talk("POST /v1/profile/freeze HTTP/1.1\r\nHost: v\r\nContent-Length: 99999999\r\n"
                   "Connection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Get("/v1/doctor?x=" + std::string(40 * 1024, 'y')), StartsWith("HTTP/1.1 4"));
  // A chunked body that would do, but for its size, is cut off and not acted on.
  RawClient client(options_.socket);
  client.Flood("POST /v1/profile/freeze HTTP/1.1\r\nHost: v\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.Flood("c\r\n{\"all\":true}\r\n");
  for (int i = 0; i < 5; ++i) {
    client.Flood("4000\r\n" + std::string(0x4000, ' ') + "\r\n");
  }
  client.Flood("0\r\n\r\n");
  client.WaitForClose();
  EXPECT_TRUE(backend_.freezes.empty());
  EXPECT_THAT(Get("/v1/doctor"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ApiServerTest, EventsFlowAndClosingTheConnectionClosesTheTap) {
  Start();
  {
    RawClient client(options_.socket);
    client.Send("GET /v1/events?workload=a.service&kind=exec HTTP/1.1\r\nHost: v\r\n\r\n");
    client.ReadUntil(": open");
    EXPECT_TRUE(backend_.hub.watched());
    backend_.hub.Publish("host/a.service", "exec", [] { return "{\"n\":1}"; });
    backend_.hub.Publish("host/b.service", "exec", [] { return "{\"n\":2}"; });
    backend_.hub.Publish("host/a.service", "connect", [] { return "{\"n\":3}"; });
    backend_.hub.Publish("host/a.service", "exec", [] { return "{\"n\":4}"; });
    std::string body = client.ReadUntil("{\"n\":4}\n\n");
    EXPECT_THAT(body, HasSubstr("Content-Type: text/event-stream"));
    EXPECT_THAT(body, HasSubstr("data: {\"n\":1}\n\n"));
    EXPECT_EQ(body.find("\"n\":2"), std::string::npos);
    EXPECT_EQ(body.find("\"n\":3"), std::string::npos);
  }
  absl::Time deadline = absl::Now() + absl::Milliseconds(kWaitMs);
  while (backend_.hub.watched() && absl::Now() < deadline) {
    sched_yield();
  }
  EXPECT_FALSE(backend_.hub.watched());
}

TEST_F(ApiServerTest, LossesAreToldInTheStream) {
  Start();
  RawClient client(options_.socket);
  client.Send("GET /v1/events HTTP/1.1\r\nHost: v\r\n\r\n");
  client.ReadUntil(": open");
  // Far more than queue and socket buffers hold while nobody reads.
  for (int i = 0; i < 20000; ++i) {
    backend_.hub.Publish("w", "exec", [] { return "\"" + std::string(1000, 'x') + "\""; });
  }
  std::string read = client.ReadUntil("event: dropped\ndata: {\"dropped\":");
  EXPECT_NE(read.find("event: dropped\ndata: {\"dropped\":"), std::string::npos);
}

TEST_F(ApiServerTest, StreamsAreBoundedAndLeaveRoomForQuestions) {
  Start();
  std::vector<std::unique_ptr<RawClient>> watchers;
  for (int i = 0; i < ApiServer::kMaxStreams; ++i) {
    watchers.push_back(std::make_unique<RawClient>(options_.socket));
    watchers.back()->Send("GET /v1/events HTTP/1.1\r\nHost: v\r\n\r\n");
    watchers.back()->ReadUntil(": open");
  }
  EXPECT_THAT(Get("/v1/events"),
              ::testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("close one")));
  EXPECT_THAT(Get("/v1/doctor"), StartsWith("HTTP/1.1 200"));
  api_.reset();  // Does not hang on open streams.
  for (const auto& watcher : watchers) {
    watcher->ReadAll();
  }
}

TEST_F(ApiServerTest, SocketIsForOwnerAndGroupAndGoesWithTheAgent) {
  mode_t before = umask(0);
  Start();
  umask(before);
  struct stat status = {};
  ASSERT_EQ(lstat(options_.socket.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 07777, 0660u);
  const group* vedette = getgrnam("vedette");
  EXPECT_EQ(status.st_gid, vedette == nullptr || geteuid() != 0 ? getegid() : vedette->gr_gid);
  api_.reset();
  EXPECT_TRUE(std::filesystem::is_empty(directory_ + "/run"));
}

TEST_F(ApiServerTest, ASecondAgentIsRefusedAndTheFirstGoesOn) {
  Start();
  FakeBackend other;
  absl::StatusOr<std::unique_ptr<ApiServer>> second = ApiServer::Start(options_, &other);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(
      second.status().message(),
      options_.socket + ": another agent answers there; stop it or choose another api.socket");
  EXPECT_THAT(Get("/v1/doctor"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ApiServerTest, AStaleSocketIsReplacedButNothingElse) {
  std::filesystem::create_directories(directory_ + "/run");
  {
    UniqueFd dead(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, options_.socket.data(), options_.socket.size());
    ASSERT_EQ(bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  Start();
  EXPECT_THAT(Get("/v1/doctor"), StartsWith("HTTP/1.1 200"));
  api_.reset();

  std::ofstream(options_.socket) << "precious";
  absl::StatusOr<std::unique_ptr<ApiServer>> api = ApiServer::Start(options_, &backend_);
  EXPECT_EQ(api.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(std::filesystem::is_regular_file(options_.socket));
  std::filesystem::remove(options_.socket);
  options_.socket = directory_ + "/" + std::string(100, 'x');
  EXPECT_EQ(ApiServer::Start(options_, &backend_).status().code(),
            absl::StatusCode::kInvalidArgument);
  options_.socket = "/proc/nowhere/agent.sock";
  EXPECT_THAT(std::string(ApiServer::Start(options_, &backend_).status().message()),
              StartsWith("/proc/nowhere: cannot be used for the socket: "));
}

// What came in place of our socket meanwhile is not ours to remove.
TEST_F(ApiServerTest, AStopRemovesOnlyItsOwnSocket) {
  Start();
  std::filesystem::remove(options_.socket);
  std::ofstream(options_.socket) << "other";
  api_.reset();
  EXPECT_TRUE(std::filesystem::exists(options_.socket));
}

}  // namespace
}  // namespace vedette
