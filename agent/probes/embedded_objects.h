// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "absl/types/span.h"

namespace vedette {

struct EmbeddedObject {
  std::string_view name;  // "process" of process.bpf.c
  std::string_view elf;
};

// Every BPF object of bpf/probes, built into the binary. Any thread.
absl::Span<const EmbeddedObject> EmbeddedBpfObjects();

}  // namespace vedette
