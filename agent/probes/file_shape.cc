// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/file_shape.h"

#include <cstdint>
#include <cstring>

#include "bpf/wire/shape.h"

namespace vedette {
namespace {

// The kernel reads names from buffers with room after them; so it is here.
constexpr size_t kRoom = 16;

// Appends the shape of one name; true if it is not the name.
bool AppendShape(std::string_view name, std::string& out) {
  if (name.empty() || name.size() > WIRE_SHAPE_BYTES) {
    out += name;
    return false;
  }
  uint8_t bytes[WIRE_SHAPE_BYTES + kRoom] = {};
  std::memcpy(bytes, name.data(), name.size());
  wire_shape shape = {};
  uint32_t at = wire_shape_begin(&shape, bytes, static_cast<uint32_t>(name.size()));
  for (; at < name.size(); ++at) {
    wire_shape_take(&shape, bytes[at]);
  }
  wire_shape_take(&shape, 0);
  if (shape.stars == 0) {
    out += name;
    return false;
  }
  out.append(reinterpret_cast<const char*>(shape.text), shape.bytes);
  return true;
}

}  // namespace

std::string ShapeOfPath(std::string_view path) {
  std::string out;
  bool differs = false;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    differs |= AppendShape(path.substr(0, slash), out);
    if (slash == std::string_view::npos) {
      break;
    }
    out += '/';
    path.remove_prefix(slash + 1);
  }
  return differs ? out : "";
}

}  // namespace vedette
