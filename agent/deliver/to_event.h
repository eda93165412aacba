// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/time/time.h"
#include "agent/correlate/finding.h"
#include "exporters/schema/event.pb.h"

namespace vedette {

// Where events come from: the same for all of one run.
struct EventSource {
  std::string node;
  std::string boot_id;
  std::string agent_version;
  absl::Time boot_time;  // Makes wall-clock time of the kernel's nanoseconds since boot.
};

// The uid of the event says all that makes it one of its own: the node, since other nodes have the
// same finding; when the finding was first seen, since it may leave the store and come again; and
// its count, for each update, and how often a person changed its status. The same update sent twice
// has the same uid.
pb::Event ToEvent(const EventSource& source, const Finding& finding);

// `ledger` needs its times and entries; a uid is made of node, boot and time where it has none.
pb::Event ToEvent(const EventSource& source, pb::Ledger ledger);

}  // namespace vedette
