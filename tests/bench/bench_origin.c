/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A cheap origin: answers every request with 2.05 and a small payload, in batches.
 *   bench_origin LISTEN-IP PORT [NAME=VALUE]...
 *     secret= sender= recipient=   takes an OSCORE layer off first and puts it on the answer (hexadecimal)
 *     answer=HEX                   options, marker and payload of the answer to every request without such a layer
 *     size=N                       a resource of N bytes, given out in blocks of 1024
 */
#include <poll.h>

#include "msg/msg.h"
#include "oscore/oscore.h"
#include "tests/bench/bench.h"

#define BLOCK_SZX 6
#define BLOCK_SIZE 1024

static const uint8_t body[] = { 0xff, '2', '1', '.', '5', ' ', 'C', 'e', 'l' };
static const uint8_t block[BLOCK_SIZE], etag[4];

static struct bench_batch in, out;
static struct osp_crypto *crypto;
static struct osp_octx   *context;
static uint16_t           next_mid;
static struct osp_slice   tail = { body, sizeof(body) };        /* options, marker and payload of the plain answer */
static size_t             size;                                 /* of the resource; 0: it goes into one message */

/* The block that `m` asks for; 4.00 where there is none.  `value` holds the option. */
static void
make_block(const struct osp_msg *m, uint8_t value[4], struct osp_msg *r)
{
    const struct osp_opt *o = osp_msg_get(m, OSP_OPT_BLOCK2);
    uint32_t              wanted = 0, more;
    size_t                begin;

    if ((o && !osp_opt_uint(o->val, &wanted)) || (begin = (size_t)(wanted >> 4) * BLOCK_SIZE) >= size) {
        osp_msg_init(r, OSP_CODE(4, 0));
        return;
    }
    more = begin + BLOCK_SIZE < size;
    bench_need(osp_msg_add(r, OSP_OPT_ETAG, osp_slice(etag, sizeof(etag))), "ETag");
    bench_need(osp_msg_add(r, OSP_OPT_BLOCK2, osp_opt_uint_make((wanted >> 4) << 4 | more << 3 | BLOCK_SZX, value)), "Block2");
    r->payload = osp_slice(block, more ? BLOCK_SIZE : size - begin);
}

/* The answer to `m`, whose bytes it borrows. */
static void
make_answer(const struct osp_msg *m, uint8_t value[4], struct osp_msg *r)
{
    osp_msg_init(r, OSP_CODE(2, 5));
    if (size)
        make_block(m, value, r);
    else
        r->payload = osp_slice(body + 1, sizeof(body) - 1);
}

/* Type, Message ID and Token of the answer to `m`. */
static void
address_answer(const struct osp_msg *m, struct osp_msg *r)
{
    r->type = m->type == OSP_CON ? OSP_ACK : OSP_NON;
    r->mid = m->type == OSP_CON ? m->mid : next_mid++;
    r->token = m->token;
}

/* Bytes of the protected answer in `dst`, 0 when the request does not open. */
static size_t
answer_protected(struct osp_slice datagram, uint8_t *dst)
{
    static struct osp_msg m, plain, r, sealed;
    static uint8_t        a[DATAGRAM_MAX], b[DATAGRAM_MAX];
    struct osp_wr         opened = osp_wr_to(a, sizeof(a)), made = osp_wr_to(b, sizeof(b)), w = osp_wr_to(dst, DATAGRAM_MAX);
    struct osp_layer      layer = { 0 };
    uint8_t               value[4];
    bool                  header_ok;

    if (osp_msg_decode_udp(datagram, &m, &header_ok) != OSP_OK ||
        osp_oscore_unprotect_request(crypto, context, &m, &opened, &plain, &layer) != OSP_OK)
        return 0;
    make_answer(&plain, value, &r);
    address_answer(&m, &r);
    if (osp_oscore_protect_response(crypto, &layer, &r, NULL, false, &made, &sealed) != OSP_OK ||
        osp_msg_encode_udp(&sealed, &w) != OSP_OK)
        w.n = 0;
    osp_layer_fini(&layer);
    return w.n;
}

