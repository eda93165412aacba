// SPDX-License-Identifier: Apache-2.0
// The acts of vedette_actor that execute code without a file that others could open.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
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
