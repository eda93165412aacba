/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* The other half of the probes as one object, see together_code; what is about no flow is here
 * since this half takes less time. */

#define _license license_connect
#include "bpf/probes/connect.bpf.c"
#undef _license
#define _license license_tcp
#include "bpf/probes/tcp.bpf.c"
#undef _license
#define _license license_udp
#include "bpf/probes/udp.bpf.c"
#undef _license
#define _license license_privilege
#include "bpf/probes/privilege.bpf.c"
#undef _license
#define _license license_capability
#include "bpf/probes/capability.bpf.c"
#undef _license
