/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* Half of the probes as one object, the other half being together_flow. Relocating an object takes
 * a pass over the kernel's types, and the verifier works on one object at a time: two objects,
 * loaded by two threads, need two passes and half the time. When the kernel refuses any of it, each
 * probe is loaded by itself. */

#define _license license_cgroup
#include "bpf/probes/cgroup.bpf.c"
#undef _license
#define _license license_process
#include "bpf/probes/process.bpf.c"
#undef _license
#define _license license_scan
#include "bpf/probes/scan.bpf.c"
#undef _license
