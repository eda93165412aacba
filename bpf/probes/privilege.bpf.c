/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/lib/privilege.h"
#include "bpf/lib/hash.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define SIGCHLD 17
#define SIGURG 23
#define SIGWINCH 28

#define SI_TIMER -2
#define SI_MESGQ -3
#define SI_ASYNCIO -4
#define SI_SIGIO -5
#define SI_ASYNCNL -60

/* System calls that send a signal with a siginfo of the caller's own, also of 32-bit programs. */
#define NR_RT_SIGQUEUEINFO 129
#define NR_RT_TGSIGQUEUEINFO 297
#define NR_RT_SIGQUEUEINFO_32 178
#define NR_RT_TGSIGQUEUEINFO_32 335
#define NR_PIDFD_SEND_SIGNAL 424

/* A module was loaded, none of its code has run; in the context of who loads it. */
SEC("tp_btf/module_load")
int BPF_PROG(privilege_module_load, struct module* module) {
  struct wire_code_key* key = privilege_key(WIRE_VERB_MODULE);
  __u64 name[WIRE_MODULE_BYTES / 8] = {};

  if (!key) return 0;
  if (bpf_core_read_str(name, sizeof(module->name), &module->name) < 0)
    count_error(WIRE_ERROR_READ);
  __builtin_memcpy(&key->object, name, sizeof(key->object));
  key->name = keyed_hash(name, sizeof(name));
  privileged_act(address_of(module), 0);
  return 0;
}

/* An io_uring was created; in the context of who created it. */
SEC("tp_btf/io_uring_create")
int BPF_PROG(privilege_io_uring, int fd, void* ring, __u32 sq_entries, __u32 cq_entries,
             __u32 flags) {
  if (privilege_key(WIRE_VERB_IO_URING)) privileged_act(0, flags);
  return 0;
}

/* Is the current task in a system call that sends a signal as the caller describes it? */
static __always_inline bool is_queueing(struct task_struct* task) {
  struct pt_regs___kernel* registers = (void*)bpf_task_pt_regs(task);

  switch (BPF_CORE_READ(registers, orig_ax)) {
    case NR_RT_SIGQUEUEINFO:
    case NR_RT_TGSIGQUEUEINFO:
    case NR_RT_SIGQUEUEINFO_32:
    case NR_RT_TGSIGQUEUEINFO_32:
    case NR_PIDFD_SEND_SIGNAL:
      return true;
  }
  return false;
}

/* Did the current task send this signal itself? The kernel sends some for timers and finished
 * requests, in whatever task it meets; but a sender can write the same into its own siginfo. */
static __always_inline bool is_by_current(struct kernel_siginfo* info, struct task_struct* task) {
  int code;

  /* What stands for no siginfo: the kernel's own signals. */
  if ((__u64)info <= 1) return false;
  if (bpf_core_read(&code, sizeof(code), &info->si_code)) {
    count_error(WIRE_ERROR_READ);
    return false;
  }
  if (code > 0) return false;
  switch (code) {
    case SI_TIMER:
    case SI_MESGQ:
    case SI_ASYNCIO:
    case SI_SIGIO:
    case SI_ASYNCNL:
      return is_queueing(task);
  }
  return true;
}

/* A signal is sent, before it is delivered; by a process: in its context. Signals that do nothing
 * by default are left out, and SIGCHLD is the kernel's at each exit. Signal 0 is sent to nobody. */
SEC("tp_btf/signal_generate")
int BPF_PROG(privilege_signal, int signal, struct kernel_siginfo* info,
             struct task_struct* target) {
  struct wire_code_key* key;
  struct task_struct* task;
  __u64 from, to;

  if (signal == SIGCHLD || signal == SIGURG || signal == SIGWINCH) return 0;
  task = bpf_get_current_task_btf();
  if (target->tgid == task->tgid || (task->flags & PF_KTHREAD)) return 0;
  if (!is_by_current(info, task)) return 0;
  from = workload_of(home_cgroup_of(task));
  to = workload_of(home_cgroup_of(target));
  if (from == to) return 0;
  key = privilege_key(WIRE_VERB_SIGNAL);
  if (!key) return 0;
  key->object.device = to;
  key->object.generation = signal;
  privileged_act(address_of(target), 0);
  return 0;
}
