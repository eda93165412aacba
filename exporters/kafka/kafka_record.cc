// SPDX-License-Identifier: Apache-2.0
#include "exporters/kafka/kafka_record.h"

#include <librdkafka/rdkafka.h>

#include <string_view>

#include "exporters/schema/encode.h"

namespace vedette {

int ProduceRecord(rd_kafka_t* kafka, rd_kafka_topic_t* topic, const KafkaRecord& record) {
  const pb::Event& event = record.event;
  const auto header = [](rd_kafka_headers_t* headers, const char* name, std::string_view text) {
    rd_kafka_header_add(headers, name, -1, text.data(), static_cast<ssize_t>(text.size()));
  };
  rd_kafka_headers_t* headers = rd_kafka_headers_new(7);
  header(headers, "content-type", "application/json");
  header(headers, "schema", SchemaId(event));
  header(headers, "event-uid", event.uid());
  header(headers, "node", event.node());
  header(headers, "boot-id", event.boot_id());
  header(headers, "sequence", std::to_string(event.sequence()));
  if (record.shortened_from > 0) {
    header(headers, "shortened-from", std::to_string(record.shortened_from));
  }
  const rd_kafka_resp_err_t error = rd_kafka_producev(
      kafka, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(RD_KAFKA_PARTITION_UA),
      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_KEY(event.key().data(), event.key().size()),
      RD_KAFKA_V_VALUE(const_cast<char*>(record.value.data()), record.value.size()),
      RD_KAFKA_V_TIMESTAMP(event.time_unix_ns() / 1'000'000), RD_KAFKA_V_HEADERS(headers),
      RD_KAFKA_V_OPAQUE(record.opaque), RD_KAFKA_V_END);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_headers_destroy(headers);  // Taken over only by a message that was accepted.
  }
  return error;
}

}  // namespace vedette
