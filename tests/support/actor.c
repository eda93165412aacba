// SPDX-License-Identifier: Apache-2.0
// Does acts on request, so that a test knows exactly what the kernel saw. One static binary: the
// same on the machine, in a container and in a virtual machine. Each argument is one act,
// `name[:argument[:argument]]`; they are done in order. An act that could not be done ends the
// program with 1 and one line on stderr; what it counted goes to stdout, one line per act.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/actor.h"

#define MAX_FIELDS 4

char** remaining_acts;

struct act {
  const char* name;
  const char* help;
  void (*run)(char** fields, int count);
};

_Noreturn void fail(const char* what) {
  fprintf(stderr, "vedette_actor: %s: %s\n", what, strerror(errno));
  exit(1);
}

long number(char** fields, int count, int index, long fallback) {
  return index < count ? strtol(fields[index], NULL, 10) : fallback;
}

struct sockaddr_in loopback(unsigned host, long port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host);
  return address;
}

int tcp_socket(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  return fd;
}

// Of IPv6, too: the port is at the same place, and the kernel cuts what finds no room.
unsigned bound_port(int fd) {
  struct sockaddr_in address = {0};
  socklen_t size = sizeof(address);
  if (getsockname(fd, (struct sockaddr*)&address, &size) != 0) fail("getsockname");
  return ntohs(address.sin_port);
}

void reap(pid_t pid, const char* what) {
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) fail(what);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
  fail(what);
}

static void spawn(const char* path) {
  pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    execl(path, path, "nothing", (char*)NULL);
    _exit(errno);
  }
  reap(pid, path);
}

// Without a copy of the address space: for tens of thousands of them.
static void spawn_fast(const char* path) {
  char* argv[] = {(char*)path, "nothing", NULL};
  char* env[] = {NULL};
  pid_t pid;
  if ((errno = posix_spawn(&pid, path, NULL, NULL, argv, env)) != 0) fail(path);
  reap(pid, path);
}

static void act_nothing(char** fields, int count) {
  (void)fields;
  (void)count;
}

static void act_exec(char** fields, int count) {
  long times = number(fields, count, 1, 1);
  const char* path = count > 2 ? fields[2] : "/proc/self/exe";
  for (long i = 0; i < times; i++) spawn(path);
  printf("exec done=%ld\n", times);
}

static void act_spawn(char** fields, int count) {
  long times = number(fields, count, 1, 1);
  const char* path = count > 2 ? fields[2] : "/proc/self/exe";
  for (long i = 0; i < times; i++) spawn_fast(path);
  printf("spawn done=%ld\n", times);
}

// Executes each file of a directory once.
static void act_spawn_each(char** fields, int count) {
  DIR* dir = opendir(count > 1 ? fields[1] : ".");
  long done = 0;
  if (!dir) fail("opendir");
  for (struct dirent* entry; (entry = readdir(dir)) != NULL;) {
    char path[PATH_MAX];
    if (entry->d_type != DT_REG) continue;
    snprintf(path, sizeof(path), "%s/%s", fields[1], entry->d_name);
    spawn_fast(path);
    done++;
  }
  closedir(dir);
  printf("spawn-each done=%ld\n", done);
}

static void act_fork(char** fields, int count) {
  long times = number(fields, count, 1, 1);
  for (long i = 0; i < times; i++) {
    pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid == 0) _exit(0);
    reap(pid, "fork");
  }
  printf("fork done=%ld\n", times);
}

static void act_connect(char** fields, int count) {
  long port = number(fields, count, 1, 1);
  long times = number(fields, count, 2, 1);
  long failed = 0;
  for (long i = 0; i < times; i++) {
    int fd = tcp_socket();
    struct sockaddr_in to = loopback(1, port);
    if (connect(fd, (struct sockaddr*)&to, sizeof(to)) != 0) failed++;
    close(fd);
  }
  printf("connect ok=%ld failed=%ld\n", times - failed, failed);
}

