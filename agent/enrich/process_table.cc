// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/process_table.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "fmt/format.h"

namespace vedette {
namespace {

constexpr size_t kBootDigits = 8;

std::string BootPrefix(const std::string& boot_id) {
  std::string digits;
  for (char c : boot_id) {
    if (absl::ascii_isxdigit(static_cast<unsigned char>(c)) && digits.size() < kBootDigits) {
      digits += absl::ascii_tolower(static_cast<unsigned char>(c));
    }
  }
  digits.resize(kBootDigits, '0');
  return digits;
}

std::vector<std::string> Bounded(const std::vector<std::string>& argv) {
  std::vector<std::string> kept;
  size_t left = ProcessTable::kMaxKeptArgvBytes;
  for (const std::string& argument : argv) {
    if (left == 0) {
      break;
    }
    kept.push_back(argument.substr(0, left));
    left -= std::min(left, argument.size() + 1);
  }
  return kept;
}

}  // namespace

ProcessTable::ProcessTable(const std::string& boot_id, CodeTable* codes, size_t processes)
    : boot_(BootPrefix(boot_id)), codes_(codes), processes_(processes) {}

std::string ProcessTable::PrintableId(const ExecId& id) const {
  return fmt::format("{}-{:x}-{:x}", boot_, id.start_ns, id.tgid);
}

ProcessInfo ProcessTable::Info(const ExecId& id, const Entry& entry) const {
  return {.id = id,
          .exec_id = PrintableId(id),
          .pid = id.tgid,
          .comm = entry.comm,
          .code = entry.code,
          .argv = entry.argv,
          .argv_truncated = entry.argv_truncated,
          .unknown = id.unknown(),
          .credentials = std::nullopt};
}

ProcessInfo ProcessTable::Add(const ProcessContext& context, const Code& code,
                              const std::vector<std::string>& argv, bool argv_truncated) {
  Entry entry{.key = context.code,
              .code = code,
              .argv = Bounded(argv),
              .argv_truncated = argv_truncated,
              .comm = context.comm};
  entry.argv_truncated |= entry.argv != argv;
  ProcessInfo info = Info(context.id, entry);
  info.pid = context.tgid;
  info.credentials = context.credentials;
  info.argv = argv;
  info.argv_truncated = argv_truncated;
  if (!context.id.unknown()) {
    processes_.Put(context.id, std::move(entry));
  }
  return info;
}

ProcessInfo ProcessTable::AddFork(const ProcessContext& context) {
  const Entry* parent = context.parent.unknown() ? nullptr : processes_.Find(context.parent);
  if (parent == nullptr || parent->key != context.code) {
    return Describe(context);
  }
  return Add(context, CodeOf(context.parent, context.code), std::vector<std::string>(parent->argv),
             parent->argv_truncated);
}

ProcessInfo ProcessTable::Describe(const ProcessContext& context) {
  const Code* code = codes_->Find(context.code);
  Entry* entry = context.id.unknown() ? nullptr : processes_.Find(context.id);
  Entry made;
  if (entry == nullptr) {
    made.key = context.code;
    entry = context.id.unknown() ? &made : &processes_.Put(context.id, std::move(made));
  }
  if (code != nullptr && entry->key == context.code) {
    entry->code.sha256 = code->sha256;  // It may have been hashed or named since.
    entry->code.origin = code->origin;
    entry->code.path = entry->code.path.empty() ? code->path : entry->code.path;
  }
  entry->comm = context.comm;
  ProcessInfo info = Info(context.id, *entry);
  info.pid = context.tgid;
  info.credentials = context.credentials;
  return info;
}

std::vector<ProcessInfo> ProcessTable::DescribeAncestors(const ProcessContext& context) {
  std::vector<ProcessInfo> ancestors;
  ancestors.reserve(context.ancestors.size());
  for (const Ancestor& ancestor : context.ancestors) {
    const Entry entry{.key = ancestor.code,
                      .code = CodeOf(ancestor.id, ancestor.code),
                      .argv = {},
                      .argv_truncated = false,
                      .comm = ancestor.comm};
    ProcessInfo info = Info(ancestor.id, entry);
    const Entry* known = processes_.Find(ancestor.id);
    if (known != nullptr && !ancestor.id.unknown()) {
      info.argv = known->argv;
      info.argv_truncated = known->argv_truncated;
    }
    ancestors.push_back(std::move(info));
  }
  return ancestors;
}

ProcessInfo ProcessTable::Known(const ExecId& id) {
  const Entry* entry = processes_.Find(id);
  return Info(id, entry == nullptr ? Entry() : *entry);
}

Code ProcessTable::CodeOf(const ExecId& id, const CodeKey& key) {
  const Code* by_key = codes_->Find(key);
  const Entry* process = id.unknown() ? nullptr : processes_.Find(id);
  if (process == nullptr || process->key != key) {
    return by_key == nullptr ? Code() : *by_key;
  }
  Code code = process->code;  // Knows the script, too.
  if (by_key != nullptr) {
    code.sha256 = by_key->sha256;
  }
  return code;
}

}  // namespace vedette
