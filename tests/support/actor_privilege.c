// SPDX-License-Identifier: Apache-2.0
// The acts of vedette_actor that need a privilege.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/actor.h"

void act_setuid(char** fields, int count) {
  uid_t uid = (uid_t)number(fields, count, 1, 65534);
  if (setresuid(uid, uid, uid) != 0) fail("setresuid");
  printf("setuid uid=%u\n", uid);
}

// The real group alone.
void act_setgid(char** fields, int count) {
  gid_t gid = (gid_t)number(fields, count, 1, 65534);
  if (setresgid(gid, (gid_t)-1, (gid_t)-1) != 0) fail("setresgid");
  printf("setgid gid=%u\n", gid);
}

void act_io_uring(char** fields, int count) {
  (void)fields;
  (void)count;
  struct io_uring_params params = {0};
  int fd = (int)syscall(SYS_io_uring_setup, 1, &params);
  if (fd < 0) fail("io_uring_setup");
  close(fd);
  printf("io-uring done=1\n");
}

void act_kill(char** fields, int count) {
  pid_t pid = (pid_t)number(fields, count, 1, 0);
  int signal_number = (int)number(fields, count, 2, SIGTERM);
  if (pid <= 0) {
    errno = EINVAL;
    fail("kill");
  }
  if (count > 3) {
    siginfo_t info = {.si_signo = signal_number,
                      .si_code = (int)number(fields, count, 3, SI_QUEUE)};
    if (syscall(SYS_rt_sigqueueinfo, pid, signal_number, &info) != 0) fail("rt_sigqueueinfo");
  } else if (kill(pid, signal_number) != 0) {
    fail("kill");
  }
  printf("kill signal=%d\n", signal_number);
}

void act_kill_child(char** fields, int count) {
  int signal_number = (int)number(fields, count, 1, SIGTERM);
  int status = 0;
  pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    for (;;) pause();
  }
  if (kill(pid, signal_number) != 0) fail("kill");
  if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status)) fail("waitpid");
  printf("kill-child signal=%d\n", WTERMSIG(status));
}

// Whether one is allowed to is said, and no failure.
void act_raw_socket(char** fields, int count) {
  const long times = number(fields, count, 1, 1);
  long opened = 0;
  for (long i = 0; i < times; i++) {
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    if (fd >= 0) {
      opened++;
      close(fd);
    } else if (errno != EPERM) {
      fail("raw socket");
    }
  }
  printf("raw-socket opened=%ld\n", opened);
}

void act_user_namespace(char** fields, int count) {
  (void)fields;
  (void)count;
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) fail("unshare");
  printf("user-namespace done=1\n");
}
