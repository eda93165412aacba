// SPDX-License-Identifier: Apache-2.0
// The acts of vedette_actor with UDP.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
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

// A server hears so many datagrams of others, then answers each, the first one first.
void act_udp_answer(char** fields, int count) {
  enum { kMost = 256 };
  struct sockaddr_in from[kMost];
  long times = number(fields, count, 1, 1);
  int server = bound_socket(1, 0);
  char byte;
  if (times > kMost) fail("udp-answer");
  printf("udp-answer port=%u\n", bound_port(server));
  fflush(stdout);
  for (long i = 0; i < times; i++) {
    socklen_t size = sizeof(from[i]);
    if (recvfrom(server, &byte, 1, 0, (struct sockaddr*)&from[i], &size) != 1) fail("recvfrom");
  }
  for (long i = 0; i < times; i++) send_to(server, "a", 1, &from[i]);
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

static struct sockaddr_in6 address_v6(const char* host, unsigned port) {
  struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET6, host, &address.sin6_addr) != 1) fail(host);
  return address;
}

static int udp_socket_v6(void) {
  int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  return fd;
}

static int bound_socket_v6(const char* host) {
  int fd = udp_socket_v6();
  struct sockaddr_in6 address = address_v6(host, 0);
  if (bind(fd, (struct sockaddr*)&address, sizeof(address)) != 0) fail("bind");
  return fd;
}

// A client sends 1000 bytes, a server answers with 2345; both are closed. The socket of the client
// is of IPv6, as is that of the server but for mapped peers.
//   sendto, connect                to ::1
//   mapped-sendto, mapped-connect  to ::ffff:127.0.0.1, where a socket of IPv4 hears
//   dual                           of IPv4, to a server of IPv6 that is bound to any address
void act_udp6(char** fields, int count) {
  const char* how = count > 1 ? fields[1] : "sendto";
  int is_dual = strcmp(how, "dual") == 0;
  int is_mapped = strncmp(how, "mapped-", 7) == 0;
  int is_connected = strcmp(is_mapped ? how + 7 : how, "connect") == 0;
  char buffer[8192] = {0};
  const ssize_t question = 1000, answer = 2345;
  int server = is_mapped ? bound_socket(1, 0) : bound_socket_v6(is_dual ? "::" : "::1");
  int client = is_dual ? udp_socket() : udp_socket_v6();
  struct sockaddr_in to_v4 = loopback(1, bound_port(server));
  struct sockaddr_in6 to_v6 =
      address_v6(is_mapped ? "::ffff:127.0.0.1" : "::1", bound_port(server));
  const struct sockaddr* to = is_dual ? (struct sockaddr*)&to_v4 : (struct sockaddr*)&to_v6;
  socklen_t to_size = is_dual ? sizeof(to_v4) : sizeof(to_v6);
  struct sockaddr_storage from;
  socklen_t size = sizeof(from);
  if (is_connected) {
    if (connect(client, to, to_size) != 0) fail("connect");
    to = NULL;
    to_size = 0;
  }
  if (sendto(client, buffer, (size_t)question, 0, to, to_size) != question) fail("sendto");
  if (recvfrom(server, buffer, sizeof(buffer), 0, (struct sockaddr*)&from, &size) != question) {
    fail("recvfrom");
  }
  if (sendto(server, buffer, (size_t)answer, 0, (struct sockaddr*)&from, size) != answer) {
    fail("sendto");
  }
  if (recv(client, buffer, sizeof(buffer), 0) != answer) fail("recv");
  printf("udp6 client=%u server=%u\n", bound_port(client), bound_port(server));
  close(client);
  close(server);
}

// A socket that is not bound sends a byte to one, and is then sent 1000 by another.
static void udp_unbound(void) {
  char buffer[8192] = {0};
  long bytes = 1000;
  int known = bound_socket(1, 0);
  int other = bound_socket(2, 0);
  int fd = udp_socket();
  struct sockaddr_in to = loopback(1, bound_port(known));
  struct sockaddr_in at;
  send_to(fd, "x", 1, &to);
  at = loopback(1, bound_port(fd));
  send_to(other, buffer, (size_t)bytes, &at);
  if (recv(fd, buffer, sizeof(buffer), 0) != bytes) fail("recv");
  printf("udp-unbound port=%u known=%u other=%u\n", bound_port(fd), bound_port(known),
         bound_port(other));
  close(fd);
  close(other);
  close(known);
}

// A socket that is not bound asks two, and the one it asked first answers.
static void udp_two(void) {
  char byte;
  int first = bound_socket(1, 0);
  int second = bound_socket(2, 0);
  int fd = udp_socket();
  struct sockaddr_in to_first = loopback(1, bound_port(first));
  struct sockaddr_in to_second = loopback(2, bound_port(second));
  struct sockaddr_in at;
  send_to(fd, "x", 1, &to_first);
  send_to(fd, "x", 1, &to_second);
  at = loopback(1, bound_port(fd));
  send_to(first, "y", 1, &at);
  if (recv(fd, &byte, 1, 0) != 1) fail("recv");
  printf("udp-two first=%u second=%u\n", bound_port(first), bound_port(second));
  close(fd);
  close(first);
  close(second);
}

// A socket that is bound to a port connects, takes that back, and is then sent a byte by another.
// In a network of its own: the port is one that the kernel chose before.
static void udp_dissolve(void) {
  char byte;
  int known = bound_socket(1, 0);
  int other = bound_socket(2, 0);
  int probe = bound_socket(1, 0);
  long port = bound_port(probe);
  struct sockaddr_in to = loopback(1, bound_port(known));
  struct sockaddr_in at = loopback(1, port);
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  int fd;
  close(probe);
  fd = bound_socket(1, port);
  if (connect(fd, (struct sockaddr*)&to, sizeof(to)) != 0) fail("connect");
  if (send(fd, "x", 1, 0) != 1) fail("send");
  if (connect(fd, &none, sizeof(none)) != 0) fail("dissolve");
  send_to(other, "y", 1, &at);
  if (recv(fd, &byte, 1, 0) != 1) fail("recv");
  printf("udp-dissolve port=%ld other=%u\n", port, bound_port(other));
  close(fd);
  close(other);
  close(known);
}

// Datagrams with an IPv6 header between that of IP and that of UDP; nobody has to listen.
static void udp_options(void) {
  long times = 7;
  const unsigned char options[8] = {0, 0, 1, 4, 0, 0, 0, 0};
  struct sockaddr_in6 to = {
      .sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  if (setsockopt(fd, IPPROTO_IPV6, IPV6_DSTOPTS, options, sizeof(options)) != 0) {
    fail("setsockopt");
  }
  for (long i = 0; i < times; i++) {
    if (sendto(fd, "x", 1, 0, (struct sockaddr*)&to, sizeof(to)) != 1) fail("sendto");
  }
  close(fd);
  printf("udp-options sent=%ld\n", times);
}

// One of the four above, by its name.
void act_udp_case(char** fields, int count) {
  const char* name = count > 1 ? fields[1] : "";
  if (strcmp(name, "unbound") == 0) udp_unbound();
  if (strcmp(name, "two") == 0) udp_two();
  if (strcmp(name, "dissolve") == 0) udp_dissolve();
  if (strcmp(name, "options") == 0) udp_options();
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
