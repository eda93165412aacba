// SPDX-License-Identifier: Apache-2.0
#include "tests/support/kafka/kafka_admin.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

namespace vedette {
namespace {

constexpr int kTimeoutMs = 20000;
constexpr size_t kErrorSize = 256;

rd_kafka_t* MakeClient(const std::string& address) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", address.c_str(), nullptr, 0);
  rd_kafka_conf_set(conf, "reconnect.backoff.max.ms", "200", nullptr, 0);
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  return rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
}

// The first error that the answer has for one of the things asked for.
std::string ErrorOf(rd_kafka_event_t* event) {
  if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return rd_kafka_event_error_string(event);
  }
  size_t count = 0;
  if (const auto* topics = rd_kafka_event_CreateTopics_result(event)) {
    const rd_kafka_topic_result_t** results = rd_kafka_CreateTopics_result_topics(topics, &count);
    for (size_t i = 0; i < count; ++i) {
      if (rd_kafka_topic_result_error(results[i]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return rd_kafka_err2name(rd_kafka_topic_result_error(results[i]));
      }
    }
  }
  if (const auto* acls = rd_kafka_event_CreateAcls_result(event)) {
    const rd_kafka_acl_result_t** results = rd_kafka_CreateAcls_result_acls(acls, &count);
    for (size_t i = 0; i < count; ++i) {
      if (const rd_kafka_error_t* error = rd_kafka_acl_result_error(results[i])) {
        return rd_kafka_error_string(error);
      }
    }
  }
  if (const auto* deleted = rd_kafka_event_DeleteRecords_result(event)) {
    const rd_kafka_topic_partition_list_t* offsets = rd_kafka_DeleteRecords_result_offsets(deleted);
    for (int i = 0; i < offsets->cnt; ++i) {
      if (offsets->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return rd_kafka_err2name(offsets->elems[i].err);
      }
    }
  }
  return "";
}

rd_kafka_AclOperation_t OperationOf(KafkaGrant::What what) {
  switch (what) {
    case KafkaGrant::What::kWrite:
      return RD_KAFKA_ACL_OPERATION_WRITE;
    case KafkaGrant::What::kCreate:
      return RD_KAFKA_ACL_OPERATION_CREATE;
    case KafkaGrant::What::kRead:
    case KafkaGrant::What::kReadAsGroup:
      break;
  }
  return RD_KAFKA_ACL_OPERATION_READ;
}

}  // namespace

KafkaAdmin::KafkaAdmin(const std::string& address) : client_(MakeClient(address)) {}

KafkaAdmin::~KafkaAdmin() { rd_kafka_destroy(client_); }

absl::Status KafkaAdmin::Run(
    const std::string& what, int operation,
    const std::function<void(rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>& request) {
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client_);
  rd_kafka_AdminOptions_t* options =
      rd_kafka_AdminOptions_new(client_, static_cast<rd_kafka_admin_op_t>(operation));
  rd_kafka_AdminOptions_set_request_timeout(options, kTimeoutMs, nullptr, 0);
  request(options, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kTimeoutMs);
  const std::string error = event == nullptr ? "no answer" : ErrorOf(event);
  if (event != nullptr) {
    rd_kafka_event_destroy(event);
  }
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_queue_destroy(queue);
  return error.empty() ? absl::OkStatus() : absl::InternalError(fmt::format("{}: {}", what, error));
}

absl::Status KafkaAdmin::CreateTopic(const std::string& topic, int partitions) {
  rd_kafka_NewTopic_t* wanted = rd_kafka_NewTopic_new(topic.c_str(), partitions, 1, nullptr, 0);
  const absl::Status status =
      Run("topic " + topic, RD_KAFKA_ADMIN_OP_CREATETOPICS,
          [this, &wanted](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
            rd_kafka_CreateTopics(client_, &wanted, 1, options, queue);
          });
  rd_kafka_NewTopic_destroy(wanted);
  return status;
}

absl::Status KafkaAdmin::Grant(const KafkaGrant& grant) {
  char error[kErrorSize] = "";
  rd_kafka_AclBinding_t* binding = rd_kafka_AclBinding_new(
      grant.what == KafkaGrant::What::kReadAsGroup ? RD_KAFKA_RESOURCE_GROUP
                                                   : RD_KAFKA_RESOURCE_TOPIC,
      grant.on.c_str(), RD_KAFKA_RESOURCE_PATTERN_LITERAL, ("User:" + grant.user).c_str(), "*",
      OperationOf(grant.what), RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, error, sizeof(error));
  if (binding == nullptr) {
    return absl::InternalError(error);
  }
  const absl::Status status =
      Run("ACL on " + grant.on, RD_KAFKA_ADMIN_OP_CREATEACLS,
          [this, &binding](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
            rd_kafka_CreateAcls(client_, &binding, 1, options, queue);
          });
  rd_kafka_AclBinding_destroy(binding);
  return status;
}

absl::Status KafkaAdmin::DeleteBefore(const std::string& topic, int partition, int64_t offset) {
  rd_kafka_topic_partition_list_t* before = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(before, topic.c_str(), partition)->offset = offset;
  rd_kafka_DeleteRecords_t* wanted = rd_kafka_DeleteRecords_new(before);
  const absl::Status status =
      Run("records of " + topic, RD_KAFKA_ADMIN_OP_DELETERECORDS,
          [this, &wanted](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
            rd_kafka_DeleteRecords(client_, &wanted, 1, options, queue);
          });
  rd_kafka_DeleteRecords_destroy(wanted);
  rd_kafka_topic_partition_list_destroy(before);
  return status;
}

}  // namespace vedette
