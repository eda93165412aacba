// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace vedette {

// Whom we speak to and as whom, for sentences.
struct KafkaPlace {
  std::string brokers;
  std::string user;  // Empty where there is no login.
};

// The last thing a connection complained of; the error of a message that timed out says only that
// it did.
struct KafkaTrouble {
  int error = 0;            // A rd_kafka_resp_err_t.
  std::string reason;       // One line.
  int certificate = 0;      // Why the broker's certificate is not taken: a X509_V_ERR_*.
  std::string subject;      // Of that certificate.
  std::string valid_until;  // The same.
};

// What failed: the message's own error, its topic and size, and what is known besides.
struct KafkaFailure {
  int error = 0;
  std::string topic;
  size_t size_bytes = 0;
  std::string create_error;  // Why the topic could not be created, where that was tried.
};

bool IsUnknownTopic(int error);
// The far side can never take this message, whatever else is well.
bool IsTheEventsFault(int error);
// A login or a certificate was refused: only other secrets or files can help, which a new producer
// reads.
bool IsRefusedConnection(int error);

// Says only that something before it failed, or that it was given up.
bool IsConsequence(int error);
// How much an error says of why a batch failed: nothing, that something else did, that the event is
// at fault, or the connection, which is the most since the batch has to come again anyway.
int KafkaErrorWeight(int error);

// OK, Unavailable (try again later) or InvalidArgument (never), each with one sentence that says
// what, where and what to do.
absl::Status KafkaStatus(const KafkaPlace& place, const KafkaFailure& failure,
                         const KafkaTrouble& trouble);

// Fills in what a certificate in DER says of itself.
void DescribeCertificate(std::string_view der, KafkaTrouble* trouble);

}  // namespace vedette
