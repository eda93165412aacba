// SPDX-License-Identifier: Apache-2.0
// TCP flows to itself: one, and many whose changes of state interrupt others on their processor.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/actor.h"

void act_flow(char** fields, int count) {
  long bytes = number(fields, count, 1, 1);
  int server = listening(1, 0);
  int client = tcp_socket();
  struct sockaddr_in to = loopback(1, bound_port(server));
  if (connect(client, (struct sockaddr*)&to, sizeof(to)) != 0) fail("connect");
  int peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
  if (peer < 0) fail("accept");
  char buffer[4096] = {0};
  for (long left = bytes; left > 0;) {
    long chunk = left < (long)sizeof(buffer) ? left : (long)sizeof(buffer);
    if (write(client, buffer, (size_t)chunk) != chunk) fail("write");
    for (long got = 0; got < chunk;) {
      ssize_t n = read(peer, buffer, sizeof(buffer));
      if (n <= 0) fail("read");
      got += n;
    }
    left -= chunk;
  }
  close(client);
  close(peer);
  close(server);
  printf("flow bytes=%ld\n", bytes);
}

// The index-th processor that this process may run on.
static int processor(int index) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) fail("sched_getaffinity");
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (CPU_ISSET(cpu, &set) && index-- == 0) return cpu;
  }
  errno = ENODEV;
  fail("two processors");
}

static void run_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0) fail("sched_setaffinity");
}

// A network of its own, all packets of which one processor takes, told by an interrupt. The mount
// of sysfs is to show that network, and is seen by nobody else.
static void own_network(int taker) {
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) fail("unshare");
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) fail("mount --make-rprivate /");
  if (mount("sysfs", "/sys", "sysfs", 0, NULL) != 0) fail("mount /sys");
  struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  int fd = tcp_socket();
  if (ioctl(fd, SIOCSIFFLAGS, &lo) != 0) fail("lo up");
  close(fd);
  int steering = open("/sys/class/net/lo/queues/rx-0/rps_cpus", O_WRONLY | O_CLOEXEC);
  if (steering < 0 || dprintf(steering, "%x\n", 1u << taker) < 0) fail("rps_cpus");
  close(steering);
}

// Listeners that come and go: two changes of state each, in the process's own context. If told to,
// before all other tasks, so that it is this one that packets interrupt.
static _Noreturn void listen_and_close(int told, int is_first) {
  const struct sched_param first = {.sched_priority = 1};
  if (is_first && sched_setscheduler(0, SCHED_FIFO, &first) != 0) fail("sched_setscheduler");
  for (;;) {
    int fd = tcp_socket();
    if (listen(fd, 1) != 0) fail("listen");
    close(fd);
    if (told >= 0) {
      close(told);
      told = -1;
    }
  }
}

static void one_flow(const struct sockaddr_in* to, int listener) {
  char byte = 'x';
  int client = tcp_socket();
  if (connect(client, (const struct sockaddr*)to, sizeof(*to)) != 0) fail("connect");
  int server = accept(listener, NULL, NULL);
  if (server < 0) fail("accept");
  if (write(client, &byte, 1) != 1) fail("write");
  close(client);
  if (read(server, &byte, 1) != 1 || read(server, &byte, 1) != 0) fail("read");
  close(server);
}

void act_crossing(char** fields, int count) {
  const long times = number(fields, count, 1, 2000);
  const int taker = processor(0), maker = processor(1);
  own_network(taker);
  int begun[2];
  char none;
  if (pipe2(begun, O_CLOEXEC) != 0) fail("pipe2");
  pid_t other = fork();
  if (other < 0) fail("fork");
  if (other == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(begun[0]);
    run_on(taker);
    listen_and_close(begun[1], count > 2);
  }
  run_on(maker);
  close(begun[1]);
  if (read(begun[0], &none, 1) != 0) fail("wait for the other");
  struct sockaddr_in address = loopback(1, 0);
  int listener = tcp_socket();
  if (bind(listener, (struct sockaddr*)&address, sizeof(address)) != 0) fail("bind");
  if (listen(listener, 16) != 0) fail("listen");
  address.sin_port = htons((unsigned short)bound_port(listener));
  for (long i = 0; i < times; i++) one_flow(&address, listener);
  int status = 0;
  kill(other, SIGKILL);
  if (waitpid(other, &status, 0) != other) fail("waitpid");
  if (!WIFSIGNALED(status)) fail("the other has ended");
  printf("crossing port=%u\n", bound_port(listener));
}
