// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vedette {

struct TestCertificateOptions {
  std::string name = "127.0.0.1";                // An IPv4 address, or a DNS name.
  absl::Duration valid_from = -absl::Hours(48);  // From now.
  absl::Duration valid_until = absl::Hours(24);
};

// A certificate authority for one test, made with OpenSSL. One thread.
class TestCa {
 public:
  static absl::StatusOr<std::unique_ptr<TestCa>> Create(const std::string& name);
  ~TestCa();

  const std::string& pem() const { return pem_; }
  // The certificate of a server and its key in PEM, one after the other.
  absl::StatusOr<std::string> Issue(const TestCertificateOptions& options);

 private:
  struct Keys;
  TestCa();

  std::unique_ptr<Keys> keys_;
  std::string name_;
  std::string pem_;
};

}  // namespace vedette
