// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/objects.h"

#include "agent/base/sha256.h"
#include "agent/probes/probe_set.h"

namespace vedette {

std::string BuildDigest(absl::Span<const EmbeddedObject> objects) {
  Sha256 hash;
  for (const EmbeddedObject& object : objects) {
    hash.Update(object.elf);
  }
  return hash.Hex().substr(0, 2 * kBuildDigestBytes);
}

const EmbeddedObject* FindObject(absl::Span<const EmbeddedObject> objects, std::string_view name) {
  for (const EmbeddedObject& object : objects) {
    if (object.name == name) {
      return &object;
    }
  }
  return nullptr;
}

}  // namespace vedette
