// SPDX-License-Identifier: Apache-2.0
#include "agent/base/text.h"
#include "agent/cli/commands.h"

namespace vedette {
namespace {

std::string Dump(const nlohmann::json& value, int indent) {
  return value.dump(indent, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
}

}  // namespace

int Fail(const absl::Status& status, const CliIo& io) {
  io.err << "vedette: " << PrintableUtf8(std::string(status.message())) << '\n';
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return kExitNo;
    case absl::StatusCode::kInvalidArgument:
      return kExitUsage;
    default:
      return kExitFailed;
  }
}

void PrintJson(const nlohmann::json& value, const std::string& list_key, Output output,
               const CliIo& io) {
  if (output == Output::kJson) {
    io.out << Dump(value, 2) << '\n';
  } else if (list_key.empty()) {
    io.out << Dump(value, -1) << '\n';
  } else {
    for (const nlohmann::json& item : value.value(list_key, nlohmann::json::array())) {
      io.out << Dump(item, -1) << '\n';
    }
  }
}

}  // namespace vedette