// Ends each connection with a reset, so that no port waits two minutes for its next use.
static void act_connect_reset(char** fields, int count) {
  long port = number(fields, count, 1, 1);
  long times = number(fields, count, 2, 1);
  const struct linger reset = {.l_onoff = 1};
  long failed = 0;
  for (long i = 0; i < times; i++) {
    int fd = tcp_socket();
    struct sockaddr_in to = loopback(1, port);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    if (connect(fd, (struct sockaddr*)&to, sizeof(to)) != 0) failed++;
    close(fd);
  }
  printf("connect-reset ok=%ld failed=%ld\n", times - failed, failed);
}

static void act_connect6(char** fields, int count) {
  long times = number(fields, count, 2, 1);
  const char* host = count > 3 ? fields[3] : "";
  struct sockaddr_in6 to = {.sin6_family = AF_INET6};
  to.sin6_port = htons((unsigned short)number(fields, count, 1, 1));
  to.sin6_addr = in6addr_loopback;
  if (strcmp(host, "mapped") == 0) inet_pton(AF_INET6, "::ffff:127.0.0.1", &to.sin6_addr);
  long failed = 0;
  for (long i = 0; i < times; i++) {
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    if (connect(fd, (struct sockaddr*)&to, sizeof(to)) != 0) failed++;
    close(fd);
  }
  printf("connect6 ok=%ld failed=%ld\n", times - failed, failed);
}

static int listening_beside(int bind_first, long port, int is_shared) {
  int fd = tcp_socket();
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &is_shared, sizeof(is_shared)) != 0) fail("shared");
  struct sockaddr_in address = loopback(1, port);
  if (bind_first && bind(fd, (struct sockaddr*)&address, sizeof(address)) != 0) fail("bind");
  if (listen(fd, 128) != 0) fail("listen");
  printf("listen port=%u\n", bound_port(fd));
  fflush(stdout);
  return fd;
}

int listening(int bind_first, long port) { return listening_beside(bind_first, port, 0); }

// Without a bind the kernel picks the port, and no bind hook sees it. The socket stays open.
static void act_listen(char** fields, int count) {
  (void)fields;
  (void)count;
  listening(0, 0);
}

static void act_bind(char** fields, int count) { listening(1, number(fields, count, 1, 0)); }

// Accepts connections and closes each after the peer has.
static void act_serve(char** fields, int count) {
  long times = number(fields, count, 1, 1);
  int fd = listening_beside(1, number(fields, count, 2, 0), count > 3);
  for (long i = 0; i < times; i++) {
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0) fail("accept");
    char buffer[4096];
    while (read(peer, buffer, sizeof(buffer)) > 0) {
    }
    close(peer);
  }
  close(fd);
  printf("serve done=%ld\n", times);
}

// Listens, connects to itself and sends bytes over: every step of a TCP flow from one process.
static void* thread_nothing(void* arg) { return arg; }

static void act_thread(char** fields, int count) {
  long times = number(fields, count, 1, 1);
  for (long i = 0; i < times; i++) {
    pthread_t thread;
    if ((errno = pthread_create(&thread, NULL, thread_nothing, NULL)) != 0) fail("pthread_create");
    pthread_join(thread, NULL);
  }
  printf("thread done=%ld\n", times);
}

static void* thread_exec(void* path) {
  execl(path, path, "nothing", (char*)NULL);
  fail(path);
}

// A thread that is not the leader executes: the kernel gives it the leader's thread id. In a child,
// so that the acts after this one are still done.
static void act_thread_exec(char** fields, int count) {
  pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    pthread_t thread;
    char* path = count > 1 ? fields[1] : "/proc/self/exe";
    if ((errno = pthread_create(&thread, NULL, thread_exec, path)) != 0) fail("pthread_create");
    pthread_join(thread, NULL);
    _exit(1);
  }
  reap(pid, "thread-exec");
  printf("thread-exec done=1\n");
}

static void* thread_last(void* arg) {
  pthread_join(*(pthread_t*)arg, NULL);
  exit(0);
}

// The leader ends first, the other thread ends the process.
static void act_leader_exit(char** fields, int count) {
  (void)fields;
  (void)count;
  pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    static pthread_t leader;
    pthread_t thread;
    leader = pthread_self();
    if ((errno = pthread_create(&thread, NULL, thread_last, &leader)) != 0) fail("pthread_create");
    pthread_exit(NULL);
  }
  reap(pid, "leader-exit");
  printf("leader-exit done=1\n");
}

