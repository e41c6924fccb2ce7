/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs of the benchmark share: sockets, batches, time, arguments.
 *
 * They are yardsticks, so they do as little as they can: one system call per batch, no allocation
 * while they run, no parsing beyond what each says.
 */
#ifndef OSP_TESTS_BENCH_H
#define OSP_TESTS_BENCH_H

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"

#define BATCH 64
#define DATAGRAM_MAX 1500
#define SOCKET_BYTES (8 << 20)

static inline void
bench_die(const char *what)
{
    perror(what);
    exit(1);
}

static inline void
bench_need(enum osp_err e, const char *what)
{
    if (e != OSP_OK) {
        (void)fprintf(stderr, "%s: %s\n", what, osp_err_text(e));
        exit(1);
    }
}

static inline uint64_t
bench_now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Seconds of the processor that this program took. */
static inline double
bench_cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Bytes of this program in memory. */
static inline long
bench_resident(void)
{
    long  pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        exit(2);
    fclose(f);
    return pages * 4096;
}

static inline struct sockaddr_in
bench_addr(const char *ip, const char *port)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };

    if (inet_pton(AF_INET, ip, &sa.sin_addr) != 1) {
        (void)fprintf(stderr, "%s is no IPv4 address\n", ip);
        exit(2);
    }
    return sa;
}

/* A non-blocking socket bound to `at`, with room for a burst. */
static inline int
bench_socket(struct sockaddr_in at)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), size = SOCKET_BYTES;

    if (fd == -1)
        bench_die("socket");
    /* the limit of the system applies when this is no root */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) == -1)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == -1)
        bench_die("bind");
    return fd;
}

struct bench_batch {
    struct mmsghdr     m[BATCH];
    struct iovec       v[BATCH];
    struct sockaddr_in a[BATCH];
    uint8_t            b[BATCH][DATAGRAM_MAX];
};

/* Points every message at its own buffer and address; once for a sender, before each call for a receiver. */
static inline void
bench_batch_reset(struct bench_batch *x)
{
    for (size_t i = 0; i < BATCH; i++) {
        x->v[i] = (struct iovec){ x->b[i], DATAGRAM_MAX };
        x->m[i].msg_hdr = (struct msghdr){ .msg_name = &x->a[i], .msg_namelen = sizeof(x->a[i]), .msg_iov = &x->v[i],
                                           .msg_iovlen = 1 };
    }
}

/* Datagrams read, 0 when there are none. */
static inline unsigned
bench_receive(int fd, struct bench_batch *x)
{
    int n;

    bench_batch_reset(x);
    n = recvmmsg(fd, x->m, BATCH, MSG_DONTWAIT, NULL);
    return n < 0 ? 0 : (unsigned)n;
}

/* Sends the first `n` of `x`; what the system has no room for is tried again. */
static inline void
bench_send(int fd, struct bench_batch *x, unsigned n)
{
    unsigned done = 0;

    while (done < n) {
        int r = sendmmsg(fd, x->m + done, n - done, 0);

        if (r > 0)
            done += (unsigned)r;
        else if (errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED && errno != ENOBUFS)
            bench_die("sendmmsg");
    }
}

/* The bytes of a hexadecimal argument, in `buf`. */
static inline struct osp_slice
bench_hex(const char *text, uint8_t *buf, size_t cap)
{
    size_t n = 0;

    if (!osp_hex_decode(osp_slice_str(text), buf, cap, &n)) {
        (void)fprintf(stderr, "%s is not hexadecimal\n", text);
        exit(2);
    }
    return osp_slice(buf, n);
}

/* Ends the program at an argument that is no NAME=VALUE of one of the `names`, a list that NULL ends. */
static inline void
bench_know(char **argv, const char *const *names)
{
    for (; *argv; argv++) {
        size_t n = strcspn(*argv, "="), i = 0;

        while (names[i] && (strlen(names[i]) != n || strncmp(*argv, names[i], n) != 0))
            i++;
        if (!names[i] || (*argv)[n] != '=') {
            (void)fprintf(stderr, "%s: what is that?\n", *argv);
            exit(2);
        }
    }
}

/* The value of NAME= in the further arguments; NULL when it is not there. */
static inline const char *
bench_value(char **argv, const char *name)
{
    size_t n = strlen(name);

    for (; *argv; argv++)
        if (strncmp(*argv, name, n) == 0 && (*argv)[n] == '=')
            return *argv + n + 1;
    return NULL;
}

/* The bytes of a hexadecimal NAME=VALUE, in `buf`; empty when it is not there. */
static inline struct osp_slice
bench_bytes(char **argv, const char *name, uint8_t *buf, size_t cap)
{
    const char *text = bench_value(argv, name);

    return text ? bench_hex(text, buf, cap) : OSP_EMPTY;
}

#endif
