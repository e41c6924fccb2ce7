/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A cheap origin: answers every request with 2.05 and a small payload, in batches.  With a key it takes an OSCORE layer
 * off first and puts it on the answer.
 *   bench_origin LISTEN-IP PORT [SECRET SENDER-ID RECIPIENT-ID]        (hexadecimal)
 */
#include <poll.h>

#include "msg/msg.h"
#include "oscore/oscore.h"
#include "tests/bench/bench.h"

static const uint8_t body[] = { 0xff, '2', '1', '.', '5', ' ', 'C', 'e', 'l' };

static struct bench_batch in, out;
static struct osp_crypto *crypto;
static struct osp_octx   *context;
static uint16_t           next_mid;

/* Type, Message ID and code of the answer to `m`. */
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
    bool                  header_ok;

    if (osp_msg_decode_udp(datagram, &m, &header_ok) != OSP_OK ||
        osp_oscore_unprotect_request(crypto, context, &m, &opened, &plain, &layer) != OSP_OK)
        return 0;
    osp_msg_init(&r, OSP_CODE(2, 5));
    address_answer(&m, &r);
    r.payload = osp_slice(body + 1, sizeof(body) - 1);
    if (osp_oscore_protect_response(crypto, &layer, &r, NULL, false, &made, &sealed) != OSP_OK ||
        osp_msg_encode_udp(&sealed, &w) != OSP_OK)
        w.n = 0;
    osp_layer_fini(&layer);
    return w.n;
}

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
    memcpy(dst + head, body, sizeof(body));
    return head + sizeof(body);
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
        len = context ? answer_protected(d, out.b[answers]) : answer_plain(d, out.b[answers]);
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

    p.master_secret = bench_hex(argv[0], secret, sizeof(secret));
    p.sender_id = bench_hex(argv[1], sender, sizeof(sender));
    p.recipient_id = bench_hex(argv[2], recipient, sizeof(recipient));
    bench_need(osp_crypto_new(&crypto), "crypto");
    bench_need(osp_octx_new(&p, &context), "context");
    osp_octx_set_window(context, &empty);
}

int
main(int argc, char **argv)
{
    struct pollfd p = { .events = POLLIN };

    if (argc != 3 && argc != 6) {
        (void)fprintf(stderr, "usage: bench_origin LISTEN-IP PORT [SECRET SENDER-ID RECIPIENT-ID]\n");
        return 2;
    }
    if (argc == 6)
        make_context(argv + 3);
    bench_batch_reset(&out);
    p.fd = bench_socket(bench_addr(argv[1], argv[2]));
    for (;;) {
        if (poll(&p, 1, -1) == -1 && errno != EINTR)
            bench_die("poll");
        serve(p.fd);
    }
}
