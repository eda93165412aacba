/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* The kernel's types, with only the fields that are read; CO-RE finds where they are. The build
 * never reads the build machine's kernel. */

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#ifndef NULL
#define NULL ((void*)0)
#endif
typedef _Bool bool;
#define true 1
#define false 0

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
  unsigned int inum;
};

struct pid_namespace {
  unsigned int level;
  struct ns_common ns;
};

struct mnt_namespace {
  struct ns_common ns;
};

struct net {
  struct ns_common ns;
};

typedef struct {
  struct net* net;
} possible_net_t;

struct user_namespace {
  int level; /* 0: the first one */
  struct ns_common ns;
};

struct nsproxy {
  struct mnt_namespace* mnt_ns;
  struct pid_namespace* pid_ns_for_children;
  struct net* net_ns;
};

struct upid {
  int nr;
  struct pid_namespace* ns;
};

struct pid {
  unsigned int level;
  struct upid numbers[1];
};

typedef struct {
  unsigned int val;
} kuid_t;

typedef struct {
  unsigned int val;
} kgid_t;

struct cred {
  kuid_t uid;
  kgid_t gid;
  kuid_t euid;
  kgid_t egid;
  struct user_namespace* user_ns;
};

struct qstr {
  union {
    struct {
      __u32 hash;
      __u32 len;
    };
    __u64 hash_len;
  };
  const unsigned char* name;
};

struct super_block {
  __u32 s_dev;
  unsigned long s_flags;
  unsigned long s_magic;
  unsigned long s_iflags;
};

struct timespec64 {
  __s64 tv_sec;
  long tv_nsec;
};

struct inode {
  unsigned short i_mode;
  __u32 i_rdev;
  struct super_block* i_sb;
  unsigned long i_ino;
  unsigned int i_nlink;
  __u32 i_generation;
  __s64 i_size;
};

struct dentry {
  struct dentry* d_parent;
  struct qstr d_name;
  struct inode* d_inode;
};

struct vfsmount {
  struct dentry* mnt_root;
  struct super_block* mnt_sb;
};

struct mnt_namespace;

struct mount {
  int mnt_id;
  struct mount* mnt_parent;
  struct dentry* mnt_mountpoint;
  struct vfsmount mnt;
  struct mnt_namespace* mnt_ns; /* NULL: taken out of every tree */
};

struct path {
  struct vfsmount* mnt;
  struct dentry* dentry;
};

struct fs_struct {
  struct path root;
};

struct file {
  unsigned int f_mode;
  unsigned int f_flags;
  struct path f_path;
  struct inode* f_inode;
  void* private_data;
};

struct fdtable {
  unsigned int max_fds;
  struct file** fd;
};

struct files_struct {
  struct fdtable* fdt;
};

struct thread_info {
  unsigned long flags;
  __u32 status;
};

struct pt_regs {
  unsigned long orig_ax;
};

struct linux_binprm {
  struct file* file;
  const char* filename;
  const char* interp;
  unsigned int secureexec : 1;
};

struct mm_struct {
  struct file* exe_file;
  unsigned long arg_start;
  unsigned long arg_end;
};

struct kernfs_node {
  const char* name;
  __u64 id;
};

struct cgroup_root {
  int hierarchy_id;
};

struct cgroup {
  struct kernfs_node* kn;
  struct cgroup_root* root;
};

struct css_set {
  struct cgroup* dfl_cgrp;
};

struct tty_driver {
  int major;
  int minor_start;
};

struct tty_struct {
  struct tty_driver* driver;
  int index;
};

typedef struct {
  int counter;
} atomic_t;

struct signal_struct {
  atomic_t live;
  struct tty_struct* tty;
};

struct task_struct {
  struct thread_info thread_info;
  void* stack;
  struct files_struct* files;
  unsigned int flags;
  int pid;
  int tgid;
  int exit_code;
  char comm[16];
  struct task_struct* group_leader;
  struct task_struct* real_parent;
  struct mm_struct* mm;
  const struct cred* real_cred;
  const struct cred* cred;
  struct nsproxy* nsproxy;
  struct css_set* cgroups;
  struct signal_struct* signal;
  struct fs_struct* fs;
  struct pid* thread_pid;
  __u64 start_boottime;
};

struct in6_addr {
  union {
    __u8 u6_addr8[16];
  } in6_u;
};

typedef struct {
  long long counter;
} atomic64_t;

struct sock_common {
  unsigned short skc_family;
  volatile unsigned char skc_state;
  unsigned long skc_flags;
  possible_net_t skc_net;
  __be32 skc_daddr;
  __be32 skc_rcv_saddr;
  __be16 skc_dport;
  __u16 skc_num;
  int skc_bound_dev_if;
  atomic64_t skc_cookie;
  struct in6_addr skc_v6_daddr;
  struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
  struct sock_common __sk_common;
  __u16 sk_protocol;
  __u16 sk_type;
  int sk_err;
  __u8 sk_userlocks : 4;
};

struct inet_sock {
  __be16 inet_sport;
};

struct socket {
  struct sock* sk;
};

struct tcp_sock {
  __u32 srtt_us;
  __u32 segs_in;
  __u32 segs_out;
  __u64 bytes_received;
  __u64 bytes_sent;
  __u64 bytes_retrans;
  __u32 total_retrans;
};

struct module {
  char name[56];
  unsigned long taints;
};

struct kernel_siginfo {
  int si_code;
};

struct bpf_map {
  __u32 max_entries;
};

struct bpf_iter_meta {
  struct seq_file* seq;
};

struct bpf_iter__task {
  struct bpf_iter_meta* meta;
  struct task_struct* task;
};

struct bpf_iter__task_file {
  struct bpf_iter_meta* meta;
  struct task_struct* task;
  __u32 fd;
  struct file* file;
};

struct bpf_iter__bpf_map_elem {
  struct bpf_iter_meta* meta;
  struct bpf_map* map;
  union {
    void* key;
  };
  union {
    void* value;
  };
};

struct bpf_iter__bpf_sk_storage_map {
  struct bpf_iter_meta* meta;
  struct bpf_map* map;
  struct sock* sk;
  union {
    void* value;
  };
};

#pragma clang attribute pop

#define E2BIG 7
#define EEXIST 17
#define PF_KTHREAD 0x00200000
#define S_IFMT 00170000
#define S_IFREG 0100000
#define S_IFCHR 0020000
#define S_IFIFO 0010000
#define S_IXUGO 00111
#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define FMODE_EXEC 0x20 /* among the flags of an open file */
#define FMODE_CREATED 0x100000
#define FMODE_NOACCOUNT 0x20000000
#define SB_KERNMOUNT 0x400000
#define O_TMPFILE_BIT 020000000
#define TS_COMPAT 0x2

#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6
#define FUSE_SUPER_MAGIC 0x65735546

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_BINDPORT_LOCK 8
