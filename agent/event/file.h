// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/event/process.h"

namespace vedette {

// kCreate: the open made the file. kWrite: it was there before. kRead: a listed path.
enum class FileVerb { kCreate, kWrite, kRead };

inline std::string_view FileVerbName(FileVerb verb) {
  return verb == FileVerb::kCreate ? "create" : verb == FileVerb::kWrite ? "write" : "read";
}

// How sure it is that names of a shape are others each time.
enum class NamesDiffer { kUnsure, kLikely, kSurely };

// A file was opened. Strings are bytes, not text.
struct FileEvent {
  ProcessContext process;
  FileVerb verb = FileVerb::kWrite;
  std::string path;  // From the container's root.
  std::string lost;  // Stands for the path where the record of a behaviour was lost.
  bool path_truncated = false;
  bool path_elsewhere = false;  // It does not end at the root that the container had at its start.
  bool unnamed = false;         // O_TMPFILE; the path is that of the directory.
  std::string shape;  // The path with '*' for what is different each time, where a class may
                      // stand for the file; empty: nothing is.
  NamesDiffer names_differ = NamesDiffer::kUnsure;  // Of the shape.
  std::string class_key;  // Bytes of the class's key; only agent/cache reads them.
  uint32_t open_flags = 0;
  uint32_t mode = 0;
  uint32_t links = 0;
  uint32_t filesystem = 0;  // The magic number of the superblock.
};

}  // namespace vedette