// All threads of a child end at one moment, each by itself: which is the last is a race.
static pthread_barrier_t together;

static void* thread_together(void* arg) {
  (void)arg;
  pthread_barrier_wait(&together);
  syscall(SYS_exit, 0);
  return NULL;
}

static void act_exit_together(char** fields, int count) {
  const long times = number(fields, count, 1, 1);
  for (long i = 0; i < times; i++) {
    pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid == 0) {
      enum { kThreads = 4 };
      pthread_t thread;
      pthread_barrier_init(&together, NULL, kThreads);
      for (int t = 1; t < kThreads; t++) {
        if ((errno = pthread_create(&thread, NULL, thread_together, NULL)) != 0)
          fail("pthread_create");
      }
      thread_together(NULL);
    }
    reap(pid, "exit-together");
  }
  printf("exit-together done=%ld\n", times);
}

// A TCP connection to any address, whatever becomes of it.
static void act_reach(char** fields, int count) {
  struct sockaddr_in to = {.sin_family = AF_INET};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) fail("socket");
  to.sin_port = htons((uint16_t)number(fields, count, 2, 80));
  if (count < 2 || inet_pton(AF_INET, fields[1], &to.sin_addr) != 1) {
    errno = EINVAL;
    fail("reach");
  }
  connect(fd, (struct sockaddr*)&to, sizeof(to));
  close(fd);
  printf("reach done=1\n");
}

// Until a line or the end of stdin: the test says when to go on.
void wait_for_line(const char* what) {
  printf("%s pid=%d\n", what, getpid());
  fflush(stdout);
  for (char c = 0; c != '\n' && read(STDIN_FILENO, &c, 1) == 1;) {
  }
}

static void act_wait(char** fields, int count) {
  (void)fields;
  (void)count;
  wait_for_line("wait");
}

// Until a signal ends it, whatever stdin is: the first process of a container.
static void act_pause(char** fields, int count) {
  (void)fields;
  (void)count;
  for (;;) pause();
}

static void act_become(char** fields, int count) {
  if (count < 2) {
    errno = EINVAL;
    fail("become");
  }
  fflush(stdout);
  execl(fields[1], fields[1], count > 2 ? fields[2] : (char*)NULL, (char*)NULL);
  fail(fields[1]);
}

static void act_exit(char** fields, int count) { exit((int)number(fields, count, 1, 0)); }

