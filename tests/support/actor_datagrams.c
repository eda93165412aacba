// SPDX-License-Identifier: Apache-2.0
// The acts of vedette_actor with UDP.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/actor.h"

#define DNS_PORT 53
#define DNS_HEADER_BYTES 12

// A query for "x.test", type A, and what makes it an answer of 192.0.2.1 (RFC 5737).
static const unsigned char kQuery[] = {0x12, 0x34, 1, 0,   0,   1,   0,   0, 0, 0, 0, 0,
                                       1,    'x',  4, 't', 'e', 's', 't', 0, 0, 1, 0, 1};
static const unsigned char kRecord[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};

static int udp_socket(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  return fd;
}

static int bound_socket(unsigned host, long port) {
  int fd = udp_socket();
  struct sockaddr_in address = loopback(host, port);
  if (bind(fd, (struct sockaddr*)&address, sizeof(address)) != 0) fail("bind");
  return fd;
}

static void send_to(int fd, const void* bytes, size_t size, const struct sockaddr_in* to) {
  if (sendto(fd, bytes, size, 0, (const struct sockaddr*)to, sizeof(*to)) != (ssize_t)size) {
    fail("sendto");
  }
}

// One socket, one datagram to each of 127.0.0.1, 127.0.0.2, ... nobody has to listen.
void act_udp(char** fields, int count) {
  long times = number(fields, count, 1, 1);
  long port = number(fields, count, 2, 9);
  int fd = udp_socket();
  long failed = 0;
  for (long i = 0; i < times; i++) {
    struct sockaddr_in to = loopback(1 + (unsigned)(i % 0xfffffd), port);
    if (sendto(fd, "x", 1, 0, (struct sockaddr*)&to, sizeof(to)) != 1) failed++;
  }
  close(fd);
  printf("udp ok=%ld failed=%ld\n", times - failed, failed);
}

static int connected_after_a_byte(char** fields, int count) {
  struct sockaddr_in to = loopback(1, number(fields, count, 1, 9));
  int fd = udp_socket();
  if (connect(fd, (struct sockaddr*)&to, sizeof(to)) != 0) fail("connect");
  if (send(fd, "x", 1, 0) != 1) fail("send");
  return fd;
}

// connect(2) of a datagram socket to 127.0.0.1 and one byte; nobody has to listen.
void act_udp_connect(char** fields, int count) {
  close(connected_after_a_byte(fields, count));
  printf("udp-connect done=1\n");
}

void act_udp_open(char** fields, int count) { connected_after_a_byte(fields, count); }

// A server hears two clients, then answers both, the first one first.
void act_udp_server(char** fields, int count) {
  (void)fields;
  (void)count;
  int server = bound_socket(1, 0);
  struct sockaddr_in at = loopback(1, bound_port(server));
  struct sockaddr_in from[2];
  int clients[2];
  char byte;
  for (int i = 0; i < 2; i++) {
    socklen_t size = sizeof(from[i]);
    clients[i] = udp_socket();
    send_to(clients[i], "q", 1, &at);
    if (recvfrom(server, &byte, 1, 0, (struct sockaddr*)&from[i], &size) != 1) fail("recvfrom");
  }
  for (int i = 0; i < 2; i++) send_to(server, "a", 1, &from[i]);
  for (int i = 0; i < 2; i++) {
    if (recv(clients[i], &byte, 1, 0) != 1) fail("recv");
    close(clients[i]);
  }
  printf("udp-server server=%u first=%u second=%u\n", bound_port(server), ntohs(from[0].sin_port),
         ntohs(from[1].sin_port));
  close(server);
}

// A client sends a datagram, a server answers with another; both are closed.
void act_udp_pair(char** fields, int count) {
  char buffer[8192] = {0};
  long question = number(fields, count, 1, 10);
  long answer = number(fields, count, 2, 20);
  int server = bound_socket(1, 0);
  int client = udp_socket();
  struct sockaddr_in to = loopback(1, bound_port(server));
  struct sockaddr_in from;
  socklen_t size = sizeof(from);
  send_to(client, buffer, (size_t)question, &to);
  if (recvfrom(server, buffer, sizeof(buffer), 0, (struct sockaddr*)&from, &size) != question) {
    fail("recvfrom");
  }
  send_to(server, buffer, (size_t)answer, &from);
  if (recv(client, buffer, sizeof(buffer), 0) != answer) fail("recv");
  printf("udp-pair client=%u server=%u\n", bound_port(client), bound_port(server));
  close(client);
  close(server);
}

// Queries that nobody answers, from one socket, each with an id of its own.
void act_dns_flood(char** fields, int count) {
  long times = number(fields, count, 1, 1000);
  unsigned char query[sizeof(kQuery)];
  struct sockaddr_in to = loopback(2, DNS_PORT);
  int fd = udp_socket();
  memcpy(query, kQuery, sizeof(query));
  for (long i = 0; i < times; i++) {
    query[0] = (unsigned char)(i >> 8);
    query[1] = (unsigned char)i;
    send_to(fd, query, sizeof(query), &to);
  }
  close(fd);
  printf("dns-flood sent=%ld\n", times);
}

// Asks a resolver at 127.0.0.2:53 that this act plays itself. With "spoof", answers with another id
// and from another address come first; with "later", the answer comes after a line of stdin; with
// "fail", it is that there is no such name; with "at:HOST", the resolver is at 127.0.0.HOST.
void act_dns(char** fields, int count) {
  unsigned char message[sizeof(kQuery) + sizeof(kRecord)];
  unsigned host = count > 2 ? (unsigned)number(fields, count, 2, 2) : 2;
  int resolver = bound_socket(host, DNS_PORT);
  int client = udp_socket();
  struct sockaddr_in to = loopback(host, DNS_PORT);
  struct sockaddr_in from;
  socklen_t size = sizeof(from);
  send_to(client, kQuery, sizeof(kQuery), &to);
  if (recvfrom(resolver, message, sizeof(kQuery), 0, (struct sockaddr*)&from, &size) < 0) {
    fail("recvfrom");
  }
  if (count > 1 && strcmp(fields[1], "later") == 0) wait_for_line("asked");
  memcpy(message + sizeof(kQuery), kRecord, sizeof(kRecord));
  message[2] |= 0x80;
  message[7] = 1;
  if (count > 1 && strcmp(fields[1], "fail") == 0) message[3] |= 3;
  if (count > 1 && strcmp(fields[1], "spoof") == 0) {
    int other = bound_socket(3, DNS_PORT);
    message[sizeof(message) - 1] = 66;
    send_to(other, message, sizeof(message), &from);
    message[0] ^= 0xff;
    send_to(resolver, message, sizeof(message), &from);
    message[0] ^= 0xff;
    message[sizeof(message) - 1] = 1;
    close(other);
  }
  send_to(resolver, message, sizeof(message), &from);
  if (recv(client, message, sizeof(message), 0) < DNS_HEADER_BYTES) fail("recv");
  printf("dns client=%u\n", bound_port(client));
  close(client);
  close(resolver);
}
