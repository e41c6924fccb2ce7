/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Observers and the origin they observe, in one process, in batches:
 *   bench_observe PROXY-IP PORT ORIGIN-IP PORT RESOURCES OBSERVERS ROUNDS
 * OBSERVERS clients register for each of RESOURCES.  In each round every resource notifies its registrations once, and the
 * next round begins when all observers have got it (or two seconds later).  After a few rounds that are not counted it says
 * "ready", waits for a byte on standard input, and prints figures of ROUNDS rounds.
 */
#include <poll.h>

#include "msg/msg.h"
#include "tests/bench/bench.h"

#define SOURCES 16
#define WARM_UP 3
#define PAUSE_NS 5000000        /* between rounds, longer than a round trip: observers are not pressed */
#define PATIENCE_NS 2000000000u

struct resource { uint8_t token[8]; struct sockaddr_in to; bool registered; };

static struct bench_batch  in, out;
static unsigned            out_count;
static int                 socks[SOURCES + 1];  /* the last one is the origin's */
static struct sockaddr_in  proxy;
static struct resource    *resources;
static size_t              resource_count, observer_count;
static uint32_t           *have;                /* of each observer: the newest round it got */
static uint32_t           *times_us;            /* of each notification of the counted rounds: how long it took */
static size_t              times;
static uint32_t            current;             /* round */
static uint64_t            began_ns;
static uint16_t            next_mid;
static struct { uint64_t answered, bad, confirmable, registrations; } seen;

static size_t
all(void)
{
    return resource_count * observer_count;
}

/* ---- out ---- */

static void
flush(int fd)
{
    bench_send(fd, &out, out_count);
    out_count = 0;
}

static void
put(int fd, const struct osp_msg *m, const struct sockaddr_in *to)
{
    struct osp_wr w = osp_wr_to(out.b[out_count], DATAGRAM_MAX);

    bench_need(osp_msg_encode_udp(m, &w), "datagram");
    out.v[out_count].iov_len = w.n;
    out.a[out_count] = *to;
    if (++out_count == BATCH)
        flush(fd);
}

static void
acknowledge(int fd, const struct osp_msg *m, const struct sockaddr_in *to)
{
    uint8_t      *b = out.b[out_count];
    struct osp_wr w = osp_wr_to(b, 4);

    osp_wr_u8(&w, 0x60);
    osp_wr_u8(&w, 0);
    osp_wr_u16(&w, m->mid);
    out.v[out_count].iov_len = 4;
    out.a[out_count] = *to;
    if (++out_count == BATCH)
        flush(fd);
}

/* A representation: the number of the round. */
static void
represent(struct osp_msg *m, uint8_t observe[4], uint8_t payload[4])
{
    struct osp_wr w = osp_wr_to(payload, 4);

    osp_wr_u16(&w, (uint16_t)(current >> 16));
    osp_wr_u16(&w, (uint16_t)current);
    bench_need(osp_msg_add(m, OSP_OPT_OBSERVE, osp_opt_uint_make(current + 1, observe)), "Observe");
    m->payload = osp_slice(payload, 4);
}

/* ---- the origin ---- */

static void
origin_got(const struct osp_msg *m, const struct sockaddr_in *from)
{
    const struct osp_opt *path = osp_msg_get(m, OSP_OPT_URI_PATH);
    struct osp_rd         r = osp_rd_from(path ? path->val : OSP_EMPTY);
    size_t                i = osp_rd_u16(&r);
    struct osp_msg        a;
    uint8_t               observe[4], payload[4];

    if (!osp_code_is_request(m->code) || i >= resource_count || m->token.n != 8)
        return;
    seen.registrations += !resources[i].registered;
    resources[i].registered = true;
    resources[i].to = *from;
    (void)osp_slice_copy(m->token, resources[i].token, 8);
    osp_msg_init(&a, OSP_CODE(2, 5));
    a.type = OSP_ACK;
    a.mid = m->mid;
    a.token = m->token;
    represent(&a, observe, payload);
    put(socks[SOURCES], &a, from);
}

