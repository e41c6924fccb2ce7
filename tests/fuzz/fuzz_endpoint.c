/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The message layer under a script of hostile datagrams, answers, requests of ours and time.  Whatever comes: a request
 * of ours ends once and not after it was cancelled, a handle comes up once, the tables stay within their bounds, a deadline
 * is never kept waiting, and once all is answered and the time for everything has passed nothing is pending and the
 * pool gets everything back.
 * Reaches osp_ep_input, osp_ep_expire, osp_ep_respond, osp_ep_dismiss, osp_ep_request, osp_ep_cancel.
 *
 * A script is a sequence of steps: a byte with the operation in its low 3 bits, then what the operation takes.
 */
#include <assert.h>
#include <stdlib.h>

#include "msg/endpoint.h"

#include "tests/prng.h"

#define REQUESTS 256
#define MESSAGES 32
#define DATAGRAM 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum request_state { UNUSED, OPEN, OPEN_KEPT, ENDED };

struct run {
    struct osp_ep      *ep;
    struct osp_txq      tx;
    struct osp_time     now;
    struct osp_event ev;
    uint64_t            newest;                 /* handle that came up last */
    uint64_t            handles[8];             /* of requests that came up */
    uint64_t            ours[REQUESTS];         /* handles of requests of ours, by `user` */
    enum request_state  state[REQUESTS];
    size_t              count;
    struct osp_flow     last_to;                /* the last CON or NON that went out: ops 1 and 2 answer it */
    uint16_t            last_mid;
    uint8_t             last_token[8];
    size_t              last_token_len;
};

static void
note_sent(struct run *r)
{
    for (size_t i = 0; i < r->tx.count; i++) {
        struct osp_msg m;
        bool           header;
        enum osp_err   e = osp_msg_decode_udp(r->tx.items[i].bytes, &m, &header);

        assert(e == OSP_OK);                    /* what we send can be read */
        (void)e;
        if (m.type > OSP_NON || m.token.n > sizeof(r->last_token))
            continue;
        r->last_to = r->tx.items[i].to;
        r->last_mid = m.mid;
        r->last_token_len = m.token.n;
        (void)osp_slice_copy(m.token, r->last_token, sizeof(r->last_token));
    }
    osp_txq_reset(&r->tx);
}

static void
note(struct run *r)
{
    const struct osp_event *ev = &r->ev;

    if (ev->kind == OSP_EV_REQUEST) {
        assert(ev->handle > r->newest);         /* never again */
        r->newest = ev->handle;
        r->handles[ev->handle % 8] = ev->handle;
    } else if (ev->kind == OSP_EV_RESPONSE || ev->kind == OSP_EV_FAILED) {
        assert(ev->user < r->count && r->ours[ev->user] == ev->handle);
        assert(r->state[ev->user] == OPEN || r->state[ev->user] == OPEN_KEPT);
        if (ev->kind == OSP_EV_FAILED || r->state[ev->user] == OPEN)
            r->state[ev->user] = ENDED;
    }
    assert(osp_ep_stats(r->ep)->messages <= MESSAGES && osp_ep_stats(r->ep)->requests <= 8);
    assert(osp_ep_stats(r->ep)->peers <= 3 && osp_ep_stats(r->ep)->queued <= 4);
    note_sent(r);
}

static void
pass(struct run *r, uint64_t us)
{
    struct osp_time end = osp_time_after(r->now, us), due;

    while (osp_ep_deadline(r->ep, &due) && due.us <= end.us) {
        r->now.us = due.us > r->now.us ? due.us : r->now.us + 1000;
        while (osp_ep_expire(r->ep, r->now, &r->tx, &r->ev))
            note(r);
    }
    r->now = end;
}

static void
input(struct run *r, const struct osp_flow *from, struct osp_slice body)
{
    osp_ep_input(r->ep, from, body, r->now, &r->tx, &r->ev);
    note(r);
}

/* An answer to the last message of ours, right but for what the script says: type and code, a Message ID, some options. */
static void
input_answer(struct run *r, bool own_mid, struct osp_rd *in)
{
    uint8_t        bytes[DATAGRAM], type = osp_rd_u8(in), code = osp_rd_u8(in);
    struct osp_wr  w = osp_wr_to(bytes, sizeof(bytes));
    uint16_t       mid = own_mid ? osp_rd_u16(in) : r->last_mid;
    size_t         token = code == OSP_EMPTY_CODE ? 0 : r->last_token_len;

    osp_wr_u8(&w, (uint8_t)(0x40u | (type & 3u) << 4 | token));
    osp_wr_u8(&w, code);
    osp_wr_u16(&w, mid);
    osp_wr_put(&w, osp_slice(r->last_token, token));
    osp_wr_put(&w, osp_rd_take(in, type >> 2 & 7));
    input(r, &r->last_to, osp_wr_slice(&w));
}

