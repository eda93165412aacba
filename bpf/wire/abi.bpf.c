/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Instantiates every type of the wire, so that its BTF holds them all. Never loaded: the test
 * compares the BTF with tests/bpf/abi.golden. */
#include "bpf/wire/cache.h"
#include "bpf/wire/cgroup.h"
#include "bpf/wire/credential.h"
#include "bpf/wire/dns.h"
#include "bpf/wire/exec.h"
#include "bpf/wire/exit.h"
#include "bpf/wire/file.h"
#include "bpf/wire/file_key.h"
#include "bpf/wire/flow.h"
#include "bpf/wire/fork.h"
#include "bpf/wire/kinds.h"
#include "bpf/wire/move.h"
#include "bpf/wire/overflow.h"
#include "bpf/wire/privilege.h"
#include "bpf/wire/process_seen.h"
#include "bpf/wire/shape.h"

#define WIRE_KIND(name, number, type, version) type abi_record_##name;
WIRE_KINDS(WIRE_KIND)
#undef WIRE_KIND

/* Records that come in two sizes, and what the agent reads of maps and iterators. */
struct wire_exec_small abi_exec_small;
struct wire_exec_large abi_exec_large;
struct wire_file_small abi_file_small;
struct wire_file_large abi_file_large;
struct wire_watched abi_watched;
struct wire_watch abi_watch;
struct wire_shape abi_shape;
struct wire_file_key abi_file_key;
struct wire_cache_key abi_cache_key;
struct wire_script abi_script;
struct wire_dns_share abi_dns_share;
struct wire_verdict abi_verdict;
struct wire_count abi_count;
struct wire_instance abi_instance;
struct wire_workload abi_workload;
struct wire_capabilities abi_capabilities;
struct wire_config abi_config;
struct wire_lane_count abi_lane_count;
struct wire_tcp_pair abi_tcp_pair;

enum wire_kind abi_kind;
enum wire_version abi_version;
enum wire_reason abi_reason;
enum wire_hook abi_hook;
enum wire_verdict_flags abi_verdict_flags;
enum wire_lane abi_lane;
enum wire_cache abi_cache;
enum wire_error abi_error;
enum wire_verb abi_verb;
enum wire_decision abi_decision;
enum wire_novelty abi_novelty;
enum wire_instance_flags abi_instance_flags;
enum wire_cgroup_change abi_cgroup_change;
enum wire_code_flags abi_code_flags;
enum wire_exec_flags abi_exec_flags;
enum wire_origin abi_origin;
enum wire_flow_stage abi_flow_stage;
enum wire_file_flags abi_file_flags;
enum wire_grain abi_grain;
enum wire_verdict_flags abi_verdict_flags;
enum wire_shape_kind abi_shape_kind;
enum wire_shape_sure abi_shape_sure;