static size_t
answer_block(struct osp_slice datagram, uint8_t *dst)
{
    static struct osp_msg m, r;
    struct osp_wr         w = osp_wr_to(dst, DATAGRAM_MAX);
    uint8_t               value[4];
    bool                  header_ok;

    if (osp_msg_decode_udp(datagram, &m, &header_ok) != OSP_OK)
        return 0;
    make_answer(&m, value, &r);
    address_answer(&m, &r);
    return osp_msg_encode_udp(&r, &w) == OSP_OK ? w.n : 0;
}

/* The same to everybody: nothing of the request is read but its header. */
static size_t
answer_plain(struct osp_slice datagram, uint8_t *dst)
{
    size_t  head = 4u + (datagram.p[0] & 15u);
    bool    is_con = (datagram.p[0] & 0x30) == 0;
    uint8_t first = (uint8_t)(0x40 | (is_con ? 0x20 : 0x10) | (datagram.p[0] & 15));

    if (head > datagram.n)
        return 0;
    memcpy(dst, datagram.p, head);
    dst[0] = first;
    dst[1] = OSP_CODE(2, 5);
    if (!is_con) {
        dst[2] = (uint8_t)(next_mid >> 8);
        dst[3] = (uint8_t)next_mid++;
    }
    memcpy(dst + head, tail.p, tail.n);
    return head + tail.n;
}

static size_t
answer(struct osp_slice datagram, uint8_t *dst)
{
    if (context)
        return answer_protected(datagram, dst);
    return size ? answer_block(datagram, dst) : answer_plain(datagram, dst);
}

static void
serve(int fd)
{
    unsigned n = bench_receive(fd, &in), answers = 0;

    for (unsigned i = 0; i < n; i++) {
        struct osp_slice d = osp_slice(in.b[i], in.m[i].msg_len);
        size_t           len;

        if (d.n < 4 || !osp_code_is_request(d.p[1]))
            continue;
        len = answer(d, out.b[answers]);
        if (!len)
            continue;
        out.v[answers].iov_len = len;
        out.a[answers++] = in.a[i];
    }
    bench_send(fd, &out, answers);
}

static void
make_context(char **argv)
{
    static uint8_t         secret[64], sender[8], recipient[8];
    struct osp_octx_params p = { .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256 };
    struct osp_replay      empty = { 0 };

    p.master_secret = bench_bytes(argv, "secret", secret, sizeof(secret));
    p.sender_id = bench_bytes(argv, "sender", sender, sizeof(sender));
    p.recipient_id = bench_bytes(argv, "recipient", recipient, sizeof(recipient));
    if (!p.master_secret.n)
        return;
    bench_need(osp_crypto_new(&crypto), "crypto");
    bench_need(osp_octx_new(&p, &context), "context");
    osp_octx_set_window(context, &empty);
}

static void
read_more(char **argv)
{
    static const char *const known[] = { "secret", "sender", "recipient", "answer", "size", NULL };
    static uint8_t           given[1200];
    struct osp_slice         answer_tail = bench_bytes(argv, "answer", given, sizeof(given));
    const char              *text = bench_value(argv, "size");

    bench_know(argv, known);
    if (answer_tail.n)
        tail = answer_tail;
    size = text ? strtoul(text, NULL, 10) : 0;
    make_context(argv);
}

int
main(int argc, char **argv)
{
    struct pollfd p = { .events = POLLIN };

    if (argc < 3) {
        (void)fprintf(stderr, "usage: bench_origin LISTEN-IP PORT [NAME=VALUE]...\n");
        return 2;
    }
    read_more(argv + 3);
    bench_batch_reset(&out);
    p.fd = bench_socket(bench_addr(argv[1], argv[2]));
    for (;;) {
        if (poll(&p, 1, -1) == -1 && errno != EINTR)
            bench_die("poll");
        serve(p.fd);
    }
}
