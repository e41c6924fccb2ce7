/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load: COUNT requests, of which OUTSTANDING are under way at any time, from SOURCES ports, since a Message ID may
 * not come again from one port within minutes.  Everything is made beforehand, OSCORE included, so that the generator stays
 * cheap; one answer in 256 is opened and judged.  Prints one JSON object.
 *   bench_load TARGET-IP PORT COUNT OUTSTANDING con|non SOURCES URI-HOST URI-PORT [NAME=VALUE]...
 *     secret= sender= recipient=   a layer for the proxy (hexadecimal)
 *     first=N                      number of the first request: its Partial IV, and its name if each has one
 *     names=own                    every request is for a resource of its own
 *     request=HEX                  a datagram whose code, options and payload every request has, such as a deterministic request
 *     answer=HEX                   the payload every answer must have
 *     blocks=N                     transfers of N blocks of 1024 bytes: OUTSTANDING transfers at a time, each asks for a block
 *                                  when it has the one before
 */
#include <sys/epoll.h>

#include "msg/msg.h"
#include "oscore/oscore.h"
#include "tests/bench/bench.h"

#define SOURCES_MAX 64
#define REQUEST_MAX 250
#define TOKEN_AT 4
#define TOKEN_LEN 8
#define GIVE_UP_NS 1000000000ull        /* nothing came in for that long: what is under way is lost */
#define JUDGE_EVERY 256
#define BLOCK_SZX 6
#define BLOCK_SIZE 1024

/* Bytes that one request borrows while it is made. */
struct text { uint8_t token[TOKEN_LEN], port[4], block[4]; char name[16]; };

struct request { uint16_t len; uint8_t b[REQUEST_MAX]; };

struct load {
    struct sockaddr_in target;
    unsigned           count, outstanding, sources;
    uint8_t            type;
    const char        *host;
    uint32_t           port;
    unsigned           first;
    unsigned           blocks;          /* of a transfer; 0: no transfers */
    bool               own_names;
    struct osp_slice   request, answer; /* empty: as ever */
    struct osp_msg     like;            /* the message in `request` */
    int                fd[SOURCES_MAX];
    uint16_t           mid[SOURCES_MAX];
    struct request    *requests;
    uint64_t          *sent_ns;         /* by request, 0 when it is not under way */
    uint32_t          *latency_us;      /* of those that were answered */
    unsigned           next, answered, lost, under_way, bad;
    struct osp_crypto *crypto;
    struct osp_octx   *context;         /* NULL: plain */
    struct osp_layer  *layers;          /* of one request in JUDGE_EVERY */
};

static struct bench_batch batch;

/* ---- before ---- */

/* All blocks of a transfer come from one port. */
static unsigned
source_of(const struct load *l, unsigned i)
{
    return (l->blocks ? i % l->outstanding : i) / BATCH % l->sources;
}

static unsigned
block_of(const struct load *l, unsigned i)
{
    return i / l->outstanding % l->blocks;
}

static void
name_resource(struct load *l, unsigned i, struct text *t, struct osp_msg *m)
{
    if (l->request.n)
        return;
    (void)snprintf(t->name, sizeof(t->name), "r%u", l->first + i);
    bench_need(osp_msg_add(m, OSP_OPT_URI_PATH, osp_slice_str(l->own_names ? t->name : "temperature")), "Uri-Path");
    if (l->blocks)
        bench_need(osp_msg_add(m, OSP_OPT_BLOCK2, osp_opt_uint_make(block_of(l, i) << 4 | BLOCK_SZX, t->block)), "Block2");
}

