// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "agent/enrich/code_table.h"
#include "agent/enrich/enriched_event.h"
#include "agent/enrich/lru_map.h"

namespace vedette {

// Exec id → what is known of that execution. Owned by the pipeline thread. Processes that ended
// stay until their place is needed, because they are the ancestors of others.
class ProcessTable {
 public:
  static constexpr size_t kDefaultProcesses = 8192;
  // Of argv, per process, kept for later events and descendants; the exec's own event has it all.
  static constexpr size_t kMaxKeptArgvBytes = 512;

  // `boot_id` is the content of /proc/sys/kernel/random/boot_id. `codes` outlives the table.
  ProcessTable(const std::string& boot_id, CodeTable* codes, size_t processes = kDefaultProcesses);

  // Notes an exec or a process that was there before, and returns it.
  ProcessInfo Add(const ProcessContext& context, const Code& code,
                  const std::vector<std::string>& argv, bool argv_truncated);

  // Notes a new process that runs its parent's program with its parent's arguments.
  ProcessInfo AddFork(const ProcessContext& context);

  // Who acted. Of a process not noted before only program and comm are known: its exec may have
  // been a known behaviour, of which the kernel sends no record, so nothing is taken from the
  // parent.
  ProcessInfo Describe(const ProcessContext& context);

  std::vector<ProcessInfo> DescribeAncestors(const ProcessContext& context);

  // An execution by its number alone; without a program where that was not noted.
  ProcessInfo Known(const ExecId& id);

  // The program of an execution, else what is known of `key`.
  Code CodeOf(const ExecId& id, const CodeKey& key);

  // "<first 8 hex of the boot id>-<start in ns>-<tgid>", in hex.
  std::string PrintableId(const ExecId& id) const;

  size_t size() const { return processes_.size(); }
  size_t evictions() const { return processes_.evictions(); }

 private:
  struct Entry {
    CodeKey key;
    Code code;
    std::vector<std::string> argv;
    bool argv_truncated = false;
    std::string comm;
  };

  ProcessInfo Info(const ExecId& id, const Entry& entry) const;

  const std::string boot_;
  CodeTable* const codes_;
  LruMap<ExecId, Entry> processes_;
};

}  // namespace vedette