static void
cancel(struct run *r, size_t user)
{
    if (user >= r->count || r->state[user] == UNUSED)
        return;
    osp_ep_cancel(r->ep, r->ours[user]);
    r->state[user] = ENDED;
    note_sent(r);
}

static void
ask(struct run *r, const struct osp_addr *peer, struct osp_request how)
{
    struct osp_msg m;

    if (r->count == REQUESTS)
        return;
    osp_msg_init(&m, OSP_GET);
    how.user = r->count;
    how.deadline = osp_time_after(r->now, OSP_SEC(100));
    if (osp_ep_request(r->ep, peer, NULL, &m, &how, r->now, &r->tx, &r->ours[r->count]) == OSP_OK)
        r->state[r->count++] = how.keep ? OPEN_KEPT : OPEN;
    note_sent(r);
}

static void
respond(struct run *r, uint64_t handle, struct osp_respond how)
{
    struct osp_msg m;

    osp_msg_init(&m, OSP_CODE(2, 5));
    m.payload = osp_slice(&handle, sizeof(handle));
    if (osp_ep_respond(r->ep, handle, &m, how, r->now, &r->tx) == OSP_E_INVALID)
        assert(r->tx.count == 0);
    note_sent(r);
}

static void
step(struct run *r, struct osp_rd *in)
{
    uint8_t         op = osp_rd_u8(in);
    struct osp_flow from = { .sock = op >> 7 };

    from.peer.ip = osp_ip_v4(192, 0, 2, op >> 5 & 3);
    from.peer.port = 1000;
    switch (op & 7) {
    case 0:
        input(r, &from, osp_rd_take(in, osp_rd_u8(in) % 64));
        break;
    case 1:
    case 2:
        input_answer(r, (op & 7) == 2, in);
        break;
    case 3:
        respond(r, r->handles[op >> 5], (struct osp_respond){ .keep = op & 8, .confirmable = op & 16 });
        break;
    case 4:
        osp_ep_dismiss(r->ep, r->handles[op >> 5], op & 8, r->now, &r->tx);
        note_sent(r);
        break;
    case 5:
        ask(r, &from.peer, (struct osp_request){ .confirmable = !(op >> 4 & 1), .keep = op & 8 });
        break;
    case 6:
        cancel(r, r->count - 1 - (op >> 3) % (r->count ? r->count : 1));
        break;
    default:
        pass(r, OSP_MS(1) << (op >> 3 & 31) % 20);
        break;
    }
}

/* Answers and cancels what is open; then it is only a matter of time. */
static void
finish(struct run *r)
{
    for (uint64_t h = 1; h <= r->newest; h++) {
        osp_ep_dismiss(r->ep, h, h & 1, r->now, &r->tx);
        note_sent(r);
    }
    for (size_t i = 0; i < r->count; i++)
        if (r->state[i] == OPEN_KEPT)
            cancel(r, i);
    pass(r, OSP_SEC(400));
    for (size_t i = 0; i < r->count; i++)
        assert(r->state[i] == ENDED);
    assert(osp_ep_idle(r->ep));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct osp_rd     in = osp_rd_from(osp_slice(data, size));
    struct osp_pool   pool;
    struct osp_ep_cfg cfg;
    struct run        r = { .now = { 1000000 } };
    uint64_t          seed = 1;

    osp_ep_cfg_default(&cfg);
    cfg.max_messages = MESSAGES;
    cfg.max_requests = 8;
    cfg.max_peers = 3;
    cfg.nstart = 2;
    cfg.max_queued = 4;
    cfg.max_datagram = DATAGRAM;
    osp_pool_init(&pool, (size_t)16 << 20);
    if (osp_txq_init(&r.tx, 64, 64 * DATAGRAM) != OSP_OK ||
        osp_ep_new(&cfg, (struct osp_rand){ prng_fill, &seed }, &pool, r.now, &r.ep) != OSP_OK)
        abort();
    while (osp_rd_left(&in) > 0)
        step(&r, &in);
    if (size % 2 == 0)          /* else it is freed as it is */
        finish(&r);
    osp_ep_free(r.ep);
    assert(pool.used == 0);
    osp_pool_fini(&pool);
    osp_txq_fini(&r.tx);
    return 0;
}
