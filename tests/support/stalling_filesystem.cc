// SPDX-License-Identifier: Apache-2.0
#include "tests/support/stalling_filesystem.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vedette::testing {
namespace {

constexpr uint64_t kProgramNode = 2;
constexpr size_t kRequestBytes = 1 << 18;
constexpr uint64_t kValidSeconds = 3600;

// The server's loop; in its own process.
class Server {
 public:
  Server(int device, std::string content, std::string silent_to, int* silences)
      : device_(device),
        content_(std::move(content)),
        silent_to_(std::move(silent_to)),
        silences_(silences) {}

  void Run() {
    std::vector<char> buffer(kRequestBytes);
    for (;;) {
      const ssize_t got = read(device_, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) {
        continue;
      }
      if (got < static_cast<ssize_t>(sizeof(fuse_in_header))) {
        return;
      }
      memcpy(&header_, buffer.data(), sizeof(header_));
      Answer(buffer.data() + sizeof(header_));
    }
  }

 private:
  void Answer(const char* body) {
    switch (header_.opcode) {
      case FUSE_INIT: {
        fuse_init_out out = {};
        out.major = FUSE_KERNEL_VERSION;
        out.minor = FUSE_KERNEL_MINOR_VERSION;
        out.max_write = 1 << 17;
        return Send(&out, sizeof(out));
      }
      case FUSE_LOOKUP: {
        fuse_entry_out out = {};
        // Also under longer names, as long as only FUSE has them.
        if (!std::string_view(body).starts_with("program")) {
          return Fail(ENOENT);
        }
        out.nodeid = kProgramNode;
        out.entry_valid = out.attr_valid = kValidSeconds;
        out.attr = Attributes(kProgramNode);
        return Send(&out, sizeof(out));
      }
      case FUSE_GETATTR: {
        fuse_attr_out out = {};
        out.attr_valid = kValidSeconds;
        out.attr = Attributes(header_.nodeid);
        return Send(&out, sizeof(out));
      }
      case FUSE_OPEN:
      case FUSE_OPENDIR: {
        if (header_.opcode == FUSE_OPEN && IsSilentTo(header_.pid)) {
          __atomic_add_fetch(silences_, 1, __ATOMIC_SEQ_CST);
          return;
        }
        fuse_open_out out = {};
        return Send(&out, sizeof(out));
      }
      case FUSE_READ: {
        fuse_read_in in;
        memcpy(&in, body, sizeof(in));
        const size_t from = std::min<size_t>(in.offset, content_.size());
        return Send(content_.data() + from, std::min<size_t>(in.size, content_.size() - from));
      }
      case FUSE_STATFS: {
        fuse_statfs_out out = {};
        out.st.namelen = 255;
        out.st.bsize = 4096;
        return Send(&out, sizeof(out));
      }
      case FUSE_READDIR:
      case FUSE_RELEASE:
      case FUSE_RELEASEDIR:
      case FUSE_FLUSH:
        return Send(nullptr, 0);
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET:
      case FUSE_INTERRUPT:
        return;
      default:
        return Fail(ENOSYS);
    }
  }

  fuse_attr Attributes(uint64_t node) const {
    fuse_attr attributes = {};
    attributes.ino = node;
    attributes.mode = node == kProgramNode ? S_IFREG | 0755 : S_IFDIR | 0755;
    attributes.nlink = 1;
    attributes.size = node == kProgramNode ? content_.size() : 0;
    attributes.blocks = attributes.size / 512 + 1;
    attributes.ctime = attributes.mtime = attributes.atime = 1'700'000'000;
    return attributes;
  }

  bool IsSilentTo(uint32_t pid) const {
    const std::string name = ReadFile("/proc/" + std::to_string(pid) + "/comm");
    return name == silent_to_ + "\n";
  }

  void Send(const void* body, size_t size) const {
    fuse_out_header out = {static_cast<uint32_t>(sizeof(out) + size), 0, header_.unique};
    iovec parts[] = {{&out, sizeof(out)}, {const_cast<void*>(body), size}};
    if (writev(device_, parts, 2) < 0 && errno != ENOENT) {
      _exit(4);
    }
  }
  void Fail(int error) const {
    fuse_out_header out = {sizeof(out), -error, header_.unique};
    if (write(device_, &out, sizeof(out)) < 0 && errno != ENOENT) {
      _exit(5);
    }
  }

  const int device_;
  const std::string content_;
  const std::string silent_to_;
  int* const silences_;
  fuse_in_header header_ = {};
};

// Mounts the overlay while the server answers; ends with the errno of what failed.
[[noreturn]] void MountOverlay(const std::string& dir, bool hidden) {
  const std::string layers = "lowerdir=" + dir + "/fuse:" + dir + "/empty";
  const bool ok =
      mount("overlay", (dir + "/merged").c_str(), "overlay", MS_RDONLY, layers.c_str()) == 0 &&
      (!hidden || umount2((dir + "/fuse").c_str(), MNT_DETACH) == 0);
  _exit(ok ? 0 : errno);
}

}  // namespace

std::unique_ptr<StallingFilesystem> StallingFilesystem::Start(const Options& options,
                                                              std::string& error) {
  std::unique_ptr<StallingFilesystem> made(new StallingFilesystem());
  void* shared =
      mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  made->silences_ = static_cast<int*>(shared);
  const std::string dir = made->dir_.path();
  for (const char* name : {"fuse", "empty", "merged"}) {
    std::filesystem::create_directory(dir + "/" + name);
  }
  const std::string content = ReadFile(options.program);
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) {
    error = strerror(errno);
    return nullptr;
  }
  made->pid_ = fork();
  if (made->pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ready[0]);
    const int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    const std::string data =
        "fd=" + std::to_string(device) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
    if (device < 0 || unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("vedette-test", (dir + "/fuse").c_str(), "fuse", MS_NODEV, data.c_str()) != 0) {
      _exit(errno);
    }
    const pid_t mounter = fork();
    if (mounter == 0) {
      MountOverlay(dir, options.hidden);
    }
    if (fork() == 0) {
      // Says whether the overlay stands, while this process serves what its mounting asks.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      Server(device, content, options.silent_to, made->silences_).Run();
      _exit(0);
    }
    int status = 0;
    waitpid(mounter, &status, 0);
    const char answer = static_cast<char>(WIFEXITED(status) ? WEXITSTATUS(status) : EIO);
    if (write(ready[1], &answer, 1) != 1) {
      _exit(EIO);
    }
    close(device);
    waitpid(-1, &status, 0);
    _exit(0);
  }
  close(ready[1]);
  char answer = 0;
  const ssize_t got = read(ready[0], &answer, 1);
  close(ready[0]);
  if (got == 1 && answer == 0) {
    return made;
  }
  error = got == 1 ? std::string("overlay on FUSE: ") + strerror(answer)
                   : std::string("the FUSE filesystem could not be mounted");
  return nullptr;
}

StallingFilesystem::~StallingFilesystem() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);  // And so its child, the server, with which the filesystem ends.
    waitpid(pid_, nullptr, 0);
  }
  munmap(silences_, sizeof(int));
}

int StallingFilesystem::silences() const { return __atomic_load_n(silences_, __ATOMIC_SEQ_CST); }

}  // namespace vedette::testing
