// SPDX-License-Identifier: Apache-2.0
// Loads every program of every probe into the running kernel, each judged by itself, and says what
// became of it: one line each, fields separated by tabs.
//
//   OBJECT  PROGRAM  loaded   INSTRUCTIONS  STACK    what the verifier walked through; bytes, of
//   all
//                                                    functions together
//   OBJECT  PROGRAM  refused  REASON                 in the kernel's words, or libbpf's
//   OBJECT  PROGRAM  no-hook                         this kernel does not have what it attaches to
//   feature NAME     yes|no                          what else this kernel lets a program do
//
// Attaches nothing that stays, and pins nothing. Exit code 0 whatever was refused: the caller knows
// what to expect.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <iterator>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/unique_fd.h"
#include "agent/probes/embedded_objects.h"
#include "agent/probes/kernel_hooks.h"

namespace vedette {
namespace {

constexpr size_t kLogBytes = 1 << 16;
constexpr int kOnlyStatistics = 4;  // Errors are in the log all the same.
constexpr std::string_view kMapsObject = "maps";
constexpr std::string_view kSharedMapPrefix = "vd_";

std::vector<std::string>& Complaints() {
  static std::vector<std::string> lines;
  return lines;
}

int KeepComplaint(enum libbpf_print_level level, const char* format, va_list args) {
  if (level == LIBBPF_WARN) {
    char text[4096];
    vsnprintf(text, sizeof(text), format, args);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      Complaints().push_back(line);
    }
  }
  return 0;
}

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using Object = std::unique_ptr<bpf_object, CloseObject>;
using SharedMaps = std::map<std::string, UniqueFd>;

void Print(const std::string& object, const std::string& program, const std::string& result) {
  std::string line = object + "\t" + program + "\t" + result;
  for (char& c : line) {
    c = c == '\n' || c == '\r' ? ' ' : c;
  }
  printf("%s\n", line.c_str());
  fflush(stdout);
}

// The last line that says what is wrong: after it come counts, before it how the verifier got
// there.
std::string ReasonIn(const std::string& log) {
  std::istringstream lines(log);
  std::string reason;
  for (std::string line; std::getline(lines, line);) {
    const bool is_count = line.starts_with("processed ") || line.starts_with("stack depth ") ||
                          line.starts_with("verification time ") || line.starts_with("; ");
    if (!line.empty() && !is_count) {
      reason = line;
    }
  }
  return reason;
}

std::string StatisticsIn(const std::string& log) {
  std::smatch match;
  const std::string instructions =
      std::regex_search(log, match, std::regex("processed ([0-9]+) insns")) ? match[1].str() : "0";
  unsigned long stack = 0;
  if (std::regex_search(log, match, std::regex("stack depth ([0-9+]+)"))) {
    std::istringstream depths(match[1]);
    for (std::string depth; std::getline(depths, depth, '+');) {
      stack += strtoul(depth.c_str(), nullptr, 10);
    }
  }
  return "loaded\t" + instructions + "\t" + std::to_string(stack);
}

// One object, loaded again and again without the programs that were refused, until it loads.
class Trial {
 public:
  Trial(const EmbeddedObject& embedded, SharedMaps* maps, std::set<std::string> left_out)
      : name_(embedded.name), embedded_(embedded), maps_(maps), left_out_(std::move(left_out)) {}

  // The object as it was loaded in the end.
  Object Run() {
    for (;;) {
      Object object = Open();
      if (object == nullptr) {
        Print(name_, "-", "refused\t" + Last("the object cannot be opened"));
        return nullptr;
      }
      if (bpf_object__load(object.get()) == 0) {
        Tell(object.get());
        return object;
      }
      const std::string failed = Refused();
      if (failed.empty() || !left_out_.insert(failed).second) {
        Print(name_, "-", "refused\t" + Last(strerror(errno)));
        return nullptr;
      }
      const std::string reason = ReasonIn(logs_[failed].data());
      Print(name_, failed, "refused\t" + (reason.empty() ? Last("no reason") : reason));
    }
  }

 private:
  Object Open() {
    Complaints().clear();
    logs_.clear();
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name_.c_str());
    Object object(bpf_object__open_mem(embedded_.elf.data(), embedded_.elf.size(), &options));
    if (object == nullptr) {
      return nullptr;
    }
    bpf_map* map;
    bpf_object__for_each_map(map, object.get()) {
      if (const auto it = maps_->find(bpf_map__name(map)); it != maps_->end()) {
        bpf_map__reuse_fd(map, it->second.get());
      }
    }
    bpf_program* program;
    bpf_object__for_each_program(program, object.get()) {
      std::vector<char>& log = logs_[bpf_program__name(program)];
      log.resize(kLogBytes);
      bpf_program__set_log_level(program, kOnlyStatistics);
      bpf_program__set_log_buf(program, log.data(), log.size());
      bpf_program__set_autoload(program, !left_out_.contains(bpf_program__name(program)));
    }
    return object;
  }