static void
notify_all(void)
{
    current++;
    began_ns = bench_now_ns();
    bench_batch_reset(&out);
    for (size_t i = 0; i < resource_count; i++) {
        struct osp_msg m;
        uint8_t        observe[4], payload[4];

        osp_msg_init(&m, OSP_CODE(2, 5));
        m.type = OSP_NON;
        m.mid = next_mid++;
        m.token = osp_slice(resources[i].token, 8);
        represent(&m, observe, payload);
        put(socks[SOURCES], &m, &resources[i].to);
    }
    flush(socks[SOURCES]);
}

/* ---- the observers ---- */

static void
observer_registers(size_t i)
{
    size_t         resource = i / observer_count;
    uint8_t        token[4], path[2], port[4];
    char           host[INET_ADDRSTRLEN];
    struct osp_wr  t = osp_wr_to(token, sizeof(token)), p = osp_wr_to(path, sizeof(path));
    struct osp_msg m;
    struct sockaddr_in at;
    socklen_t      n = sizeof(at);

    osp_wr_u16(&t, (uint16_t)(i >> 16));
    osp_wr_u16(&t, (uint16_t)i);
    osp_wr_u16(&p, (uint16_t)resource);
    (void)getsockname(socks[SOURCES], (struct sockaddr *)&at, &n);
    (void)inet_ntop(AF_INET, &at.sin_addr, host, sizeof(host));
    osp_msg_init(&m, OSP_GET);
    m.type = OSP_CON;
    m.mid = (uint16_t)(i / SOURCES);
    m.token = osp_slice(token, 4);
    bench_need(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str(host)), "Uri-Host");
    bench_need(osp_msg_add(&m, OSP_OPT_OBSERVE, OSP_EMPTY), "Observe");
    bench_need(osp_msg_add(&m, OSP_OPT_URI_PORT, osp_opt_uint_make(ntohs(at.sin_port), port)), "Uri-Port");
    bench_need(osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice(path, 2)), "Uri-Path");
    bench_need(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")), "Proxy-Scheme");
    put(socks[i % SOURCES], &m, &proxy);
    flush(socks[i % SOURCES]);
}

static void
observer_got(int fd, const struct osp_msg *m)
{
    struct osp_rd t = osp_rd_from(m->token), p = osp_rd_from(m->payload);
    size_t        i = (size_t)osp_rd_u16(&t) << 16;
    uint32_t      number;

    if (!osp_code_is_response(m->code))
        return;
    i |= osp_rd_u16(&t);
    number = (uint32_t)osp_rd_u16(&p) << 16;
    number |= osp_rd_u16(&p);
    if (m->type == OSP_CON) {
        acknowledge(fd, m, &proxy);
        seen.confirmable++;
    }
    if (!osp_rd_done(&t) || !osp_rd_done(&p) || i >= all() || number != current || m->code != OSP_CODE(2, 5) ||
        !osp_msg_has(m, OSP_OPT_OBSERVE) || have[i] == number + 1) {
        seen.bad++;
        return;
    }
    have[i] = number + 1;
    seen.answered++;
    if (times_us)
        times_us[times++] = (uint32_t)((bench_now_ns() - began_ns) / 1000);
}

/* ---- turns ---- */

static void
turn(int wait_ms)
{
    struct pollfd p[SOURCES + 1];
    unsigned      n;

    for (size_t i = 0; i <= SOURCES; i++)
        p[i] = (struct pollfd){ .fd = socks[i], .events = POLLIN };
    if (poll(p, SOURCES + 1, wait_ms) <= 0)
        return;
    for (size_t i = 0; i <= SOURCES; i++) {
        bench_batch_reset(&out);
        while ((p[i].revents & POLLIN) && (n = bench_receive(socks[i], &in)) > 0) {
            for (unsigned k = 0; k < n; k++) {
                struct osp_msg m;
                bool           header;

                if (osp_msg_decode_udp(osp_slice(in.b[k], in.m[k].msg_len), &m, &header) != OSP_OK)
                    seen.bad++;
                else if (i == SOURCES)
                    origin_got(&m, &in.a[k]);
                else
                    observer_got(socks[i], &m);
            }
            flush(socks[i]);
        }
    }
}

