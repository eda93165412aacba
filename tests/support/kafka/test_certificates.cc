// SPDX-License-Identifier: Apache-2.0
#include "tests/support/kafka/test_certificates.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

namespace vedette {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Memory = std::unique_ptr<BIO, decltype(&BIO_free)>;

struct Fields {
  std::string subject, issuer;
  absl::Duration from, until;
  bool is_ca = false;
  std::string alternative_name;  // As OpenSSL writes it: "IP:127.0.0.1".
};

std::string TextOf(const Memory& memory) {
  const char* data = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

Key NewKey() { return Key(EVP_EC_gen("P-256"), &EVP_PKEY_free); }

void SetName(X509_NAME* name, const std::string& text) {
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1, 0);
}

bool AddExtension(X509* certificate, int kind, const std::string& value) {
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str()), &X509_EXTENSION_free);
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

Certificate Sign(const Fields& fields, EVP_PKEY* key, EVP_PKEY* issuer_key) {
  Certificate certificate(X509_new(), &X509_free);
  uint32_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial));
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), absl::ToInt64Seconds(fields.from));
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), absl::ToInt64Seconds(fields.until));
  SetName(X509_get_subject_name(certificate.get()), fields.subject);
  SetName(X509_get_issuer_name(certificate.get()), fields.issuer);
  X509_set_pubkey(certificate.get(), key);
  bool good = AddExtension(certificate.get(), NID_basic_constraints,
                           fields.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!fields.alternative_name.empty()) {
    good = good && AddExtension(certificate.get(), NID_subject_alt_name, fields.alternative_name);
  }
  if (!good || X509_sign(certificate.get(), issuer_key, EVP_sha256()) == 0) {
    certificate.reset();
  }
  return certificate;
}

std::string PemOf(X509* certificate) {
  const Memory memory(BIO_new(BIO_s_mem()), &BIO_free);
  PEM_write_bio_X509(memory.get(), certificate);
  return TextOf(memory);
}

}  // namespace

struct TestCa::Keys {
  Key key = NewKey();
};

TestCa::TestCa() : keys_(std::make_unique<Keys>()) {}
TestCa::~TestCa() = default;

absl::StatusOr<std::unique_ptr<TestCa>> TestCa::Create(const std::string& name) {
  std::unique_ptr<TestCa> ca(new TestCa());
  ca->name_ = name;
  EVP_PKEY* key = ca->keys_->key.get();
  const Certificate certificate =
      Sign({name, name, -absl::Hours(72), absl::Hours(72), true, ""}, key, key);
  if (certificate == nullptr) {
    return absl::InternalError("OpenSSL cannot make a certificate authority");
  }
  ca->pem_ = PemOf(certificate.get());
  return ca;
}

absl::StatusOr<std::string> TestCa::Issue(const TestCertificateOptions& options) {
  const Key key = NewKey();
  in_addr address;
  const bool is_ip = inet_pton(AF_INET, options.name.c_str(), &address) == 1;
  const Certificate certificate =
      Sign({options.name, name_, options.valid_from, options.valid_until, false,
            fmt::format("{}:{}", is_ip ? "IP" : "DNS", options.name)},
           key.get(), keys_->key.get());
  if (certificate == nullptr) {
    return absl::InternalError("OpenSSL cannot make a certificate for " + options.name);
  }
  const Memory memory(BIO_new(BIO_s_mem()), &BIO_free);
  PEM_write_bio_PKCS8PrivateKey(memory.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return PemOf(certificate.get()) + TextOf(memory);
}

}  // namespace vedette
