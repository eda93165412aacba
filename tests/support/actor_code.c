// SPDX-License-Identifier: Apache-2.0
// The acts of vedette_actor that execute code without a file that others could open.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "tests/support/actor.h"

static void copy_self_to(int fd) {
  int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (self < 0) fail("/proc/self/exe");
  for (ssize_t n; (n = sendfile(fd, self, NULL, 1 << 20)) != 0;) {
    if (n < 0) fail("sendfile");
  }
  close(self);
}

static void execute(int fd, char* what) {
  pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    char* argv[] = {what, "nothing", NULL};
    char* environment[] = {NULL};
    fexecve(fd, argv, environment);
    _exit(errno);
  }
  reap(pid, what);
}

void act_memfd_exec(char** fields, int count) {
  (void)fields;
  (void)count;
  int fd = memfd_create("vedette-actor", MFD_CLOEXEC);
  if (fd < 0) fail("memfd_create");
  copy_self_to(fd);
  execute(fd, "memfd");
  printf("memfd-exec done=1\n");
}

// A copy of itself that is removed before it is executed.
void act_deleted_exec(char** fields, int count) {
  if (count < 2) {
    errno = EINVAL;
    fail("deleted-exec");
  }
  int to = open(fields[1], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
  if (to < 0) fail(fields[1]);
  copy_self_to(to);
  close(to);
  int fd = open(fields[1], O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(fields[1]);
  if (unlink(fields[1]) != 0) fail("unlink");
  execute(fd, "deleted");
  printf("deleted-exec done=1\n");
}

// A handle of this program on a mount that is in no tree any more. `directory`: where it may make
// an empty file for that.
static int detached_self(const char* directory) {
  char place[PATH_MAX];
  snprintf(place, sizeof(place), "%s/copy.XXXXXX", directory);
  int at = mkstemp(place);
  if (at < 0) fail(place);
  close(at);
  if (mount("/proc/self/exe", place, "", MS_BIND, "") != 0) fail("mount");
  int fd = open(place, O_PATH | O_CLOEXEC);
  if (fd < 0) fail(place);
  if (umount2(place, MNT_DETACH) != 0) fail("umount2");
  unlink(place);
  return fd;
}

// A runtime does so that what it starts cannot write to it: a bind mount of the program that is
// taken out again, or a copy in memory, is executed in this process.
void act_again(char** fields, int count) {
  const char* what = count > 1 ? fields[1] : "itself";
  int fd;
  if (strcmp(what, "itself") == 0) {
    fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
  } else if (strcmp(what, "memory") == 0) {
    fd = memfd_create("vedette-actor", MFD_CLOEXEC);
    if (fd >= 0) copy_self_to(fd);
  } else {
    fd = detached_self(what);
  }
  if (fd < 0) fail(what);
  // Where the acts end that were done stands the program's name.
  remaining_acts[-1] = fields[0];
  fflush(stdout);
  fexecve(fd, remaining_acts - 1, environ);
  fail("fexecve");
}

void act_stage(char** fields, int count) {
  (void)count;
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) return;
  reap(pid, fields[0]);
  exit(0);
}

// With it the process has another root: a copy of the mount that was its root.
void act_own_mounts(char** fields, int count) {
  (void)count;
  if (unshare(CLONE_NEWNS) != 0) fail(fields[0]);
  if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) fail("mount");
}

void act_place(char** fields, int count) {
  char path[PATH_MAX];
  if (count < 3) {
    errno = EINVAL;
    fail(fields[0]);
  }
  snprintf(path, sizeof(path), "%s/cgroup.procs", fields[2]);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, fields[1], strlen(fields[1])) < 0) fail(path);
  close(fd);
  printf("place done=1\n");
}