/* Until `wanted` in all have come. */
static void
await(uint64_t wanted)
{
    uint64_t end = bench_now_ns() + PATIENCE_NS;

    while (seen.answered < wanted && bench_now_ns() < end)
        turn(20);
}

static void
register_all(void)
{
    for (size_t i = 0; i < all(); i++) {
        bench_batch_reset(&out);
        observer_registers(i);
        if (i % 64 == 63)
            await(i + 1);
    }
    await(all());
    if (seen.answered != all() || seen.registrations != resource_count) {
        (void)fprintf(stderr, "%" PRIu64 " of %zu registered, %" PRIu64 " at the origin\n", seen.answered, all(),
                      seen.registrations);
        exit(1);
    }
}

static void
round_of_news(void)
{
    uint64_t pause_until = bench_now_ns() + PAUSE_NS, before = seen.answered;

    while (bench_now_ns() < pause_until)
        turn(1);
    notify_all();
    await(before + all());
    if (seen.answered == before) {
        (void)fprintf(stderr, "nothing came in round %u\n", current);
        exit(1);
    }
}

static int
by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void
report(size_t rounds, uint64_t took_ns)
{
    qsort(times_us, times, sizeof(times_us[0]), by_size);
    (void)printf("{\"requests\": %zu, \"answered\": %" PRIu64 ", \"lost\": %" PRId64 ", \"bad\": %" PRIu64
                 ", \"confirmable\": %" PRIu64 ", \"seconds\": %.3f, \"p50_us\": %u, \"p99_us\": %u}\n",
                 rounds * all(), seen.answered, (int64_t)(rounds * all()) - (int64_t)seen.answered, seen.bad, seen.confirmable,
                 (double)took_ns / 1e9, times ? times_us[times / 2] : 0, times ? times_us[times * 99 / 100] : 0);
}

int
main(int argc, char **argv)
{
    struct sockaddr_in any = bench_addr("127.0.0.1", "0");
    size_t             rounds;
    uint64_t           began;
    char               go;

    if (argc != 8) {
        (void)fprintf(stderr, "usage: bench_observe PROXY-IP PORT ORIGIN-IP PORT RESOURCES OBSERVERS ROUNDS\n");
        return 2;
    }
    proxy = bench_addr(argv[1], argv[2]);
    resource_count = strtoul(argv[5], NULL, 10);
    observer_count = strtoul(argv[6], NULL, 10);
    rounds = strtoul(argv[7], NULL, 10);
    for (size_t i = 0; i < SOURCES; i++)
        socks[i] = bench_socket(any);
    socks[SOURCES] = bench_socket(bench_addr(argv[3], argv[4]));
    resources = calloc(resource_count, sizeof(*resources));
    have = calloc(all(), sizeof(*have));
    if (!resources || !have)
        bench_die("calloc");
    register_all();
    for (int i = 0; i < WARM_UP; i++)
        round_of_news();
    memset(&seen, 0, sizeof(seen));
    times_us = calloc(rounds * all() + 1, sizeof(*times_us));
    if (!times_us)
        bench_die("calloc");
    (void)printf("ready\n");
    (void)fflush(stdout);
    if (read(STDIN_FILENO, &go, 1) != 1)
        return 1;
    began = bench_now_ns();
    for (size_t i = 0; i < rounds; i++)
        round_of_news();
    report(rounds, bench_now_ns() - began);
    return 0;
}
