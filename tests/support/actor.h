// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the files of vedette_actor share: acts, and what acts need.

#include <netinet/in.h>
#include <sys/types.h>

_Noreturn void fail(const char* what);
long number(char** fields, int count, int index, long fallback);
struct sockaddr_in loopback(unsigned host, long port);  // 127.0.0.<host>
int tcp_socket(void);
int listening(int bind_first, long port);
unsigned bound_port(int fd);
void reap(pid_t pid, const char* what);
void wait_for_line(const char* what);
extern char** remaining_acts;  // Those after the one that is being done; ends with NULL.

// actor_datagrams.c
void act_udp(char** fields, int count);
void act_udp_connect(char** fields, int count);
void act_udp_open(char** fields, int count);
void act_udp_answer(char** fields, int count);
void act_udp_server(char** fields, int count);
void act_udp_pair(char** fields, int count);
void act_udp6(char** fields, int count);
void act_udp_case(char** fields, int count);
void act_dns(char** fields, int count);
void act_dns_flood(char** fields, int count);

// actor_files.c
void act_open(char** fields, int count);

// actor_code.c
void act_memfd_exec(char** fields, int count);
void act_deleted_exec(char** fields, int count);
void act_again(char** fields, int count);
void act_stage(char** fields, int count);
void act_own_mounts(char** fields, int count);
void act_place(char** fields, int count);

// actor_flows.c
void act_flow(char** fields, int count);
void act_crossing(char** fields, int count);

// actor_privilege.c
void act_setuid(char** fields, int count);
void act_setgid(char** fields, int count);
void act_io_uring(char** fields, int count);
void act_kill(char** fields, int count);
void act_kill_child(char** fields, int count);
void act_raw_socket(char** fields, int count);
void act_user_namespace(char** fields, int count);
