// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/base/unique_fd.h"
#include "agent/probes/embedded_objects.h"
#include "agent/probes/skipped_runs.h"

struct bpf_link;
struct bpf_map;
struct bpf_object;
struct bpf_program;

namespace vedette {

// The first bytes of the digest that names a build's directory of pins.
inline constexpr size_t kBuildDigestBytes = 8;

struct ProbeInfo;

struct ProbeOptions {
  std::string pin_dir;      // On a bpffs, for agents alone; made, and removed by Remove().
  std::string cgroup_root;  // Where the v2 hierarchy is mounted.
  uint32_t ring_bytes = 1 << 20;
  uint32_t max_processes = 16384;
  bool privilege = true;      // The probe of that name.
  bool capabilities = false;  // The probe `capability`, which is called very often.
  // The probe of that name; without BPF LSM every system call of everybody pays for it.
  bool files = false;
  absl::Span<const EmbeddedObject> objects = EmbeddedBpfObjects();
};

// What became of one probe on this node.
struct ProbeStatus {
  std::string name;
  bool ok = false;
  std::string reason;  // Empty when ok: else what, where and what to do.
  std::vector<std::string> programs;
  uint64_t verified_instructions = 0;
  // By what it sees, where there is a choice; and if not by the better way, why not.
  std::string note = "";
};

// Loads the embedded objects, shares their maps by name, pins maps and links under one directory
// and attaches. Owner: main; Load and Attach run once on the control thread, the iterators on the
// pipeline thread. Does not read rings and does not interpret maps.
//
// Pins live in <pin_dir>/<build>/{maps,links}, <build> being a digest of the objects: what an agent
// of the same build left behind after SIGKILL is adopted, what another build left is removed.
class ProbeSet {
 public:
  static absl::StatusOr<std::unique_ptr<ProbeSet>> Load(const ProbeOptions& options);
  ~ProbeSet();

  // Attaches every program that is not attached yet. A probe that fails is degraded, and named.
  void Attach();

  // Where the pins of this build are.
  const std::string& pin_dir() const { return build_dir_; }

  // True: the maps hold what a killed predecessor left. Its programs are still attached, unless it
  // was killed while it stopped.
  bool adopted() const { return adopted_; }

  // One sentence for each set of pins that another build left and that was removed unread.
  const std::vector<std::string>& discarded() const { return discarded_; }

  // File descriptor of a map; -1 when no object has it.
  int MapFd(std::string_view name) const;

  // What an iterator goes over: everything, one map, or this process.
  struct IteratorTarget {
    int map_fd = -1;
    bool own_process = false;
  };
  // Runs an iterator of the scan object to its end and returns its bytes.
  absl::StatusOr<std::string> RunIterator(std::string_view program, IteratorTarget target) const;

  const std::vector<ProbeStatus>& statuses() const { return statuses_; }

  // File descriptors of all programs that are loaded, iterators too. Tests read their bytecode.
  std::vector<std::pair<std::string, int>> ProgramFds() const;

  // Of every attached program, since it was loaded. Empty where the kernel does not tell.
  std::vector<SkippedRuns> ReadSkippedRuns() const { return attached_.Read(); }

  // Most entries of a map, of a ring its bytes: of an adopted one as its maker chose. 0: no such
  // map.
  uint32_t MaxEntries(std::string_view name) const;

  // Detaches every program; maps and rings stay readable. No program runs any more afterwards.
  void Detach();

  // Detaches everything and removes the pins.
  void Remove();

  // Lets go without detaching: as if the process were killed.
  void Abandon();

 private:
  struct LoadedObject;
  explicit ProbeSet(const ProbeOptions& options);

  absl::Status TakePinDir();
  absl::StatusOr<LoadedObject> OpenObject(std::string_view name);
  static absl::Status LoadIntoKernel(LoadedObject& opened);  // Any thread.
  absl::Status KeepObject(LoadedObject loaded);
  absl::Status LoadObject(std::string_view name);
  absl::Status LoadTogether();
  absl::Status PrepareMap(bpf_map* map);
  absl::Status ShareMaps(bpf_object* object);
  absl::StatusOr<bpf_link*> AttachProgram(bpf_program* program);
  void LoadOneByOne();
  void LoadOrDegrade(const ProbeInfo& probe);
  bool IsWanted(std::string_view probe) const;
  // Programs that are not wanted, or whose hook the kernel lacks, are not loaded.
  void LeaveOut(bpf_object* object) const;
  void AttachProbe(std::string_view probe, LoadedObject& object, ProbeStatus& status);
  // False: it was attached already, by the agent before.
  bool AttachTo(bpf_program* program, LoadedObject& object, ProbeStatus& status);
  ProbeStatus AttachObjects(const ProbeInfo& probe);
  // The probe of files is by BPF LSM, else by the exit of system calls; never by both.
  void LoadFiles(const ProbeInfo& probe);
  void LoadFilesWithoutLsm(const ProbeInfo& probe, std::string_view why);
  ProbeStatus AttachFiles(const ProbeInfo& probe);

  ProbeOptions options_;
  std::string build_dir_;
  UniqueFd lock_;
  UniqueFd cgroup_fd_;
  bool adopted_ = false;
  std::vector<std::string> discarded_;
  bool remove_on_exit_ = true;
  bool mounted_bpffs_ = false;
  absl::flat_hash_set<std::string_view> without_hook_;  // Programs, as ProgramsWithoutHook.
  std::vector<LoadedObject> objects_;
  absl::flat_hash_map<std::string, UniqueFd> maps_;
  std::vector<ProbeStatus> statuses_;
  AttachedPrograms attached_;
  std::string without_lsm_;  // Why the probe of files is not by BPF LSM; empty: it is.
};

}  // namespace vedette
