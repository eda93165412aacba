/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* The other half of the probes as one object, see together_code. */

#define _license license_connect
#include "bpf/probes/connect.bpf.c"
#undef _license
#define _license license_tcp
#include "bpf/probes/tcp.bpf.c"
#undef _license
#define _license license_udp
#include "bpf/probes/udp.bpf.c"
#undef _license
