// SPDX-License-Identifier: Apache-2.0
#include "exporters/kafka/kafka_failure.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <openssl/bio.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <memory>

namespace vedette {
namespace {

constexpr char kOptions[] = "sinks.kafka.librdkafka";

std::string BytesOf(BIO* bio) {
  const char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

// What librdkafka puts around the reason: the broker before it, how long it took after it.
std::string Essence(std::string_view reason) {
  const size_t state = reason.find(" (after ");
  reason = reason.substr(0, state);
  const size_t broker = reason.find(": ");
  if (broker != std::string_view::npos && reason.substr(0, broker).find("://") < broker) {
    reason.remove_prefix(broker + 2);
  }
  return std::string(reason);
}

std::string Login(const KafkaPlace& place) {
  return place.user.empty() ? "this client" : fmt::format("the user \"{}\"", place.user);
}

std::string CertificateSentence(const KafkaPlace& place, const KafkaTrouble& trouble) {
  const std::string whose = fmt::format("Kafka at {} is not trusted: its certificate ({})",
                                        place.brokers, trouble.subject);
  switch (trouble.certificate) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return fmt::format("{} expired on {}; renew it on the broker", whose, trouble.valid_until);
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return fmt::format("{} is not valid yet; correct the clock of this node or of who issued it",
                         whose);
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return fmt::format(
          "{} is for another name; name the broker in sinks.kafka.brokers as its "
          "certificate does, or issue one for this name",
          whose);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return fmt::format(
          "{} is not signed by a CA that is known here; set {}.ssl.ca.location to "
          "the CA of the broker",
          whose, kOptions);
    default:
      return fmt::format("{} is refused: {}; renew it, or correct the ssl.* options in {}", whose,
                         X509_verify_cert_error_string(trouble.certificate), kOptions);
  }
}

std::string UnreachableSentence(const KafkaPlace& place, const KafkaTrouble& trouble) {
  if (trouble.certificate != X509_V_OK) {
    return CertificateSentence(place, trouble);
  }
  // librdkafka repeats its nonce there, which Kafka 4 takes for a wrong password.
  constexpr int kFirstGoodAtScram = 0x020601ff;
  if (trouble.error == RD_KAFKA_RESP_ERR__AUTHENTICATION &&
      trouble.reason.find("SCRAM") != std::string::npos && rd_kafka_version() < kFirstGoodAtScram) {
    return fmt::format(
        "Kafka at {} refuses the login of {}: {}; correct sasl.username or "
        "sasl.password in {}, and if they are right, use sasl.mechanism PLAIN over "
        "TLS: librdkafka {} can log in with SCRAM at Kafka below 4 only",
        place.brokers, Login(place), Essence(trouble.reason), kOptions, rd_kafka_version_str());
  }
  if (trouble.error == RD_KAFKA_RESP_ERR__AUTHENTICATION) {
    return fmt::format(
        "Kafka at {} refuses the login of {}: {}; correct sasl.username, "
        "sasl.password or sasl.mechanism in {}, or the user on the broker",
        place.brokers, Login(place), Essence(trouble.reason), kOptions);
  }
  if (trouble.error == RD_KAFKA_RESP_ERR__SSL) {
    return fmt::format(
        "Kafka at {} cannot be reached over TLS: {}; correct security.protocol and "
        "the ssl.* options in {}, or the broker's certificates",
        place.brokers, Essence(trouble.reason), kOptions);
  }
  // A listener that wants TLS hangs up without a word on who comes without.
  const bool silent = trouble.error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
  return fmt::format(
      "Kafka at {} cannot be reached: {}; start the broker or correct sinks.kafka.brokers{}",
      place.brokers, trouble.reason.empty() ? "no answer in time" : trouble.reason,
      silent ? " or security.protocol in sinks.kafka.librdkafka" : "");
}

std::string UnknownTopicSentence(const KafkaPlace& place, const KafkaFailure& failure) {
  if (failure.create_error.empty()) {
    return fmt::format(
        "Kafka topic {} does not exist at {}; create it, or set "
        "sinks.kafka.create_topics to on",
        failure.topic, place.brokers);
  }
  return fmt::format(
      "Kafka topic {} does not exist at {} and cannot be created: {}; create it, or "
      "let {} create it with an ACL",
      failure.topic, place.brokers, failure.create_error, Login(place));
}

bool IsNotAllowed(int error) {
  return error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
         error == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

}  // namespace

bool IsUnknownTopic(int error) {
  return error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
         error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

bool IsTheEventsFault(int error) {
  return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
         error == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE ||
         error == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE || error == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

bool IsRefusedConnection(int error) {
  return error == RD_KAFKA_RESP_ERR__AUTHENTICATION || error == RD_KAFKA_RESP_ERR__SSL;
}

bool IsConsequence(int error) {
  return error == RD_KAFKA_RESP_ERR__PURGE_QUEUE || error == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT ||
         error == RD_KAFKA_RESP_ERR__FATAL || error == RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE ||
         error == RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
}

int KafkaErrorWeight(int error) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    return 0;
  }
  return IsConsequence(error) ? 1 : IsTheEventsFault(error) ? 2 : 3;
}

absl::Status KafkaStatus(const KafkaPlace& place, const KafkaFailure& failure,
                         const KafkaTrouble& trouble) {
  const int error = failure.error;
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::OkStatus();
  }
  const char* text = rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(error));
  if (error == RD_KAFKA_RESP_ERR_INVALID_RECORD) {
    return absl::InvalidArgumentError(fmt::format(
        "Kafka topic {} at {} does not take this record: {}; look for what the topic demands of "
        "records",
        failure.topic, place.brokers, text));
  }
  if (IsTheEventsFault(error)) {
    return absl::InvalidArgumentError(fmt::format(
        "Kafka topic {} at {} takes no record of {} bytes; raise max.message.bytes of the topic, "
        "and message.max.bytes in {}",
        failure.topic, place.brokers, failure.size_bytes, kOptions));
  }
  // A message may time out before librdkafka is sure that a topic is not there.
  const bool uncreated = error == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT && trouble.reason.empty() &&
                         !failure.create_error.empty();
  if (IsUnknownTopic(error) || uncreated) {
    return absl::UnavailableError(UnknownTopicSentence(place, failure));
  }
  if (IsNotAllowed(error)) {
    return absl::UnavailableError(
        fmt::format("Kafka at {} does not let {} write to the topic {}: {}; add an ACL that allows "
                    "it Write on this topic",
                    place.brokers, Login(place), failure.topic, text));
  }
  if (error == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT) {
    return absl::UnavailableError(UnreachableSentence(place, trouble));
  }
  // Given up at the end: that says nothing new of the broker.
  if (error == RD_KAFKA_RESP_ERR__PURGE_QUEUE || error == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
    return absl::UnavailableError(
        trouble.reason.empty()
            ? fmt::format("Kafka at {} had not acknowledged all when the agent stopped; it is sent "
                          "after the next start",
                          place.brokers)
            : UnreachableSentence(place, trouble));
  }
  return absl::UnavailableError(fmt::format("Kafka topic {} at {}: {}; what waits is sent again",
                                            failure.topic, place.brokers, text));
}

void DescribeCertificate(std::string_view der, KafkaTrouble* trouble) {
  const auto* data = reinterpret_cast<const unsigned char*>(der.data());
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      d2i_X509(nullptr, &data, static_cast<long>(der.size())), &X509_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> subject(BIO_new(BIO_s_mem()), &BIO_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> until(BIO_new(BIO_s_mem()), &BIO_free);
  if (certificate == nullptr || subject == nullptr || until == nullptr) {
    trouble->subject = "unreadable";
    return;
  }
  // Escapes what is no plain letter, so that a hostile name stays in its sentence.
  X509_NAME_print_ex(subject.get(), X509_get_subject_name(certificate.get()), 0, XN_FLAG_RFC2253);
  ASN1_TIME_print(until.get(), X509_get0_notAfter(certificate.get()));
  trouble->subject = BytesOf(subject.get());
  trouble->valid_until = BytesOf(until.get());
}

}  // namespace vedette
