// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "agent/event/event.h"

namespace vedette {

// One decoder per record kind; each is in the file of its name. `header` is decoded already. They
// append to `events` only when they return OK.
absl::Status DecodeExec(std::string_view record, EventHeader header, std::vector<Event>& events);
absl::Status DecodeProcessSeen(std::string_view record, EventHeader header,
                               std::vector<Event>& events);
absl::Status DecodeFork(std::string_view record, EventHeader header, std::vector<Event>& events);
absl::Status DecodeExit(std::string_view record, EventHeader header, std::vector<Event>& events);
absl::Status DecodeCredential(std::string_view record, EventHeader header,
                              std::vector<Event>& events);
absl::Status DecodeFlow(std::string_view record, EventHeader header, std::vector<Event>& events);
absl::Status DecodeDns(std::string_view record, EventHeader header, std::vector<Event>& events);
absl::Status DecodeCgroup(std::string_view record, EventHeader header, std::vector<Event>& events);
absl::Status DecodeMove(std::string_view record, EventHeader header, std::vector<Event>& events);
absl::Status DecodeOverflow(std::string_view record, EventHeader header,
                            std::vector<Event>& events);

absl::Status DecodePrivilege(std::string_view record, EventHeader header,
                             std::vector<Event>& events);
absl::Status DecodeFile(std::string_view record, EventHeader header, std::vector<Event>& events);

absl::Status TooShort(std::string_view kind, std::string_view record);

}  // namespace vedette
