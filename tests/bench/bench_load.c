// SPDX-License-Identifier: Apache-2.0
// The loads that bench_overhead measures. One static binary. Each load prints one line
// "OPERATIONS CPU_NS WALL_NS"; processor time is that of the process and of its reaped children, as
// getrusage has it, so work that the kernel does in their name counts and the agent's does not.
// bench_load LOAD [ARGUMENT]... ; what cannot be done ends with 1 and one line on stderr.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DESTINATIONS                                                           \
  16 /* loopback addresses, so that closed connections do not use up the ports \
      */
#define CLIENTS 2
#define CONNECTIONS 8             /* of one client */
#define REQUESTS_ON_CONNECTION 64 /* then it is closed and made anew */
#define REQUEST_BYTES 128
#define RESPONSE_BYTES 1024

static _Noreturn void fail(const char* what) {
  fprintf(stderr, "bench_load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t clock_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int64_t rusage_ns(int who) {
  struct rusage usage;
  getrusage(who, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000LL +
         (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL;
}

static int64_t cpu_ns(void) { return rusage_ns(RUSAGE_SELF) + rusage_ns(RUSAGE_CHILDREN); }

// Repeats `operation` in batches until `ms` have passed, then prints the line.
static void repeat(long ms, long batch, void (*operation)(void)) {
  int64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = cpu_ns(), end = wall + ms * 1000000LL, now;
  long done = 0;
  do {
    for (long i = 0; i < batch; i++) operation();
    done += batch;
    now = clock_ns(CLOCK_MONOTONIC);
  } while (now < end);
  printf("%ld %lld %lld\n", done, (long long)(cpu_ns() - cpu), (long long)(now - wall));
}

static const char* self;

static void do_getpid(void) { syscall(SYS_getpid); }

static void do_open(void) {
  int fd = open(self, O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(self);
  close(fd);
}

static const char* directory;

// A name that was never there before.
static void do_create(void) {
  static unsigned long next;
  char path[256];
  snprintf(path, sizeof(path), "%s/request-%d-%lu.tmp", directory, getpid(), next++);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) fail(path);
  close(fd);
  if (unlink(path) != 0) fail(path);
}

static void run(const char* path) {
  int status;
  pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    execl(path, path, "nothing", (char*)NULL);
    _exit(127);
  }
  if (waitpid(pid, &status, 0) != pid || status != 0) fail(path);
}

static void do_exec(void) { run(self); }

static int listener = -1;
static unsigned short port;

static struct sockaddr_in address_of(unsigned host) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(host);
  return address;
}

static void start_listening(const char* text) {
  const int yes = 1;
  port = (unsigned short)atoi(text);
  struct sockaddr_in address = address_of(INADDR_ANY);
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (bind(listener, (struct sockaddr*)&address, sizeof(address)) != 0) fail("bind");
  if (listen(listener, 1024) != 0) fail("listen");
}

static int connect_next(void) {
  static unsigned next;
  struct sockaddr_in to = address_of(INADDR_LOOPBACK + next++ % DESTINATIONS);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr*)&to, sizeof(to)) != 0) fail("connect");
  return fd;
}

static void do_tcp(void) {
  int client = connect_next();
  int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (server < 0) fail("accept");
  close(client);
  close(server);
}

static void transfer_all(int fd, char* bytes, size_t size, int sending) {
  for (size_t done = 0; done < size;) {
    ssize_t n = sending ? send(fd, bytes + done, size - done, MSG_NOSIGNAL)
                        : recv(fd, bytes + done, size - done, 0);
    if (n <= 0) fail(sending ? "send" : "recv");
    done += (size_t)n;
  }
}

// Sends one request on each connection, then takes the responses, until `end`.
static _Noreturn void be_client(int64_t end, int result) {
  int fds[CONNECTIONS];
  char request[REQUEST_BYTES] = "request", response[RESPONSE_BYTES];
  long done = 0;
  for (int i = 0; i < CONNECTIONS; i++) fds[i] = -1;
  while (clock_ns(CLOCK_MONOTONIC) < end) {
    for (int i = 0; i < CONNECTIONS; i++) {
      if (done / CONNECTIONS % REQUESTS_ON_CONNECTION == 0) {
        if (fds[i] >= 0) close(fds[i]);
        fds[i] = connect_next();
      }
      transfer_all(fds[i], request, sizeof(request), 1);
    }
    for (int i = 0; i < CONNECTIONS; i++) transfer_all(fds[i], response, sizeof(response), 0);
    done += CONNECTIONS;
  }
  if (write(result, &done, sizeof(done)) != sizeof(done)) fail("write");
  _exit(0);
}

