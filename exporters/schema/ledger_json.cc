// SPDX-License-Identifier: Apache-2.0
#include "exporters/schema/ledger_json.h"

#include <map>

#include "exporters/schema/encode.h"
#include "exporters/schema/json_writer.h"

namespace vedette {
namespace {

void WriteEntry(const pb::LedgerEntry& entry, JsonWriter* json) {
  json->BeginObject().Text("stage", entry.stage()).Text("counter", entry.counter());
  json->Unsigned("received", entry.received()).Unsigned("delivered", entry.delivered());
  // Sorted, because the order of a protobuf map changes from run to run.
  const std::map<std::string, uint64_t> dropped(entry.dropped().begin(), entry.dropped().end());
  json->BeginObject("dropped");
  for (const auto& [reason, count] : dropped) {
    json->Unsigned(reason, count);
  }
  json->EndObject().EndObject();
}

}  // namespace

std::string LedgerJson(const pb::Event& event) {
  const pb::Ledger& ledger = event.ledger();
  JsonWriter json;
  json.BeginObject().Text("schema", kLedgerSchemaId).Text("uid", event.uid());
  json.Int("time_unix_ns", event.time_unix_ns());
  json.Int("from_unix_ns", ledger.from_unix_ns()).Int("to_unix_ns", ledger.to_unix_ns());
  json.Text("node", event.node()).Text("boot_id", event.boot_id());
  json.Text("agent_version", event.agent_version());
  json.BeginArray("entries");
  for (const pb::LedgerEntry& entry : ledger.entries()) {
    WriteEntry(entry, &json);
  }
  json.EndArray().BeginArray("gaps");
  for (const std::string& gap : ledger.gaps()) {
    json.Text(gap);
  }
  json.EndArray().EndObject();
  return json.Take();
}

}  // namespace vedette
