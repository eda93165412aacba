// SPDX-License-Identifier: Apache-2.0
#include "bpf/wire/file.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "agent/probes/file_shape.h"
#include "agent/probes/kinds.h"
#include "agent/probes/wire_reader.h"

namespace vedette {
namespace {

std::optional<FileVerb> VerbFromWire(uint8_t verb) {
  switch (verb) {
    case WIRE_VERB_FILE_CREATE:
      return FileVerb::kCreate;
    case WIRE_VERB_FILE_WRITE:
      return FileVerb::kWrite;
    case WIRE_VERB_FILE_READ:
      return FileVerb::kRead;
    default:
      return std::nullopt;
  }
}

std::string ClassKey(const wire_file& wire) {
  if (wire.shape == 0) {
    return "";
  }
  wire_access_key key = wire.key;
  key.inode = 0;
  key.generation = 0;
  key.name = wire.shape;
  key.grain = WIRE_GRAIN_CLASS;
  if (wire.directory != 0) {
    key.inode = wire.directory;
    key.parent = wire.above;
    key.grain = WIRE_GRAIN_DIRECTORY;
  }
  return BytesOf(key);
}

}  // namespace

absl::Status DecodeFile(std::string_view record, EventHeader header, std::vector<Event>& events) {
  wire_file wire;
  if (!ReadWire(record, wire)) {
    return TooShort("file", record);
  }
  const size_t area = wire.flags & WIRE_FILE_LARGE ? WIRE_PATH_BYTES : WIRE_PATH_SMALL_BYTES;
  if (record.size() < sizeof(wire) + area) {
    return TooShort("file", record);
  }
  const std::optional<FileVerb> verb = VerbFromWire(wire.key.verb);
  if (!verb) {
    return absl::InvalidArgumentError("a record of kind file has an unknown verb");
  }
  FileEvent file;
  file.process = ProcessFromWire(wire.process);
  file.verb = *verb;
  file.path = record.substr(sizeof(wire), std::min<size_t>(wire.path_bytes, area));
  file.path_truncated = wire.flags & WIRE_FILE_PATH_CUT;
  file.path_elsewhere = wire.flags & WIRE_FILE_ELSEWHERE;
  file.unnamed = wire.flags & WIRE_FILE_UNNAMED;
  if (file.unnamed) {
    file.path.resize(std::min(file.path.size(), file.path.rfind('/')));
  }
  if ((wire.flags & WIRE_FILE_CLASS) && !file.path_truncated && !file.path_elsewhere) {
    PathShape shape = ShapeOfPath(file.path);
    file.shape = std::move(shape.text);
    file.names_differ = shape.sure;
    file.class_key = ClassKey(wire);
  }
  file.open_flags = wire.open_flags;
  file.mode = wire.mode;
  file.links = wire.links;
  file.filesystem = wire.filesystem;
  header.cache_key = BytesOf(wire.key);
  events.push_back({std::move(header), std::move(file)});
  return absl::OkStatus();
}

}  // namespace vedette