static void watch(int epoll, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

static void answer(int fd) {
  char request[REQUEST_BYTES], response[RESPONSE_BYTES] = "response";
  ssize_t n = recv(fd, request, sizeof(request), MSG_WAITALL);
  if (n == (ssize_t)sizeof(request))
    transfer_all(fd, response, sizeof(response), 1);
  else
    close(fd);
}

// The server; ends when all clients have.
static void load_server(long ms) {
  int64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = cpu_ns();
  int result[2], epoll = epoll_create1(EPOLL_CLOEXEC);
  long total = 0, done;
  if (epoll < 0 || pipe2(result, O_CLOEXEC) != 0) fail("pipe");
  for (int i = 0; i < CLIENTS; i++) {
    pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      be_client(wall + ms * 1000000LL, result[1]);
    }
  }
  close(result[1]);
  watch(epoll, listener);
  watch(epoll, result[0]);
  for (int left = CLIENTS; left > 0;) {
    struct epoll_event events[64];
    int n = epoll_wait(epoll, events, 64, 10000);
    if (n == 0) {
      errno = ETIMEDOUT;
      fail("no client speaks");
    }
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        watch(epoll, accept4(listener, NULL, NULL, SOCK_CLOEXEC));
      } else if (fd == result[0]) {
        if (read(fd, &done, sizeof(done)) != sizeof(done)) fail("a client failed");
        total += done;
        left--;
      } else {
        answer(fd);
      }
    }
  }
  for (int i = 0; i < CLIENTS; i++) wait(NULL);
  printf("%ld %lld %lld\n", total, (long long)(cpu_ns() - cpu),
         (long long)(clock_ns(CLOCK_MONOTONIC) - wall));
}

// Each file of a directory once; they are called 0, 1, ...
static void load_distinct(const char* dir, long count) {
  char path[4096];
  int64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = cpu_ns();
  for (long i = 0; i < count; i++) {
    snprintf(path, sizeof(path), "%s/%ld", dir, i);
    run(path);
  }
  printf("%ld %lld %lld\n", count, (long long)(cpu_ns() - cpu),
         (long long)(clock_ns(CLOCK_MONOTONIC) - wall));
}

// A few behaviours of a small service.
static void load_few(void) {
  for (int i = 0; i < 4; i++) {
    do_exec();
    do_tcp();
  }
  printf("8 0 0\n");
}

int main(int argc, char** argv) {
  const char* load = argc > 1 ? argv[1] : "";
  long number = argc > 2 ? atol(argv[2]) : 0;
  self = argv[0];
  if (strcmp(load, "nothing") == 0) return 0;
  if (argc > 3 && strcmp(load, "create") == 0)
    directory = argv[3];
  else if (argc > 3 && strcmp(load, "distinct") != 0)
    start_listening(argv[3]);
  if (strcmp(load, "getpid") == 0)
    repeat(number, 1000, do_getpid);
  else if (strcmp(load, "open") == 0)
    repeat(number, 100, do_open);
  else if (strcmp(load, "create") == 0 && directory)
    repeat(number, 10, do_create);
  else if (strcmp(load, "exec") == 0)
    repeat(number, 1, do_exec);
  else if (strcmp(load, "tcp") == 0 && listener >= 0)
    repeat(number, 1, do_tcp);
  else if (strcmp(load, "server") == 0 && listener >= 0)
    load_server(number);
  else if (strcmp(load, "few") == 0 && listener >= 0)
    load_few();
  else if (strcmp(load, "distinct") == 0 && argc > 3)
    load_distinct(argv[3], number);
  else
    return fprintf(stderr, "bench_load: wrong arguments\n"), 1;
  return 0;
}