static const struct act kActs[] = {
    {"exec", "exec[:TIMES[:PATH]]        children that execute PATH (itself)", act_exec},
    {"memfd-exec", "memfd-exec                 executes itself from memory", act_memfd_exec},
    {"deleted-exec", "deleted-exec:PATH          executes a copy that it has removed",
     act_deleted_exec},
    {"spawn", "spawn[:TIMES[:PATH]]       the same by posix_spawn, fast", act_spawn},
    {"spawn-each", "spawn-each:DIRECTORY       execute each of its files once", act_spawn_each},
    {"fork", "fork[:TIMES]               children that only exit", act_fork},
    {"connect", "connect:PORT[:TIMES]       TCP to 127.0.0.1", act_connect},
    {"connect-reset", "connect-reset:PORT[:TIMES] the same, ended by a reset", act_connect_reset},
    {"connect6", "connect6:PORT[:TIMES[:mapped]]  TCP to ::1 or ::ffff:127.0.0.1", act_connect6},
    {"reach", "reach:ADDRESS[:PORT]       TCP to any IPv4 address, without an outcome", act_reach},
    {"udp", "udp[:DESTINATIONS[:PORT]]  a datagram to each of 127.0.0.1, 127.0.0.2, ...", act_udp},
    {"udp-connect", "udp-connect[:PORT]         a byte over a connected socket", act_udp_connect},
    {"udp-open", "udp-open[:PORT]            the same, and the socket stays open", act_udp_open},
    {"udp-server", "udp-server                 hear two clients, then answer both", act_udp_server},
    {"udp-answer", "udp-answer[:TIMES]         hear so many datagrams, then answer each",
     act_udp_answer},
    {"udp-pair", "udp-pair[:BYTES[:BYTES]]   a datagram to itself and one back", act_udp_pair},
    {"udp6", "udp6:HOW                   [mapped-]sendto, [mapped-]connect or dual", act_udp6},
    {"udp-case", "udp-case:NAME              unbound, two, dissolve or options", act_udp_case},
    {"dns", "dns[:spoof|:later|:fail|:at:HOST] asks 127.0.0.2:53, which it plays itself", act_dns},
    {"dns-flood", "dns-flood[:TIMES]          unanswered queries to 127.0.0.2:53", act_dns_flood},
    {"listen", "listen                     TCP without bind, stays open", act_listen},
    {"bind", "bind[:PORT]                TCP bind and listen, stays open", act_bind},
    {"serve", "serve[:TIMES[:PORT[:shared]]]  accept connections, read each to its end", act_serve},
    {"flow", "flow[:BYTES]               a TCP flow to itself", act_flow},
    {"crossing",
     "crossing[:TIMES[:first]]   flows of a byte whose packets interrupt others' changes",
     act_crossing},
    {"setuid", "setuid[:UID]               drop to UID (65534)", act_setuid},
    {"setgid", "setgid[:GID]               only the real group becomes GID (65534)", act_setgid},
    {"thread", "thread[:TIMES]             threads that only end", act_thread},
    {"thread-exec", "thread-exec[:PATH]         a child whose second thread executes",
     act_thread_exec},
    {"leader-exit", "leader-exit                a child whose leader ends first", act_leader_exit},
    {"exit-together", "exit-together[:TIMES]      a child whose threads end at once",
     act_exit_together},
    {"io-uring", "io-uring                   create an io_uring and close it", act_io_uring},
    {"kill", "kill:PID[:SIGNAL[:CODE]]   a signal (15), with CODE as the si_code of its own",
     act_kill},
    {"kill-child", "kill-child[:SIGNAL]        end a child of its own by a signal (15)",
     act_kill_child},
    {"raw-socket", "raw-socket[:TIMES]         open raw sockets (CAP_NET_RAW)", act_raw_socket},
    {"user-namespace", "user-namespace             enter a user and a network namespace",
     act_user_namespace},
    {"open",
     "open:HOW:PATH              creat, openat2, tmpfile, read-create, read, path, compat, handle,"
     "\n                             uring, uring-async, uring-poll",
     act_open},
    {"wait", "wait                       until a line or the end of stdin", act_wait},
    {"pause", "pause                      until a signal", act_pause},
    {"become", "become:PATH[:ARGUMENT]     execute PATH in this process", act_become},
    {"again", "again:itself|memory|DIR    execute itself, or a copy of itself, for the acts left",
     act_again},
    {"place", "place:PID:DIR              moves a process to the cgroup DIR", act_place},
    {"own-mounts", "own-mounts                 goes to a mount namespace of its own",
     act_own_mounts},
    {"stage", "stage                      leave the acts left to a child", act_stage},
    {"exit", "exit[:CODE]                end here", act_exit},
    {"nothing", "nothing                    do nothing", act_nothing},
};

static int usage(const char* unknown) {
  if (unknown) fprintf(stderr, "vedette_actor: unknown act '%s'; the acts are:\n", unknown);
  for (size_t i = 0; i < sizeof(kActs) / sizeof(kActs[0]); i++) {
    fprintf(unknown ? stderr : stdout, "  %s\n", kActs[i].help);
  }
  return unknown ? 2 : 0;
}

static const struct act* find(const char* name) {
  for (size_t i = 0; i < sizeof(kActs) / sizeof(kActs[0]); i++) {
    if (strcmp(kActs[i].name, name) == 0) return &kActs[i];
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc < 2 || strcmp(argv[1], "--help") == 0) return usage(NULL);
  for (int i = 1; i < argc; i++) {
    char* fields[MAX_FIELDS] = {0};
    int count = 0;
    for (char* rest = argv[i]; rest && count < MAX_FIELDS; count++) {
      fields[count] = strsep(&rest, ":");
    }
    const struct act* act = find(fields[0]);
    if (!act) return usage(fields[0]);
    remaining_acts = argv + i + 1;
    act->run(fields, count);
    fflush(stdout);
  }
  return 0;
}
