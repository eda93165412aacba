// SPDX-License-Identifier: Apache-2.0
// The acts of vedette_actor that open files.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
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
