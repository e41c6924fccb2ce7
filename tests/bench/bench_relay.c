/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The yardstick: a relay that reads a batch, swaps the 8 bytes of the Token, and writes the batch.  Nothing is parsed.
 *   bench_relay LISTEN-IP PORT TARGET-IP PORT
 */
#include <poll.h>

#include "tests/bench/bench.h"

#define SLOTS 65536             /* requests under way; a slot is reused after that many */
#define TOKEN_AT 4
#define TOKEN_LEN 8

struct slot { struct sockaddr_in client; uint8_t token[TOKEN_LEN]; };

static struct slot        slots[SLOTS];
static uint32_t           next_slot;
static struct bench_batch batch;

static void
to_target(int listen_fd, int up_fd, const struct sockaddr_in *target)
{
    unsigned n = bench_receive(listen_fd, &batch);

    for (unsigned i = 0; i < n; i++) {
        uint32_t     k = next_slot++ % SLOTS;
        struct slot *s = &slots[k];

        s->client = batch.a[i];
        memcpy(s->token, batch.b[i] + TOKEN_AT, TOKEN_LEN);
        memcpy(batch.b[i] + TOKEN_AT, &k, sizeof(k));
        batch.v[i].iov_len = batch.m[i].msg_len;
        batch.a[i] = *target;
    }
    bench_send(up_fd, &batch, n);
}

static void
to_client(int listen_fd, int up_fd)
{
    unsigned n = bench_receive(up_fd, &batch);

    for (unsigned i = 0; i < n; i++) {
        uint32_t     k;
        struct slot *s;

        memcpy(&k, batch.b[i] + TOKEN_AT, sizeof(k));
        s = &slots[k % SLOTS];
        memcpy(batch.b[i] + TOKEN_AT, s->token, TOKEN_LEN);
        batch.v[i].iov_len = batch.m[i].msg_len;
        batch.a[i] = s->client;
    }
    bench_send(listen_fd, &batch, n);
}

int
main(int argc, char **argv)
{
    struct sockaddr_in target, any = { .sin_family = AF_INET };
    struct pollfd      p[2];

    if (argc != 5) {
        (void)fprintf(stderr, "usage: bench_relay LISTEN-IP PORT TARGET-IP PORT\n");
        return 2;
    }
    target = bench_addr(argv[3], argv[4]);
    p[0] = (struct pollfd){ .fd = bench_socket(bench_addr(argv[1], argv[2])), .events = POLLIN };
    p[1] = (struct pollfd){ .fd = bench_socket(any), .events = POLLIN };
    for (;;) {
        if (poll(p, 2, -1) == -1 && errno != EINTR)
            bench_die("poll");
        if (p[0].revents & POLLIN)
            to_target(p[0].fd, p[1].fd, &target);
        if (p[1].revents & POLLIN)
            to_client(p[0].fd, p[1].fd);
    }
}