static void
make_plain(struct load *l, unsigned i, struct text *t, struct osp_msg *m)
{
    if (l->request.n)
        osp_msg_copy(m, &l->like);
    else
        osp_msg_init(m, OSP_GET);
    m->type = l->type;
    m->mid = l->mid[source_of(l, i)]++;
    memset(t, 0, sizeof(*t));
    memcpy(t->token, &i, sizeof(i));
    m->token = osp_slice(t->token, TOKEN_LEN);
    bench_need(osp_msg_add(m, OSP_OPT_URI_HOST, osp_slice_str(l->host)), "Uri-Host");
    bench_need(osp_msg_add(m, OSP_OPT_URI_PORT, osp_opt_uint_make(l->port, t->port)), "Uri-Port");
    name_resource(l, i, t, m);
    bench_need(osp_msg_add(m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")), "Proxy-Scheme");
}

static void
make_request(struct load *l, unsigned i)
{
    static struct osp_msg m, sealed;
    static uint8_t        scratch[DATAGRAM_MAX], classes[OSP_MSG_OPTS_MAX];     /* all OSP_OPT_CLASS_E */
    struct text           text;
    struct osp_wr         made = osp_wr_to(scratch, sizeof(scratch)), w = osp_wr_to(l->requests[i].b, REQUEST_MAX);
    struct osp_layer      layer = { 0 };

    make_plain(l, i, &text, &m);
    if (!l->context) {
        bench_need(osp_msg_encode_udp(&m, &w), "encode");
    } else {
        bench_need(osp_oscore_protect_request(l->crypto, l->context, &m, classes, &made, &sealed, &layer), "protect");
        bench_need(osp_msg_encode_udp(&sealed, &w), "encode");
        if (i % JUDGE_EVERY == 0)
            l->layers[i / JUDGE_EVERY] = layer;
        else
            osp_layer_fini(&layer);
    }
    l->requests[i].len = (uint16_t)w.n;
}

static void
prepare(struct load *l)
{
    struct sockaddr_in any = { .sin_family = AF_INET };

    l->requests = calloc(l->count, sizeof(*l->requests));
    l->sent_ns = calloc(l->count, sizeof(*l->sent_ns));
    l->latency_us = calloc(l->count, sizeof(*l->latency_us));
    l->layers = calloc(l->count / JUDGE_EVERY + 1, sizeof(*l->layers));
    if (!l->requests || !l->sent_ns || !l->latency_us || !l->layers)
        bench_die("calloc");
    for (unsigned s = 0; s < l->sources; s++) {
        l->fd[s] = bench_socket(any);
        l->mid[s] = (uint16_t)bench_now_ns();
    }
    for (unsigned i = 0; i < l->count; i++)
        make_request(l, i);
}

/* ---- during ---- */

/* Whether the next request may go: there is room, and its transfer waits for no earlier block. */
static bool
may_send(const struct load *l)
{
    if (l->next == l->count || l->under_way == l->outstanding)
        return false;
    return !l->blocks || l->next < l->outstanding || !l->sent_ns[l->next - l->outstanding];
}

/* Sends whole batches, each from one port, as far as OUTSTANDING allows. */
static void
fill(struct load *l)
{
    while (may_send(l)) {
        unsigned s = source_of(l, l->next), n = 0;
        uint64_t now = bench_now_ns();

        bench_batch_reset(&batch);
        while (n < BATCH && may_send(l) && source_of(l, l->next) == s) {
            struct request *r = &l->requests[l->next];

            batch.v[n] = (struct iovec){ r->b, r->len };
            batch.a[n++] = l->target;
            l->sent_ns[l->next++] = now;
            l->under_way++;
        }
        bench_send(l->fd[s], &batch, n);
    }
}

/* What came, without the proxy's layer. */
static bool
is_content(const struct load *l, unsigned i, const struct osp_msg *m)
{
    const struct osp_opt *block = osp_msg_get(m, OSP_OPT_BLOCK2);
    uint32_t              value;

    if (m->code != OSP_CODE(2, 5) || m->payload.n == 0)
        return false;
    if (l->answer.n)
        return osp_slice_eq(m->payload, l->answer);
    if (!l->blocks)
        return true;
    return block && osp_opt_uint(block->val, &value) && value >> 4 == block_of(l, i) && (value & 7) == BLOCK_SZX &&
           (value >> 3 & 1) == (block_of(l, i) + 1 < l->blocks) && m->payload.n == BLOCK_SIZE;
}

static bool
is_good(struct load *l, unsigned i, struct osp_slice datagram)
{
    static struct osp_msg m, plain;
    static uint8_t        scratch[DATAGRAM_MAX];
    struct osp_wr         opened = osp_wr_to(scratch, sizeof(scratch));
    bool                  header_ok;

    if (i % JUDGE_EVERY != 0)
        return datagram.p[1] == (l->context ? OSP_CODE(2, 4) : OSP_CODE(2, 5));
    if (osp_msg_decode_udp(datagram, &m, &header_ok) != OSP_OK)
        return false;
    if (!l->context)
        return is_content(l, i, &m);
    return osp_oscore_unprotect_response(l->crypto, &l->layers[i / JUDGE_EVERY], &m, &opened, &plain) == OSP_OK &&
           is_content(l, i, &plain);
}

static void
take(struct load *l, struct osp_slice datagram, uint64_t now)
{
    uint32_t i;

    if (datagram.n < TOKEN_AT + TOKEN_LEN || (datagram.p[0] & 15) != TOKEN_LEN)
        return;
    memcpy(&i, datagram.p + TOKEN_AT, sizeof(i));
    if (i >= l->count || !l->sent_ns[i])
        return;
    l->latency_us[l->answered++] = (uint32_t)((now - l->sent_ns[i]) / 1000);
    l->sent_ns[i] = 0;
    l->under_way--;
    l->bad += !is_good(l, i, datagram);
}

static unsigned
drain(struct load *l, int fd)
{
    unsigned n = bench_receive(fd, &batch);
    uint64_t now = bench_now_ns();

    for (unsigned i = 0; i < n; i++)
        take(l, osp_slice(batch.b[i], batch.m[i].msg_len), now);
    return n;
}

static void
give_up(struct load *l)
{
    for (unsigned i = 0; i < l->next; i++)
        l->sent_ns[i] = 0;
    l->lost += l->under_way;
    l->under_way = 0;
}

static void
run(struct load *l)
{
    struct epoll_event ev[SOURCES_MAX];
    int                ep = epoll_create1(EPOLL_CLOEXEC);
    uint64_t           last = bench_now_ns();

    for (unsigned s = 0; s < l->sources; s++) {
        struct epoll_event e = { .events = EPOLLIN, .data.fd = l->fd[s] };

        if (epoll_ctl(ep, EPOLL_CTL_ADD, l->fd[s], &e) == -1)
            bench_die("epoll_ctl");
    }
    while (l->answered + l->lost < l->count) {
        int      ready;
        unsigned got = 0;

        fill(l);
        ready = epoll_wait(ep, ev, SOURCES_MAX, 100);
        for (int i = 0; i < ready; i++)
            got += drain(l, ev[i].data.fd);
        if (got)
            last = bench_now_ns();
        else if (bench_now_ns() - last > GIVE_UP_NS)
            give_up(l), last = bench_now_ns();
    }
    (void)close(ep);
}

/* ---- after ---- */

static int
by_size(const void *a, const void *b)
{
    uint32_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

static void
print(struct load *l, uint64_t ns)
{
    uint32_t p50 = 0, p99 = 0;

    qsort(l->latency_us, l->answered, sizeof(*l->latency_us), by_size);
    if (l->answered) {
        p50 = l->latency_us[l->answered / 2];
        p99 = l->latency_us[(uint64_t)l->answered * 99 / 100];
    }
    (void)printf("{\"requests\": %u, \"answered\": %u, \"lost\": %u, \"bad\": %u, \"seconds\": %.3f, \"per_second\": %.0f, "
                 "\"p50_us\": %" PRIu32 ", \"p99_us\": %" PRIu32 "}\n",
                 l->count, l->answered, l->lost, l->bad, (double)ns / 1e9, (double)l->answered * 1e9 / (double)ns, p50, p99);
}

static void
make_context(struct load *l, char **argv)
{
    static uint8_t         secret[64], sender[8], recipient[8];
    struct osp_octx_params p = { .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256 };

    p.master_secret = bench_bytes(argv, "secret", secret, sizeof(secret));
    p.sender_id = bench_bytes(argv, "sender", sender, sizeof(sender));
    p.recipient_id = bench_bytes(argv, "recipient", recipient, sizeof(recipient));
    if (!p.master_secret.n)
        return;
    bench_need(osp_crypto_new(&l->crypto), "crypto");
    bench_need(osp_octx_new(&p, &l->context), "context");
    osp_octx_grant(l->context, l->first, OSP_PIV_MAX);
}

static void
read_more(struct load *l, char **argv)
{
    static const char *const known[] = { "secret", "sender", "recipient", "first", "names", "request", "answer", "blocks", NULL };
    static uint8_t request[REQUEST_MAX], answer[DATAGRAM_MAX];
    const char    *first = bench_value(argv, "first"), *names = bench_value(argv, "names"), *blocks = bench_value(argv, "blocks");
    bool           header_ok;

    bench_know(argv, known);
    l->first = first ? (unsigned)strtoul(first, NULL, 10) : 0;
    l->own_names = names && strcmp(names, "own") == 0;
    l->blocks = blocks ? (unsigned)strtoul(blocks, NULL, 10) : 0;
    l->answer = bench_bytes(argv, "answer", answer, sizeof(answer));
    l->request = bench_bytes(argv, "request", request, sizeof(request));
    if (l->request.n)
        bench_need(osp_msg_decode_udp(l->request, &l->like, &header_ok), "request");
    make_context(l, argv);
}

int
main(int argc, char **argv)
{
    static struct load l;
    uint64_t           begin;

    if (argc < 9) {
        (void)fprintf(stderr, "usage: bench_load TARGET-IP PORT COUNT OUTSTANDING con|non SOURCES URI-HOST URI-PORT "
                              "[NAME=VALUE]...\n");
        return 2;
    }
    l.target = bench_addr(argv[1], argv[2]);
    l.count = (unsigned)strtoul(argv[3], NULL, 10);
    l.outstanding = (unsigned)strtoul(argv[4], NULL, 10);
    l.type = strcmp(argv[5], "con") == 0 ? OSP_CON : OSP_NON;
    l.sources = (unsigned)strtoul(argv[6], NULL, 10);
    l.host = argv[7];
    l.port = (uint32_t)strtoul(argv[8], NULL, 10);
    if (!l.count || !l.outstanding || !l.sources || l.sources > SOURCES_MAX)
        return 2;
    read_more(&l, argv + 9);
    prepare(&l);
    begin = bench_now_ns();
    run(&l);
    print(&l, bench_now_ns() - begin);
    return 0;
}
