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
#include "agent/base/status.h"
#include "tests/support/kafka/kafka_admin.h"

namespace vedette {
namespace {

constexpr absl::Duration kReadyBound = absl::Seconds(60);
constexpr int kMetadataTimeoutMs = 500;

std::string CacheDirectory(const std::string& version) {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && *xdg != '\0') {
    return std::string(xdg) + "/vedette/kafka-" + version;
  }
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "" : home) + "/.cache/vedette/kafka-" + version;
}

// Ports that were free a moment ago, all different.
std::vector<int> FreePorts(int count) {
  std::vector<int> sockets, ports;
  for (int i = 0; i < count; ++i) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    bind(fd, reinterpret_cast<sockaddr*>(&address), size);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    sockets.push_back(fd);
    ports.push_back(ntohs(address.sin_port));
  }
  for (const int fd : sockets) {
    close(fd);
  }
  return ports;
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

std::string PlainLogins(const std::vector<KafkaUser>& users) {
  std::string line =
      "listener.name.sasl_ssl.plain.sasl.jaas.config="
      "org.apache.kafka.common.security.plain.PlainLoginModule required";
  for (const KafkaUser& user : users) {
    line += fmt::format(" user_{}=\"{}\"", user.name, user.password);
  }
  return line + ";\n";
}

std::string Tail(const std::string& path) {
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  constexpr size_t kTailSize = 1500;
  return text.size() > kTailSize ? text.substr(text.size() - kTailSize) : text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<KafkaBroker>> KafkaBroker::Create(
    const KafkaBrokerOptions& options) {
  std::unique_ptr<KafkaBroker> broker(new KafkaBroker());
  broker->jars_ = CacheDirectory(options.version);
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
  VEDETTE_RETURN_IF_ERROR(broker->WriteProperties(options));
  VEDETTE_RETURN_IF_ERROR(broker->Format(options.users));
  if (options.start) {
    VEDETTE_RETURN_IF_ERROR(broker->Start());
  }
  return broker;
}

absl::Status KafkaBroker::WriteProperties(const KafkaBrokerOptions& options) {
  const std::vector<int> ports = FreePorts(3);
  const bool secure = !options.certificate.empty();
  address_ = fmt::format("127.0.0.1:{}", ports[0]);
  admin_address_ = secure ? fmt::format("127.0.0.1:{}", ports[2]) : address_;
  const std::string listeners =
      secure ? fmt::format("SASL_SSL://{},ADMIN://{}", address_, admin_address_)
             : "PLAINTEXT://" + address_;
  std::ofstream file(dir_ + "/server.properties");
  file << fmt::format(
      "process.roles=broker,controller\nnode.id=1\n"
      "controller.quorum.voters=1@127.0.0.1:{0}\ncontroller.listener.names=CONTROLLER\n"
      "listeners={1},CONTROLLER://127.0.0.1:{0}\nadvertised.listeners={1}\n"
      "log.dirs={2}/data\nauto.create.topics.enable={3}\nmessage.max.bytes={4}\n"
      "log.message.timestamp.type={5}\n"
      "num.partitions=3\noffsets.topic.replication.factor=1\n"
      "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
      // The samples are older than any retention.
      "group.initial.rebalance.delay.ms=0\nlog.retention.ms=-1\n"
      // A broker that was killed may come back only when its old session is over.
      "broker.session.timeout.ms=1000\nbroker.heartbeat.interval.ms=200\n",
      ports[1], listeners, dir_, options.auto_create_topics, options.max_message_bytes,
      options.log_append_time ? "LogAppendTime" : "CreateTime");
  if (!secure) {
    file << "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n";
    return absl::OkStatus();
  }
  file << "listener.security.protocol.map=SASL_SSL:SASL_SSL,ADMIN:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
          "inter.broker.listener.name=ADMIN\n"
          "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config="
          "org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
          "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
          // Who comes without a login comes through the listeners that are not for clients.
          "super.users=User:ANONYMOUS\n"
       << PlainLogins(options.users)
       << fmt::format("sasl.enabled.mechanisms={}\n", options.mechanisms)
       << fmt::format("ssl.keystore.type=PEM\nssl.keystore.location={}/server.pem\n", dir_);
  return SetCertificate(options.certificate);
}

absl::Status KafkaBroker::SetCertificate(const std::string& pem) {
  std::ofstream file(dir_ + "/server.pem");
  file << pem;
  return file.flush() ? absl::OkStatus()
                      : absl::InternalError(dir_ + "/server.pem: cannot be written");
}

KafkaBroker::~KafkaBroker() {
  Kill();
  if (!dir_.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }
}

absl::Status KafkaBroker::Format(const std::vector<KafkaUser>& users) {
  std::vector<std::string> command = {"java",
                                      "-cp",
                                      jars_ + "/*",
                                      "kafka.tools.StorageTool",
                                      "format",
                                      "-t",
                                      "dmVkZXR0ZS10ZXN0cy0wMQ",
                                      "-c",
                                      dir_ + "/server.properties"};
  for (const KafkaUser& user : users) {
    command.insert(command.end(), {"--add-scram", fmt::format("SCRAM-SHA-512=[name={},password={}]",
                                                              user.name, user.password)});
  }
  const pid_t child = Spawn(command, dir_ + "/format.log");
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
  const KafkaAdmin admin(admin_address_);
  const absl::Time deadline = absl::Now() + kReadyBound;
  while (absl::Now() < deadline) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return absl::InternalError("Kafka ended at its start: " + Tail(dir_ + "/broker.log"));
    }
    const rd_kafka_metadata_t* metadata = nullptr;
    // Waits by itself while there is nobody to answer.
    const rd_kafka_resp_err_t error =
        rd_kafka_metadata(admin.client(), 1, nullptr, &metadata, kMetadataTimeoutMs);
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
  return KafkaAdmin(admin_address_).CreateTopic(topic, partitions);
}

}  // namespace vedette
