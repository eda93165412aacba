// SPDX-License-Identifier: Apache-2.0
// The acts of vedette_actor that open files.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/actor.h"

#define COMPAT_OPEN 5 /* open() of 32 bit programs */

static int open_compat(const char* path) {
  // The path must be where 32 bits reach.
  char* low =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (low == MAP_FAILED) fail("mmap");
  snprintf(low, 4096, "%s", path);
  long result = COMPAT_OPEN;
  __asm__ volatile("int $0x80"
                   : "+a"(result)
                   : "b"(low), "c"((long)(O_WRONLY | O_CREAT)), "d"(0644L)
                   : "memory", "r8", "r9", "r10", "r11");
  munmap(low, 4096);
  if ((int)result < 0) errno = -(int)result;
  return (int)result < 0 ? -1 : (int)result;
}

/* By the file's handle, without its path. The current directory is on the same filesystem. */
static int open_handle(const char* path) {
  struct file_handle* handle = calloc(1, sizeof(*handle) + MAX_HANDLE_SZ);
  int mount, fd, at;

  if (!handle) fail("calloc");
  handle->handle_bytes = MAX_HANDLE_SZ;
  if (name_to_handle_at(AT_FDCWD, path, handle, &mount, 0) != 0) fail("name_to_handle_at");
  at = open("/proc/self/cwd", O_RDONLY | O_DIRECTORY);
  if (at < 0) fail("/proc/self/cwd");
  fd = open_by_handle_at(at, handle, O_WRONLY);
  close(at);
  free(handle);
  return fd;
}

/* By an io_uring: in this task, by a worker (IOSQE_ASYNC), or by a thread that polls the ring. */
static int open_uring(const char* path, unsigned char how, unsigned setup) {
  struct io_uring_params params = {.flags = setup};
  int ring = (int)syscall(SYS_io_uring_setup, 1, &params);
  if (ring < 0) fail("io_uring_setup");
  char* queue = mmap(NULL, params.sq_off.array + params.sq_entries * sizeof(unsigned),
                     PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
  char* done = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe),
                    PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
  struct io_uring_sqe* entry = mmap(NULL, params.sq_entries * sizeof(*entry),
                                    PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
  if (queue == MAP_FAILED || done == MAP_FAILED || entry == MAP_FAILED) fail("mmap");
  memset(entry, 0, sizeof(*entry));
  entry->opcode = IORING_OP_OPENAT;
  entry->flags = how;
  entry->fd = AT_FDCWD;
  entry->addr = (unsigned long)path;
  entry->len = 0644;
  entry->open_flags = O_WRONLY | O_CREAT;
  *(unsigned*)(queue + params.sq_off.array) = 0;
  __atomic_store_n((unsigned*)(queue + params.sq_off.tail), 1, __ATOMIC_SEQ_CST);
  if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, NULL,
              0) < 0)
    fail("io_uring_enter");
  int result = ((struct io_uring_cqe*)(done + params.cq_off.cqes))->res;
  close(ring);
  if (result < 0) errno = -result;
  return result < 0 ? -1 : result;
}

static int open_how(const char* how, const char* path) {
  struct open_how by = {.flags = O_WRONLY | O_CREAT, .mode = 0644};
  if (strcmp(how, "creat") == 0) return creat(path, 0644);
  if (strcmp(how, "openat2") == 0)
    return (int)syscall(SYS_openat2, AT_FDCWD, path, &by, sizeof(by));
  if (strcmp(how, "tmpfile") == 0) return open(path, O_WRONLY | O_TMPFILE, 0644);
  if (strcmp(how, "read-create") == 0) return open(path, O_RDONLY | O_CREAT, 0644);
  if (strcmp(how, "read") == 0) return open(path, O_RDONLY);
  if (strcmp(how, "path") == 0) return open(path, O_PATH);
  if (strcmp(how, "compat") == 0) return open_compat(path);
  if (strcmp(how, "handle") == 0) return open_handle(path);
  if (strcmp(how, "uring") == 0) return open_uring(path, 0, 0);
  if (strcmp(how, "uring-async") == 0) return open_uring(path, IOSQE_ASYNC, 0);
  if (strcmp(how, "uring-poll") == 0) return open_uring(path, 0, IORING_SETUP_SQPOLL);
  errno = EINVAL;
  return -1;
}

void act_open(char** fields, int count) {
  if (count < 3) {
    errno = EINVAL;
    fail("open");
  }
  int fd = open_how(fields[1], fields[2]);
  if (fd < 0) fail(fields[2]);
  close(fd);
  printf("open done=1\n");
}
