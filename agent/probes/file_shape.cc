// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/file_shape.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "bpf/wire/shape.h"

namespace vedette {
namespace {

// The kernel reads names from buffers with room after them; so it is here.
constexpr size_t kRoom = 16;

// Appends the shape of one name; how sure that is, if it is not the name.
std::optional<uint32_t> AppendShape(std::string_view name, bool is_directory, std::string& out) {
  if (name.empty() || name.size() > WIRE_SHAPE_BYTES) {
    out += name;
    return std::nullopt;
  }
  uint8_t bytes[WIRE_SHAPE_BYTES + kRoom] = {};
  std::memcpy(bytes, name.data(), name.size());
  wire_shape shape = {};
  uint32_t at = wire_shape_begin(&shape, bytes, static_cast<uint32_t>(name.size()), is_directory);
  for (; at < name.size(); ++at) {
    wire_shape_take(&shape, bytes[at]);
  }
  wire_shape_take(&shape, 0);
  if (shape.stars == 0) {
    out += name;
    return std::nullopt;
  }
  out.append(reinterpret_cast<const char*>(shape.text), shape.bytes);
  return shape.sure;
}

}  // namespace

PathShape ShapeOfPath(std::string_view path) {
  PathShape shape;
  std::optional<uint32_t> least;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const bool is_directory = slash != std::string_view::npos;
    if (const auto sure = AppendShape(path.substr(0, slash), is_directory, shape.text)) {
      least = std::min(*sure, least.value_or(*sure));
    }
    if (!is_directory) {
      break;
    }
    shape.text += '/';
    path.remove_prefix(slash + 1);
  }
  if (!least) {
    return {};
  }
  shape.sure = *least == WIRE_SHAPE_SURE     ? NamesDiffer::kSurely
               : *least == WIRE_SHAPE_LIKELY ? NamesDiffer::kLikely
                                             : NamesDiffer::kUnsure;
  return shape;
}

}  // namespace vedette
