// SPDX-License-Identifier: Apache-2.0
#include "tests/support/kafka/kafka_broker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace vedette {
namespace {

constexpr absl::Duration kReadyBound = absl::Seconds(60);
constexpr int kMetadataTimeoutMs = 500;
constexpr int kTopicTimeoutMs = 20000;

std::string CacheDirectory() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && *xdg != '\0') {
    return std::string(xdg) + "/vedette/kafka-4.4.0";
  }
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "" : home) + "/.cache/vedette/kafka-4.4.0";
}

// A port that was free a moment ago.
int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

pid_t Spawn(const std::vector<std::string>& arguments, const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    // The signal is sent when the thread that forked ends, which is the test's main thread.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  return child;
}

std::string Tail(const std::string& path) {
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  constexpr size_t kTailSize = 1500;
  return text.size() > kTailSize ? text.substr(text.size() - kTailSize) : text;
}

using Client = std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)>;

Client MakeClient(const std::string& address) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", address.c_str(), nullptr, 0);
  rd_kafka_conf_set(conf, "reconnect.backoff.max.ms", "200", nullptr, 0);
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  return Client(rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0), &rd_kafka_destroy);
}

}  // namespace

absl::StatusOr<std::unique_ptr<KafkaBroker>> KafkaBroker::Create(
    const KafkaBrokerOptions& options) {
  std::unique_ptr<KafkaBroker> broker(new KafkaBroker());
  broker->jars_ = CacheDirectory();
  if (!std::filesystem::exists(broker->jars_ + "/complete")) {
    return absl::NotFoundError(
        fmt::format("{}: Apache Kafka is not there; run ./run-tests, which fetches it, or "
                    "tests/support/kafka/fetch_kafka.sh",
                    broker->jars_));
  }
  if (std::system("java -version >/dev/null 2>&1") != 0) {
    return absl::NotFoundError(
        "java does not run; run ./run-tests, which installs it (openjdk-17-jre-headless)");
  }
  std::string dir = std::filesystem::temp_directory_path() / "vedette_kafka.XXXXXX";
  if (mkdtemp(dir.data()) == nullptr) {
    return absl::InternalError(dir + ": cannot be made");
  }
  broker->dir_ = dir;
  const int port = FreePort();
  int controller = FreePort();
  while (controller == port) {
    controller = FreePort();
  }
  broker->address_ = fmt::format("127.0.0.1:{}", port);
  std::ofstream(dir + "/server.properties") << fmt::format(
      "process.roles=broker,controller\nnode.id=1\n"
      "controller.quorum.voters=1@127.0.0.1:{1}\ncontroller.listener.names=CONTROLLER\n"
      "listeners=PLAINTEXT://127.0.0.1:{0},CONTROLLER://127.0.0.1:{1}\n"
      "advertised.listeners=PLAINTEXT://127.0.0.1:{0}\n"
      "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
      "log.dirs={2}/data\nauto.create.topics.enable={3}\nmessage.max.bytes={4}\n"
      "log.message.timestamp.type={5}\n"
      "num.partitions=3\noffsets.topic.replication.factor=1\n"
      "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
      "group.initial.rebalance.delay.ms=0\n"
      // A broker that was killed may come back only when its old session is over.
      "broker.session.timeout.ms=1000\nbroker.heartbeat.interval.ms=200\n",
      port, controller, dir, options.auto_create_topics, options.max_message_bytes,
      options.log_append_time ? "LogAppendTime" : "CreateTime");
  absl::Status status = broker->Format();
  if (status.ok() && options.start) {
    status = broker->Start();
  }
  if (!status.ok()) {
    return status;
  }
  return broker;
}

KafkaBroker::~KafkaBroker() {
  Kill();
  if (!dir_.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }
}

absl::Status KafkaBroker::Format() {
  const pid_t child = Spawn({"java", "-cp", jars_ + "/*", "kafka.tools.StorageTool", "format", "-t",
                             "dmVkZXR0ZS10ZXN0cy0wMQ", "-c", dir_ + "/server.properties"},
                            dir_ + "/format.log");
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0
             ? absl::OkStatus()
             : absl::InternalError("Kafka cannot be formatted: " + Tail(dir_ + "/format.log"));
}

absl::Status KafkaBroker::Start() {
  pid_ =
      Spawn({"java", "-Xmx512m", "-cp", jars_ + "/*", "kafka.Kafka", dir_ + "/server.properties"},
            dir_ + "/broker.log");
  return WaitUntilReady();
}

absl::Status KafkaBroker::WaitUntilReady() {
  const Client client = MakeClient(address_);
  const absl::Time deadline = absl::Now() + kReadyBound;
  while (absl::Now() < deadline) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return absl::InternalError("Kafka ended at its start: " + Tail(dir_ + "/broker.log"));
    }
    const rd_kafka_metadata_t* metadata = nullptr;
    // Waits by itself while there is nobody to answer.
    const rd_kafka_resp_err_t error =
        rd_kafka_metadata(client.get(), 1, nullptr, &metadata, kMetadataTimeoutMs);
    const bool ready = error == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->broker_cnt > 0;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_metadata_destroy(metadata);
    }
    if (ready) {
      return absl::OkStatus();
    }
  }
  return absl::DeadlineExceededError("Kafka does not answer: " + Tail(dir_ + "/broker.log"));
}

void KafkaBroker::Kill() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
}

absl::Status KafkaBroker::CreateTopic(const std::string& topic, int partitions) {
  const Client client = MakeClient(address_);
  rd_kafka_NewTopic_t* wanted = rd_kafka_NewTopic_new(topic.c_str(), partitions, 1, nullptr, 0);
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client.get());
  rd_kafka_AdminOptions_t* options =
      rd_kafka_AdminOptions_new(client.get(), RD_KAFKA_ADMIN_OP_CREATETOPICS);
  rd_kafka_AdminOptions_set_operation_timeout(options, kTopicTimeoutMs, nullptr, 0);
  rd_kafka_CreateTopics(client.get(), &wanted, 1, options, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kTopicTimeoutMs);
  std::string error = event == nullptr ? "no answer" : "";
  if (event != nullptr && rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    error = rd_kafka_event_error_string(event);
  } else if (event != nullptr) {
    size_t count = 0;
    const rd_kafka_topic_result_t** results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    if (count == 1 && rd_kafka_topic_result_error(results[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      error = rd_kafka_err2name(rd_kafka_topic_result_error(results[0]));
    }
  }
  if (event != nullptr) {
    rd_kafka_event_destroy(event);
  }
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewTopic_destroy(wanted);
  return error.empty() ? absl::OkStatus()
                       : absl::InternalError(fmt::format("topic {}: {}", topic, error));
}

}  // namespace vedette
