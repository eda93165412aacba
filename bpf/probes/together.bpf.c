/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* All probes as one object. Relocating an object takes a pass over the kernel's types, which is
 * most of what a start costs beside the verifier; together they need one. When the kernel refuses
 * any of it, each probe is loaded by itself. */

#define _license license_cgroup
#include "bpf/probes/cgroup.bpf.c"
#undef _license
#define _license license_connect
#include "bpf/probes/connect.bpf.c"
#undef _license
#define _license license_process
#include "bpf/probes/process.bpf.c"
#undef _license
#define _license license_scan
#include "bpf/probes/scan.bpf.c"
#undef _license
#define _license license_tcp
#include "bpf/probes/tcp.bpf.c"
#undef _license
#define _license license_udp
#include "bpf/probes/udp.bpf.c"
#undef _license