  void Tell(bpf_object* object) {
    bpf_program* program;
    bpf_object__for_each_program(program, object) {
      const std::string name = bpf_program__name(program);
      if (bpf_program__autoload(program)) {
        Print(name_, name, StatisticsIn(logs_[name].data()));
      }
    }
    bpf_map* map;
    bpf_object__for_each_map(map, object) {
      const std::string name = bpf_map__name(map);
      if (name_ == kMapsObject && name.starts_with(kSharedMapPrefix)) {
        maps_->emplace(name, UniqueFd(fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 0)));
      }
    }
  }

  // libbpf names the program in each of its complaints about one.
  static std::string Refused() {
    std::smatch match;
    for (const std::string& line : Complaints()) {
      if (std::regex_search(line, match, std::regex("prog '([^']+)'"))) {
        return match[1];
      }
    }
    return "";
  }

  static std::string Last(const std::string& otherwise) {
    return Complaints().empty() ? otherwise : Complaints().front();
  }

  const std::string name_;
  const EmbeddedObject& embedded_;
  SharedMaps* maps_;
  std::set<std::string> left_out_;
  std::map<std::string, std::vector<char>> logs_;
};

// A function of the kernel that all of them have.
constexpr const char* kTraced = "security_file_open";

constexpr bpf_insn kReturnZero[] = {
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
    {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
};

// A program of this kind that does nothing; not valid: the kernel refuses it.
UniqueFd LoadNothing(bpf_prog_type type, bpf_attach_type attach, const char* function) {
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach);
  if (function != nullptr) {
    const int id = libbpf_find_vmlinux_btf_id(function, attach);
    options.attach_btf_id = id > 0 ? static_cast<__u32>(id) : 0;
  }
  return UniqueFd(
      bpf_prog_load(type, "nothing", "GPL", kReturnZero, std::size(kReturnZero), &options));
}

bool Attaches(const UniqueFd& program, bpf_attach_type attach) {
  const char* symbol = kTraced;
  LIBBPF_OPTS(bpf_link_create_opts, options);
  if (attach == BPF_TRACE_KPROBE_MULTI) {
    options.kprobe_multi.syms = &symbol;
    options.kprobe_multi.cnt = 1;
  }
  return program.valid() && UniqueFd(bpf_link_create(program.get(), 0, attach, &options)).valid();
}

bool AtomicsReturnValues() {
  const bpf_insn code[] = {
      {.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = 10, .src_reg = 0, .off = -8, .imm = 0},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 1},
      {.code = BPF_STX | BPF_ATOMIC | BPF_DW,
       .dst_reg = 10,
       .src_reg = 0,
       .off = -8,
       .imm = BPF_ADD | BPF_FETCH},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  return UniqueFd(bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "atomics", "GPL", code,
                                std::size(code), nullptr))
      .valid();
}

void TellFeatures() {
  const std::pair<const char*, bool> features[] = {
      {"BPF LSM", Attaches(LoadNothing(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "file_open"), BPF_LSM_MAC)},
      {"fentry",
       Attaches(LoadNothing(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, kTraced), BPF_TRACE_FENTRY)},
      {"kprobe.multi", Attaches(LoadNothing(BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI, nullptr),
                                BPF_TRACE_KPROBE_MULTI)},
      {"task storage", libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, nullptr) == 1},
      {"current task as a type",
       libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_get_current_task_btf, nullptr) == 1},
      {"atomics that return", AtomicsReturnValues()},
  };
  for (const auto& [name, there] : features) {
    Print("feature", name, there ? "yes" : "no");
  }
}

int Run() {
  libbpf_set_print(KeepComplaint);
  const rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_MEMLOCK, &unlimited);
  TellFeatures();
  std::set<std::string> without_hook;
  for (const std::string_view program : ProgramsWithoutHook()) {
    without_hook.emplace(program);
    Print("-", std::string(program), "no-hook");
  }
  SharedMaps maps;
  for (const bool is_first : {true, false}) {
    for (const EmbeddedObject& embedded : EmbeddedBpfObjects()) {
      // Their programs are those of the other objects.
      const bool is_counted = !embedded.name.starts_with("together_");
      if (is_counted && is_first == (embedded.name == kMapsObject)) {
        Trial(embedded, &maps, without_hook).Run();
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace vedette

int main() { return vedette::Run(); }
