// SPDX-License-Identifier: Apache-2.0
#include "tests/support/runc_container.h"

#include <errno.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <system_error>
#include <utility>

#include "agent/base/status.h"
#include "tests/support/scoped_cgroup.h"

namespace vedette::testing {
namespace {

using Json = nlohmann::json;

constexpr char kBusybox[] = "/bin/busybox";
// Starting a container takes 0.2 s here; a loaded machine may take long.
constexpr absl::Duration kRuncBound = absl::Seconds(30);

std::string RandomHex64() {
  std::random_device random;
  std::string hex;
  while (hex.size() < 64) {
    hex += fmt::format("{:08x}", random());
  }
  return hex;
}

std::string Replace(std::string text, std::string_view what, std::string_view with) {
  const size_t at = text.find(what);
  return at == std::string::npos ? text : text.replace(at, what.size(), with);
}

absl::Status CopyTo(const std::string& from, const std::string& to) {
  std::error_code error;
  std::filesystem::copy_file(from, to, error);
  if (error) {
    return absl::InternalError(fmt::format("cannot copy {} to {}: {}", from, to, error.message()));
  }
  return absl::OkStatus();
}

// Its copy of itself has no path, or only that of the root of a mount in no tree.
bool IsStillRunc(pid_t pid) {
  std::error_code gone;
  const std::string program =
      std::filesystem::read_symlink(fmt::format("/proc/{}/exe", pid), gone).string();
  return !gone && (program == "/" || program.find("runc") != std::string::npos);
}

absl::Status MakeRootfs(const std::string& rootfs, const std::vector<std::string>& files) {
  std::error_code error;
  for (const char* directory : {"bin", "dev", "etc", "proc", "sys", "tmp"}) {
    std::filesystem::create_directories(rootfs + "/" + directory, error);
  }
  VEDETTE_RETURN_IF_ERROR(CopyTo(kBusybox, rootfs + "/bin/busybox"));
  VEDETTE_RETURN_IF_ERROR(CopyTo(VEDETTE_ACTOR_PATH, rootfs + "/bin/vedette_actor"));
  for (const char* applet :
       {"sh", "cat", "echo", "id", "ls", "cp", "touch", "true", "wget", "nc"}) {
    std::filesystem::create_symlink("busybox", rootfs + "/bin/" + applet, error);
  }
  for (const std::string& file : files) {
    VEDETTE_RETURN_IF_ERROR(
        CopyTo(file, rootfs + "/bin/" + std::filesystem::path(file).filename().string()));
  }
  if (!WriteFile(rootfs + "/etc/passwd", "root:x:0:0:root:/:/bin/sh\n")) {
    return absl::InternalError("cannot write " + rootfs + "/etc/passwd");
  }
  return absl::OkStatus();
}

Json MakeConfig(const RuncOptions& options, const std::string& cgroup_path) {
  Json capabilities;
  for (const char* set : {"bounding", "effective", "permitted"}) {
    capabilities[set] = options.capabilities;
  }
  Json namespaces = Json::array();
  for (const char* type : {"pid", "ipc", "uts", "mount"}) {
    namespaces.push_back({{"type", type}});
  }
  if (!options.host_network) {
    namespaces.push_back({{"type", "network"}});
  }
  return {{"ociVersion", "1.0.2"},
          {"process",
           {{"terminal", false},
            {"user", {{"uid", 0}, {"gid", 0}}},
            {"args", {"/bin/vedette_actor", "pause"}},
            {"env", {"PATH=/bin"}},
            {"cwd", "/"},
            {"noNewPrivileges", true},
            {"capabilities", capabilities}}},
          {"root", {{"path", "rootfs"}, {"readonly", false}}},
          {"hostname", "vedette-test"},
          {"mounts",
           {{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}},
            {{"destination", "/dev"}, {"type", "tmpfs"}, {"source", "tmpfs"}},
            {{"destination", "/tmp"}, {"type", "tmpfs"}, {"source", "tmpfs"}}}},
          {"linux", {{"cgroupsPath", cgroup_path}, {"namespaces", namespaces}}}};
}

}  // namespace

