// SPDX-License-Identifier: Apache-2.0
#include "agent/pipeline/log_format.h"

#include <spdlog/pattern_formatter.h>

#include <string>
#include <string_view>

#include "agent/base/text.h"
#include "exporters/schema/json_writer.h"

namespace vedette {
namespace {

std::string_view PayloadOf(const spdlog::details::log_msg& message) {
  return {message.payload.data(), message.payload.size()};
}

void Append(const std::string& text, spdlog::memory_buf_t& out) {
  out.append(text.data(), text.data() + text.size());
}

class JsonPayload final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const tm&,
              spdlog::memory_buf_t& out) override {
    Append(JsonWriter().Text(PayloadOf(message)).Take(), out);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonPayload>();
  }
};

class PrintablePayload final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const tm&,
              spdlog::memory_buf_t& out) override {
    Append(PrintableUtf8(PayloadOf(message)), out);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<PrintablePayload>();
  }
};

}  // namespace

std::unique_ptr<spdlog::formatter> MakeLogFormatter(LogFormat format) {
  constexpr char kPayload = '*';
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  if (format == LogFormat::kJson) {
    formatter->add_flag<JsonPayload>(kPayload);
    formatter->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":%*})");
  } else {
    formatter->add_flag<PrintablePayload>(kPayload);
    formatter->set_pattern("%H:%M:%S.%e %^%l%$ %*");
  }
  return formatter;
}

}  // namespace vedette