RuncContainer::RuncContainer(const RuncOptions& options)
    : id_(RandomHex64()), cgroup_path_(Replace(options.cgroups_path, "{id}", id_)) {}

absl::StatusOr<std::unique_ptr<RuncContainer>> RuncContainer::Start(const RuncOptions& options) {
  std::unique_ptr<RuncContainer> container(new RuncContainer(options));
  VEDETTE_RETURN_IF_ERROR(container->MakeBundle(options));
  VEDETTE_RETURN_IF_ERROR(container->Run());
  return container;
}

absl::Status RuncContainer::MakeBundle(const RuncOptions& options) {
  VEDETTE_RETURN_IF_ERROR(MakeRootfs(rootfs(), options.files));
  const std::string config = bundle_ / "config.json";
  if (!WriteFile(config, MakeConfig(options, cgroup_path_).dump(2))) {
    return absl::InternalError("cannot write " + config);
  }
  return absl::OkStatus();
}

absl::Status RuncContainer::Run() {
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    return absl::ErrnoToStatus(errno, "PR_SET_CHILD_SUBREAPER");
  }
  // The detached container keeps runc's streams. Files, not pipes: nobody will read them.
  const std::string log = bundle_ / "runc.log";
  const std::vector<std::string> runc =
      Runc({"run", "--detach", "--bundle", bundle_.path(), "--pid-file", bundle_ / "pid", id_});
  std::vector<std::string> shell = {"/bin/sh", "-c", "exec \"$@\" </dev/null >\"$0\" 2>&1", log};
  shell.insert(shell.end(), runc.begin(), runc.end());
  VEDETTE_ASSIGN_OR_RETURN(const ChildResult result, Child::Run(shell, kRuncBound));
  if (result.exit_code != 0) {
    return absl::InternalError("runc run: " + ReadFile(log) + result.err);
  }
  // The first process is nobody's child once runc has left; this process adopts and reaps it.
  pid_ = static_cast<pid_t>(strtol(ReadFile(bundle_ / "pid").c_str(), nullptr, 10));
  if (pid_ <= 0) {
    return absl::InternalError("runc wrote no pid");
  }
  // runc has told its child to become the container's program, and does not wait for it.
  return WaitFor([this] { return !IsStillRunc(pid_); })
             ? absl::OkStatus()
             : absl::DeadlineExceededError("runc does not execute the container's program");
}

RuncContainer::~RuncContainer() {
  // Also after a failed start: runc may have come as far as the cgroup.
  const auto result = Child::Run(Runc({"delete", "--force", id_}), kRuncBound);
  if (pid_ > 0 && (!result.ok() || result->exit_code != 0)) {
    fmt::print(stderr, "runc delete {}: {}\n", id_,
               result.ok() ? result->err : result.status().ToString());
  }
  if (pid_ > 0) {
    WaitFor([this] { return waitpid(pid_, nullptr, WNOHANG) != 0; });
  }
  // runc removes the container's own cgroup, not the parents that it made on the way.
  RemoveEmptyCgroups(cgroup_path_);
}

std::vector<std::string> RuncContainer::Runc(std::vector<std::string> arguments) const {
  // A state directory of its own: runc's other containers are not ours to see.
  std::vector<std::string> argv = {"runc", "--root", bundle_ / "state"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return argv;
}

absl::StatusOr<Child> RuncContainer::SpawnExec(std::vector<std::string> argv) {
  std::vector<std::string> arguments = {"exec", id_};
  arguments.insert(arguments.end(), argv.begin(), argv.end());
  return Child::Spawn(Runc(std::move(arguments)));
}

absl::StatusOr<ChildResult> RuncContainer::Exec(std::vector<std::string> argv,
                                                absl::Duration bound) {
  VEDETTE_ASSIGN_OR_RETURN(Child child, SpawnExec(std::move(argv)));
  child.CloseInput();
  return child.Wait(bound);
}

}  // namespace vedette::testing
