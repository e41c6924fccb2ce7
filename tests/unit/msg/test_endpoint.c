/* SPDX-License-Identifier: BSD-2-Clause */
/* The message layer, one endpoint in virtual time: datagrams in, datagrams and events out. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "msg/endpoint.h"
#include "tests/unit/vec.h"

#define OUT_MAX 128

struct sent { struct osp_flow to; uint8_t bytes[1500]; size_t n; };

struct fix {
    struct osp_ep      *ep;
    struct osp_pool     pool;
    struct osp_txq      tx;
    struct osp_time     now;
    struct osp_ep_event ev;
    struct osp_ep_cfg   cfg;
    uint64_t            rng;
    struct sent         out[OUT_MAX];
    size_t              count;
    struct osp_flow     client, upstream;
};

static void
fill(void *ctx, uint8_t *dst, size_t n)
{
    struct fix *f = ctx;

    for (size_t i = 0; i < n; i++) {
        uint64_t z = f->rng += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        dst[i] = (uint8_t)(z >> 56);
    }
}

static void
start(struct fix *f)
{
    struct osp_rand rand = { fill, f };

    osp_pool_init(&f->pool, (size_t)64 << 20);
    EXPECT_OK(osp_txq_init(&f->tx, 64, 64 * 4096));
    EXPECT_OK(osp_ep_new(&f->cfg, rand, &f->pool, f->now, &f->ep));
}

static int
setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    f->now.us = OSP_SEC(1000);
    osp_ep_cfg_default(&f->cfg);
    f->cfg.max_messages = 1024;
    f->cfg.max_requests = 1024;
    f->client.peer.ip = osp_ip_v4(192, 0, 2, 1);
    f->client.peer.port = 40000;
    f->client.sock = 1;
    f->upstream.peer.ip = osp_ip_v4(192, 0, 2, 9);
    f->upstream.peer.port = 5683;
    start(f);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fix *f = *state;

    osp_ep_free(f->ep);
    assert_int_equal(f->pool.used, 0);
    osp_pool_fini(&f->pool);
    osp_txq_fini(&f->tx);
    free(f);
    return 0;
}

static void
restart(struct fix *f)
{
    osp_ep_free(f->ep);
    osp_pool_fini(&f->pool);
    osp_txq_fini(&f->tx);
    start(f);
}

static void
collect(struct fix *f)
{
    for (size_t i = 0; i < f->tx.count; i++) {
        assert_true(f->count < OUT_MAX);
        f->out[f->count].to = f->tx.items[i].to;
        f->out[f->count].n = f->tx.items[i].bytes.n;
        assert_true(osp_slice_copy(f->tx.items[i].bytes, f->out[f->count++].bytes, 1500));
    }
    osp_txq_reset(&f->tx);
}

static enum osp_ev_kind
in(struct fix *f, const struct osp_flow *from, struct osp_slice d)
{
    osp_ep_input(f->ep, from, d, f->now, &f->tx, &f->ev);
    collect(f);
    return f->ev.kind;
}

/* The oldest datagram that went out, decoded; the test ends without one. */
static struct sent
take(struct fix *f, struct osp_msg *m)
{
    struct sent s;
    bool        header;

    assert_true(f->count > 0);
    s = f->out[0];
    memmove(&f->out[0], &f->out[1], --f->count * sizeof(f->out[0]));
    if (m) {
        static uint8_t keep[1500];
        memcpy(keep, s.bytes, s.n);
        EXPECT_OK(osp_msg_decode_udp(osp_slice(keep, s.n), m, &header));
    }
    return s;
}

static void
nothing_sent(struct fix *f)
{
    assert_int_equal(f->count, 0);
}

/* Moves the clock to `us` from now, stopping at the first event. */
static enum osp_ev_kind
pass(struct fix *f, uint64_t us)
{
    struct osp_time end = osp_time_after(f->now, us), due;

    for (;;) {
        while (osp_ep_expire(f->ep, f->now, &f->tx, &f->ev)) {
            collect(f);
            if (f->ev.kind != OSP_EV_NONE)
                return f->ev.kind;
        }
        collect(f);
        if (!osp_ep_deadline(f->ep, &due) || due.us > end.us)
            break;
        f->now.us = due.us > f->now.us ? due.us : f->now.us + 1000;
    }
    f->now = end;
    return OSP_EV_NONE;
}

static struct osp_slice
datagram(uint8_t *buf, uint8_t type, uint8_t code, uint16_t mid, const char *token, const char *payload)
{
    struct osp_msg m;
    struct osp_wr  w = osp_wr_to(buf, 1500);

    osp_msg_init(&m, code);
    m.type = type;
    m.mid = mid;
    m.token = osp_slice_str(token);
    m.payload = osp_slice_str(payload);
    EXPECT_OK(osp_msg_encode_udp(&m, &w));
    return osp_wr_slice(&w);
}

static void
respond(struct fix *f, uint64_t handle, const char *payload, struct osp_respond how)
{
    struct osp_msg m;

    osp_msg_init(&m, OSP_CODE(2, 5));
    m.payload = osp_slice_str(payload);
    EXPECT_OK(osp_ep_respond(f->ep, handle, &m, how, f->now, &f->tx));
    collect(f);
}

static uint64_t
request(struct fix *f, uint8_t type, uint64_t user)
{
    struct osp_request how = { .type = type, .user = user, .deadline = osp_time_after(f->now, OSP_SEC(200)) };
    struct osp_msg     m;
    uint64_t           h = 0;

    osp_msg_init(&m, OSP_GET);
    EXPECT_OK(osp_ep_request(f->ep, &f->upstream.peer, NULL, &m, &how, f->now, &f->tx, &h));
    collect(f);
    return h;
}

/* ---- what cannot be read ---- */

/* rows M01, M02, M03, M04, M05, M06, K02 */
/* [rfc7252#3] [rfc7252#4.2] [rfc7252#4.3] [rfc8974#2.1] */
static void
every_vector_gets_the_reaction_it_asks_for(void **state)
{
    struct fix *f = *state;
    json_t     *j = vec_load("coap-codec.json"), *v;
    const char *lists[] = { "malformed", "valid" };
    uint8_t     buf[70000];
    size_t      i, checked = 0;

    for (int l = 0; l < 2; l++) {
        json_array_foreach(json_object_get(j, lists[l]), i, v) {
            json_t          *expect = json_object_get(v, "expect");
            const char      *reaction = json_string_value(json_object_get(expect, "reaction"));
            struct osp_slice d = vec_hex(v, "hex", buf, sizeof(buf));

            if (strcmp(vec_str(v, "transport"), "udp") != 0 || !reaction)
                continue;
            if (json_object_get(expect, "needs"))       /* an endpoint without extended tokens: ours has them */
                continue;
            restart(f);
            if (in(f, &f->client, d) != OSP_EV_NONE)
                fail_msg("%s came up", vec_str(v, "id"));
            if (strstr(reaction, "RST with") == reaction) {
                if (f->count != 1 || f->out[0].n != 4 || f->out[0].bytes[0] != 0x70 ||
                    memcmp(f->out[0].bytes + 2, buf + 2, 2) != 0)
                    fail_msg("%s: %s", vec_str(v, "id"), reaction);
                f->count = 0;
            } else if (f->count != 0) {
                fail_msg("%s: %s, but something was sent", vec_str(v, "id"), reaction);
            }
            checked++;
        }
    }
    assert_true(checked > 35);
    /* a ping [rfc7252#4.3] */
    assert_int_equal(in(f, &f->client, osp_slice("\x40\x00\x12\x34", 4)), OSP_EV_NONE);
    EXPECT_BYTES(osp_slice("\x70\x00\x12\x34", 4), osp_slice(f->out[0].bytes, f->out[0].n));
    json_decref(j);
}

/* row K03 */
/* [rfc8974#2.2.2] */
static void
token_that_is_too_long_gets_4_00_and_no_reset(void **state)
{
    struct fix    *f = *state;
    uint8_t        buf[1500];
    char           token[101];
    struct osp_msg m;

    memset(token, 't', 100);
    token[100] = '\0';
    assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, 7, token, "")), OSP_EV_NONE);
    take(f, &m);
    assert_int_equal(m.type, OSP_ACK);
    assert_int_equal(m.code, OSP_CODE(4, 0));
    assert_int_equal(m.token.n, 100);
}

/* ---- server role ---- */

/* rows M07, K01 */
static void
answer_in_time_is_piggybacked_with_mid_and_token(void **state)
{
    static const size_t lens[] = { 0, 1, 8, 13, 40, 64 };
    struct fix         *f = *state;
    uint8_t             buf[1500];
    char                token[70];
    struct osp_msg      m;

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        memset(token, 'a' + (int)i, sizeof(token));
        token[lens[i]] = '\0';
        assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, (uint16_t)(100 + i), token, "")), OSP_EV_REQUEST);
        respond(f, f->ev.handle, "x", (struct osp_respond){ 0 });
        take(f, &m);
        assert_int_equal(m.type, OSP_ACK);
        assert_int_equal(m.mid, 100 + i);
        EXPECT_BYTES(osp_slice_str(token), m.token);
    }
    assert_true(osp_ep_idle(f->ep));
}

/* row M08 */
/* [rfc7252#4.5] */
static void
duplicate_con_gets_the_same_bytes_and_does_not_come_up(void **state)
{
    struct fix      *f = *state;
    uint8_t          buf[1500];
    struct osp_slice d = datagram(buf, OSP_CON, OSP_POST, 7, "t", "p");
    struct sent      first;

    assert_int_equal(in(f, &f->client, d), OSP_EV_REQUEST);
    assert_int_equal(in(f, &f->client, d), OSP_EV_NONE);        /* not answered yet: nothing to repeat */
    nothing_sent(f);
    respond(f, f->ev.handle = 1, "answer", (struct osp_respond){ 0 });
    first = take(f, NULL);
    for (int i = 0; i < 3; i++) {
        struct sent again;

        pass(f, OSP_SEC(80));
        assert_int_equal(in(f, &f->client, d), OSP_EV_NONE);
        again = take(f, NULL);
        EXPECT_BYTES(osp_slice(first.bytes, first.n), osp_slice(again.bytes, again.n));
    }
    pass(f, OSP_SEC(10));
    assert_int_equal(in(f, &f->client, d), OSP_EV_REQUEST);     /* 250 s later it is a new message */
    osp_ep_dismiss(f->ep, f->ev.handle, false, f->now, &f->tx);
}

/* row M09 */
static void
duplicate_non_is_ignored(void **state)
{
    struct fix      *f = *state;
    uint8_t          buf[1500];
    struct osp_slice d = datagram(buf, OSP_NON, OSP_GET, 7, "t", "");
    struct osp_msg   m;

    assert_int_equal(in(f, &f->client, d), OSP_EV_REQUEST);
    respond(f, f->ev.handle, "x", (struct osp_respond){ 0 });
    take(f, &m);
    assert_int_equal(m.type, OSP_NON);
    assert_int_equal(in(f, &f->client, d), OSP_EV_NONE);
    nothing_sent(f);
    pass(f, OSP_SEC(146));
    assert_int_equal(in(f, &f->client, d), OSP_EV_REQUEST);
    osp_ep_dismiss(f->ep, f->ev.handle, false, f->now, &f->tx);
}

/* row M10 */
static void
same_mid_from_another_port_or_socket_is_another_message(void **state)
{
    struct fix      *f = *state;
    uint8_t          buf[1500];
    struct osp_slice d = datagram(buf, OSP_NON, OSP_GET, 7, "t", "");

    assert_int_equal(in(f, &f->client, d), OSP_EV_REQUEST);
    osp_ep_dismiss(f->ep, f->ev.handle, false, f->now, &f->tx);
    f->client.peer.port++;
    assert_int_equal(in(f, &f->client, d), OSP_EV_REQUEST);
    osp_ep_dismiss(f->ep, f->ev.handle, false, f->now, &f->tx);
    f->client.sock++;
    assert_int_equal(in(f, &f->client, d), OSP_EV_REQUEST);
    osp_ep_dismiss(f->ep, f->ev.handle, false, f->now, &f->tx);
}

/* rows M11, M13 */
/* [rfc7252#5.2.2] [rfc7252#4.2] */
static void
late_answer_is_acknowledged_early_and_sent_until_it_is_acknowledged(void **state)
{
    struct fix      *f = *state;
    uint8_t          buf[1500];
    struct osp_slice d = datagram(buf, OSP_CON, OSP_GET, 7, "tok", "");
    struct osp_msg   m;
    struct sent      first, again;
    uint64_t         h, t0;

    in(f, &f->client, d);
    h = f->ev.handle;
    t0 = f->now.us;
    pass(f, OSP_SEC(5));
    take(f, &m);
    assert_int_equal(m.type, OSP_ACK);
    assert_int_equal(m.code, 0);
    assert_int_equal(m.mid, 7);
    (void)t0;
    assert_int_equal(in(f, &f->client, d), OSP_EV_NONE);        /* its duplicate: the ACK again */
    take(f, &m);
    assert_int_equal(m.type, OSP_ACK);
    respond(f, h, "late", (struct osp_respond){ 0 });
    first = take(f, &m);
    assert_int_equal(m.type, OSP_CON);
    EXPECT_BYTES(osp_slice_str("tok"), m.token);
    pass(f, OSP_SEC(4));
    again = take(f, NULL);
    EXPECT_BYTES(osp_slice(first.bytes, first.n), osp_slice(again.bytes, again.n));
    f->count = 0;
    assert_false(osp_ep_idle(f->ep));
    in(f, &f->client, datagram(buf, OSP_ACK, 0, m.mid, "", ""));
    assert_true(osp_ep_idle(f->ep));
    pass(f, OSP_SEC(100));
    nothing_sent(f);
}

/* The early ACK comes well before the client's first retransmission. */
static void
early_ack_comes_well_before_two_seconds(void **state)
{
    struct fix *f = *state;
    uint8_t     buf[1500];

    in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, 7, "t", ""));
    pass(f, OSP_MS(499));
    nothing_sent(f);
    pass(f, OSP_MS(101));
    assert_int_equal(f->count, 1);
    osp_ep_dismiss(f->ep, 1, false, f->now, &f->tx);
}

/* row M14 */
static void
reset_stops_a_separate_response(void **state)
{
    struct fix    *f = *state;
    uint8_t        buf[1500];
    struct osp_msg m;

    in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, 7, "t", ""));
    pass(f, OSP_SEC(1));
    f->count = 0;
    respond(f, 1, "late", (struct osp_respond){ 0 });
    take(f, &m);
    in(f, &f->client, datagram(buf, OSP_RST, 0, m.mid, "", ""));
    pass(f, OSP_SEC(100));
    nothing_sent(f);
    assert_true(osp_ep_idle(f->ep));
}

static void
separate_response_is_given_up_after_four_retransmissions(void **state)
{
    struct fix *f = *state;
    uint8_t     buf[1500];

    in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, 7, "t", ""));
    pass(f, OSP_SEC(1));
    f->count = 0;
    respond(f, 1, "late", (struct osp_respond){ 0 });
    pass(f, OSP_SEC(120));
    assert_int_equal(f->count, 5);
    assert_true(osp_ep_idle(f->ep));
}

static void
stale_handle_is_refused(void **state)
{
    struct fix    *f = *state;
    uint8_t        buf[1500];
    struct osp_msg m;

    in(f, &f->client, datagram(buf, OSP_NON, OSP_GET, 7, "t", ""));
    respond(f, 1, "x", (struct osp_respond){ 0 });
    osp_msg_init(&m, OSP_CODE(2, 5));
    EXPECT_ERR(OSP_E_INVALID, osp_ep_respond(f->ep, 1, &m, (struct osp_respond){ 0 }, f->now, &f->tx));
    EXPECT_ERR(OSP_E_INVALID, osp_ep_respond(f->ep, 99, &m, (struct osp_respond){ 0 }, f->now, &f->tx));
    osp_ep_dismiss(f->ep, 99, true, f->now, &f->tx);
}

static void
dismissed_con_is_acknowledged_or_reset_and_so_are_its_duplicates(void **state)
{
    struct fix      *f = *state;
    uint8_t          buf[1500];
    struct osp_slice d = datagram(buf, OSP_CON, OSP_GET, 7, "t", "");
    struct osp_msg   m;

    for (int reset = 0; reset < 2; reset++) {
        in(f, &f->client, d);
        osp_ep_dismiss(f->ep, f->ev.handle, reset, f->now, &f->tx);
        collect(f);
        in(f, &f->client, d);
        for (int i = 0; i < 2; i++) {
            take(f, &m);
            assert_int_equal(m.type, reset ? OSP_RST : OSP_ACK);
            assert_int_equal(m.code, 0);
        }
        f->client.peer.port++;
    }
}

static void
several_responses_keep_the_handle(void **state)
{
    struct fix        *f = *state;
    uint8_t            buf[1500];
    struct osp_respond more = { .keep = true }, con = { .keep = true, .confirmable = true };
    struct osp_msg     m;

    in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, 7, "t", ""));
    respond(f, 1, "first", more);
    take(f, &m);
    assert_int_equal(m.type, OSP_ACK);
    respond(f, 1, "second", more);
    take(f, &m);
    assert_int_equal(m.type, OSP_NON);
    respond(f, 1, "third", con);
    take(f, &m);
    assert_int_equal(m.type, OSP_CON);
    assert_int_equal(in(f, &f->client, datagram(buf, OSP_ACK, 0, m.mid, "", "")), OSP_EV_DELIVERED);
    pass(f, OSP_SEC(300));      /* longer than the message's lifetime */
    respond(f, 1, "fourth", more);
    take(f, &m);
    assert_int_equal(in(f, &f->client, datagram(buf, OSP_RST, 0, m.mid, "", "")), OSP_EV_REJECTED);
    assert_int_equal(f->ev.handle, 1);
    assert_int_equal(f->ev.err, OSP_E_RESET);
    assert_true(osp_ep_idle(f->ep));
}

/* [rfc7641#4.5.2] */
static void
news_does_not_keep_a_dead_client_alive(void **state)
{
    struct fix        *f = *state;
    uint8_t            buf[1500];
    struct osp_respond con = { .keep = true, .confirmable = true };
    int                sent = 0;

    in(f, &f->client, datagram(buf, OSP_NON, OSP_GET, 7, "t", ""));
    respond(f, 1, "first", con);
    f->count = 0;
    while (sent < 100) {        /* every second, and none is acknowledged */
        struct osp_msg m;
        enum osp_ev_kind k;

        osp_msg_init(&m, OSP_CODE(2, 5));
        if (osp_ep_respond(f->ep, 1, &m, con, f->now, &f->tx) != OSP_OK)
            break;
        sent++;
        k = pass(f, OSP_SEC(1));
        f->count = 0;
        if (k == OSP_EV_REJECTED)
            break;
    }
    assert_int_equal(f->ev.kind, OSP_EV_REJECTED);
    assert_int_equal(f->ev.err, OSP_E_TIMEOUT);
    assert_true(sent < 94);     /* MAX_TRANSMIT_WAIT at most, as for a single one */
    assert_true(osp_ep_idle(f->ep));
}

/* ---- client role ---- */

/* row M12 */
static void
request_is_sent_five_times_with_doubling_gaps(void **state)
{
    struct fix *f = *state;
    uint64_t    last, gap, base = 0;

    request(f, OSP_CON, 5);
    assert_int_equal(f->count, 1);
    last = f->now.us;
    for (int i = 0; i < 4; i++) {
        struct osp_time due;

        f->count = 0;
        assert_true(osp_ep_deadline(f->ep, &due));
        while (f->count == 0)
            pass(f, OSP_MS(4));
        gap = f->now.us - last;
        base = base ? base * 2 : gap;
        assert_in_range(gap, OSP_SEC(2u << i) - OSP_MS(10), OSP_SEC(3u << i) + OSP_MS(10));
        assert_in_range(gap, base - OSP_MS(100), base + OSP_MS(100));
        last = f->now.us;
    }
    assert_int_equal(pass(f, OSP_SEC(60)), OSP_EV_FAILED);
    assert_int_equal(f->ev.err, OSP_E_TIMEOUT);
    assert_int_equal(f->ev.user, 5);
    assert_true(osp_ep_idle(f->ep));
}

static void
piggybacked_and_separate_responses_reach_the_request(void **state)
{
    struct fix    *f = *state;
    uint8_t        buf[1500];
    struct osp_msg m;
    char           token[9] = "";

    request(f, OSP_CON, 1);
    take(f, &m);
    assert_int_equal(m.token.n, 8);
    memcpy(token, m.token.p, 8);
    {
        struct osp_msg r;
        struct osp_wr  w = osp_wr_to(buf, sizeof(buf));

        osp_msg_init(&r, OSP_CODE(2, 5));
        r.type = OSP_ACK;
        r.mid = m.mid;
        r.token = m.token;
        EXPECT_OK(osp_msg_encode_udp(&r, &w));
        assert_int_equal(in(f, &f->upstream, osp_wr_slice(&w)), OSP_EV_RESPONSE);
        assert_int_equal(f->ev.user, 1);
        assert_int_equal(in(f, &f->upstream, osp_wr_slice(&w)), OSP_EV_NONE);   /* a copy is ignored */
    }
    assert_true(osp_ep_idle(f->ep));
    nothing_sent(f);
}

static struct osp_slice
response(uint8_t *buf, uint8_t type, uint16_t mid, struct osp_slice token)
{
    struct osp_msg r;
    struct osp_wr  w = osp_wr_to(buf, 1500);

    osp_msg_init(&r, OSP_CODE(2, 5));
    r.type = type;
    r.mid = mid;
    r.token = token;
    EXPECT_OK(osp_msg_encode_udp(&r, &w));
    return osp_wr_slice(&w);
}

/* row M15 */
static void
con_response_is_acknowledged_once_per_copy_and_delivered_once(void **state)
{
    struct fix      *f = *state;
    uint8_t          buf[1500], ack[1500];
    struct osp_msg   m, a;
    struct osp_slice d;

    request(f, OSP_CON, 1);
    take(f, &m);
    assert_int_equal(in(f, &f->upstream, datagram(ack, OSP_ACK, 0, m.mid, "", "")), OSP_EV_NONE);
    pass(f, OSP_SEC(10));
    nothing_sent(f);            /* acknowledged: not sent again */
    d = response(buf, OSP_CON, 0x4242, m.token);
    assert_int_equal(in(f, &f->upstream, d), OSP_EV_RESPONSE);
    assert_int_equal(in(f, &f->upstream, d), OSP_EV_NONE);
    for (int i = 0; i < 2; i++) {
        take(f, &a);
        assert_int_equal(a.type, OSP_ACK);
        assert_int_equal(a.mid, 0x4242);
    }
    assert_true(osp_ep_idle(f->ep));
}

/* row M16 */
static void
unmatched_con_response_is_reset_and_unmatched_others_are_ignored(void **state)
{
    struct fix    *f = *state;
    uint8_t        buf[1500];
    struct osp_msg m;

    in(f, &f->upstream, response(buf, OSP_CON, 9, osp_slice_str("nobodys!")));
    take(f, &m);
    assert_int_equal(m.type, OSP_RST);
    assert_int_equal(m.mid, 9);
    in(f, &f->upstream, response(buf, OSP_NON, 9, osp_slice_str("nobodys!")));
    in(f, &f->upstream, response(buf, OSP_ACK, 9, osp_slice_str("nobodys!")));
    nothing_sent(f);
}

/* row M20 */
/* [rfc7252#5.3.2] */
static void
response_counts_only_from_where_it_was_asked(void **state)
{
    struct fix      *f = *state;
    uint8_t          buf[1500];
    struct osp_msg   m;
    struct osp_flow  other = f->upstream;
    struct osp_slice d;

    request(f, OSP_NON, 1);
    take(f, &m);
    d = response(buf, OSP_NON, 3, m.token);
    other.peer.port++;
    assert_int_equal(in(f, &other, d), OSP_EV_NONE);
    other = f->upstream;
    other.sock = 1;
    assert_int_equal(in(f, &other, d), OSP_EV_NONE);
    other = f->upstream;
    other.peer.ip.b[15]++;
    assert_int_equal(in(f, &other, d), OSP_EV_NONE);
    assert_int_equal(in(f, &f->upstream, d), OSP_EV_RESPONSE);
}

static void
ack_with_a_wrong_token_or_from_elsewhere_changes_nothing(void **state)
{
    struct fix     *f = *state;
    uint8_t         buf[1500];
    struct osp_msg  m;
    struct osp_flow other = f->upstream;

    request(f, OSP_CON, 1);
    take(f, &m);
    assert_int_equal(in(f, &f->upstream, response(buf, OSP_ACK, m.mid, osp_slice_str("wrongtok"))), OSP_EV_NONE);
    other.peer.port++;
    assert_int_equal(in(f, &other, datagram(buf, OSP_ACK, 0, m.mid, "", "")), OSP_EV_NONE);
    assert_int_equal(in(f, &other, datagram(buf, OSP_RST, 0, m.mid, "", "")), OSP_EV_NONE);
    pass(f, OSP_SEC(4));
    assert_int_equal(f->count, 1);      /* still being sent again */
    f->count = 0;
}

/* [rfc7252#5.3.2] [rfc7252#4.3] */
static void
ack_answers_only_the_con_whose_mid_and_token_it_has(void **state)
{
    struct fix    *f = *state;
    uint8_t        buf[1500], tokens[3][8];
    uint16_t       mids[3];
    struct osp_msg m;

    for (int i = 0; i < 3; i++) {
        request(f, i < 2 ? OSP_CON : OSP_NON, (uint64_t)i);
        take(f, &m);
        mids[i] = m.mid;
        assert_true(osp_slice_copy(m.token, tokens[i], 8));
    }
    assert_int_equal(in(f, &f->upstream, response(buf, OSP_ACK, mids[0], osp_slice(tokens[1], 8))), OSP_EV_NONE);
    assert_int_equal(in(f, &f->upstream, response(buf, OSP_ACK, mids[2], osp_slice(tokens[2], 8))), OSP_EV_NONE);
    assert_int_equal(in(f, &f->upstream, datagram(buf, OSP_ACK, 0, mids[2], "", "")), OSP_EV_NONE);
    assert_int_equal(in(f, &f->upstream, datagram(buf, OSP_ACK, OSP_GET, mids[0], "", "")), OSP_EV_NONE);
    assert_int_equal(osp_ep_stats(f->ep)->dropped[OSP_E_UNMATCHED], 4);
    for (int i = 0; i < 3; i++) {
        uint8_t type = i < 2 ? OSP_ACK : OSP_NON;

        assert_int_equal(in(f, &f->upstream, response(buf, type, mids[i], osp_slice(tokens[i], 8))), OSP_EV_RESPONSE);
        assert_int_equal(f->ev.user, i);
    }
    assert_true(osp_ep_idle(f->ep));
    nothing_sent(f);
}

static void
reset_and_garbage_in_the_ack_end_the_request(void **state)
{
    struct fix    *f = *state;
    uint8_t        buf[1500], bad[8] = { 0x62, 0x45, 0, 0, 1, 2, 0xff };
    struct osp_msg m;

    for (int type = OSP_CON; type <= OSP_NON; type++) {
        request(f, (uint8_t)type, 1);
        take(f, &m);
        assert_int_equal(in(f, &f->upstream, datagram(buf, OSP_RST, 0, m.mid, "", "")), OSP_EV_FAILED);
        assert_int_equal(f->ev.err, OSP_E_RESET);
    }
    request(f, OSP_CON, 1);
    take(f, &m);
    bad[2] = (uint8_t)(m.mid >> 8);
    bad[3] = (uint8_t)m.mid;
    assert_int_equal(in(f, &f->upstream, osp_slice(bad, 7)), OSP_EV_FAILED);    /* a marker without payload */
    assert_int_equal(f->ev.err, OSP_E_BAD_RESPONSE);
    assert_true(osp_ep_idle(f->ep));
}

static void
deadline_ends_a_request_once(void **state)
{
    struct fix    *f = *state;
    uint8_t        buf[1500];
    struct osp_msg m;

    request(f, OSP_NON, 8);
    take(f, &m);
    assert_int_equal(pass(f, OSP_SEC(250)), OSP_EV_FAILED);
    assert_int_equal(f->ev.user, 8);
    assert_int_equal(pass(f, OSP_SEC(250)), OSP_EV_NONE);
    assert_int_equal(in(f, &f->upstream, response(buf, OSP_NON, 3, m.token)), OSP_EV_NONE);
}

/* row M17 */
/* [rfc7252#4.7] */
static void
nstart_bounds_what_is_outstanding_per_peer(void **state)
{
    struct fix    *f = *state;
    uint8_t        buf[1500];
    struct osp_msg m;
    struct osp_flow first;

    f->cfg.nstart = 3;
    restart(f);
    for (uint64_t i = 0; i < 20; i++)
        request(f, OSP_CON, i);
    assert_int_equal(f->count, 3);
    first = take(f, &m).to;
    (void)first;
    /* one is answered: one more goes */
    assert_int_equal(in(f, &f->upstream, response(buf, OSP_ACK, m.mid, m.token)), OSP_EV_RESPONSE);
    f->count = 0;
    pass(f, OSP_MS(4));
    assert_int_equal(f->count, 1);
    /* another peer is not held up */
    f->upstream.peer.port++;
    request(f, OSP_CON, 99);
    assert_int_equal(f->count, 2);
    f->count = 0;
    /* in the end every one of them is over */
    for (int n = 0; n < 20; n++)
        while (pass(f, OSP_SEC(300)) != OSP_EV_FAILED)
            f->count = 0;
    assert_true(osp_ep_idle(f->ep));
    f->count = 0;
}

/* row M18 */
/* [rfc7252#4.4] */
static void
message_ids_are_not_reused_within_their_lifetime(void **state)
{
    struct fix     *f = *state;
    static uint8_t  seen[2][65536];
    struct osp_msg  m, q;
    uint64_t        h;
    size_t          sent = 0;
    struct osp_request how = { .type = OSP_NON };

    f->cfg.client_socks = 2;
    f->cfg.max_requests = 16;
    restart(f);
    memset(seen, 0, sizeof(seen));
    osp_msg_init(&q, OSP_GET);
    for (int i = 0; i < 140000; i++) {
        how.deadline = osp_time_after(f->now, OSP_SEC(200));
        if (osp_ep_request(f->ep, &f->upstream.peer, NULL, &q, &how, f->now, &f->tx, &h) != OSP_OK)
            break;
        collect(f);
        sent++;
        struct sent s = take(f, &m);
        assert_int_equal(seen[s.to.sock][m.mid]++, 0);
        osp_ep_cancel(f->ep, h);
        f->now.us += 1000;
    }
    assert_in_range(sent, 2 * 65536 - 2 * 4096, 2 * 65536);     /* a started block may not be begun again */
    f->now.us += OSP_SEC(247);
    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < 60000; i++) {
        EXPECT_OK(osp_ep_request(f->ep, &f->upstream.peer, NULL, &q, &how, f->now, &f->tx, &h));
        collect(f);
        struct sent s = take(f, &m);
        assert_int_equal(seen[s.to.sock][m.mid]++, 0);
        osp_ep_cancel(f->ep, h);
        f->now.us += 1000;
    }
}

/* row M18 */
static void
message_ids_go_on_where_a_forgotten_peer_had_come_to(void **state)
{
    struct fix        *f = *state;
    struct osp_request how = { .type = OSP_NON, .deadline = osp_time_after(f->now, OSP_SEC(200)) };
    struct osp_msg     m, q;
    uint16_t           next[2] = { 0 };
    uint64_t           h;

    f->cfg.max_peers = 1;       /* each of the two pushes the other out */
    restart(f);
    osp_msg_init(&q, OSP_GET);
    for (int i = 0; i < 400; i++) {
        struct osp_addr peer = f->upstream.peer;

        peer.port = (uint16_t)(peer.port + i % 2);
        EXPECT_OK(osp_ep_request(f->ep, &peer, NULL, &q, &how, f->now, &f->tx, &h));
        collect(f);
        take(f, &m);
        if (i >= 2)
            assert_int_equal(m.mid, next[i % 2]);
        next[i % 2] = (uint16_t)(m.mid + 1);
        assert_int_equal(osp_ep_stats(f->ep)->peers, 1);
        osp_ep_cancel(f->ep, h);
    }
}

static void
queued_request_for_which_no_message_id_is_left_fails(void **state)
{
    struct fix        *f = *state;
    struct osp_request how = { .type = OSP_NON, .deadline = osp_time_after(f->now, OSP_SEC(200)) };
    uint8_t            buf[1500];
    struct osp_msg     m, q;
    uint64_t           h;

    f->cfg.nstart = 1;
    restart(f);
    request(f, OSP_CON, 1);
    take(f, &m);
    request(f, OSP_CON, 2);
    nothing_sent(f);
    osp_msg_init(&q, OSP_GET);
    while (osp_ep_request(f->ep, &f->upstream.peer, NULL, &q, &how, f->now, &f->tx, &h) == OSP_OK) {
        osp_txq_reset(&f->tx);
        osp_ep_cancel(f->ep, h);
    }
    assert_int_equal(in(f, &f->upstream, datagram(buf, OSP_ACK, 0, m.mid, "", "")), OSP_EV_NONE);
    assert_int_equal(pass(f, OSP_MS(4)), OSP_EV_FAILED);
    assert_int_equal(f->ev.user, 2);
    assert_int_equal(f->ev.err, OSP_E_OVERLOAD);
    assert_int_equal(osp_ep_stats(f->ep)->queued, 0);
}

/* row M19 */
/* [rfc7252#5.3.1] */
static void
tokens_are_long_and_do_not_repeat(void **state)
{
    struct fix    *f = *state;
    static uint8_t tokens[1000][8];
    struct osp_msg m;

    for (int i = 0; i < 1000; i++) {
        request(f, OSP_NON, 1);
        take(f, &m);
        assert_int_equal(m.token.n, 8);
        memcpy(tokens[i], m.token.p, 8);
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(tokens[k], tokens[i], 8);
    }
}

/* ---- bounds ---- */

static void
full_store_evicts_finished_entries_and_refuses_beyond(void **state)
{
    struct fix    *f = *state;
    uint8_t        buf[1500];
    struct osp_msg m;

    f->cfg.max_messages = 64;
    restart(f);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, (uint16_t)i, "t", "")), OSP_EV_REQUEST);
        respond(f, f->ev.handle, "x", (struct osp_respond){ 0 });
        f->count = 0;
    }
    assert_int_equal(osp_ep_stats(f->ep)->messages, 64);
    assert_int_equal(osp_ep_stats(f->ep)->dedup_evicted, 1000 - 64);
    for (int i = 1000; i < 1064; i++)
        assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, (uint16_t)i, "t", "")), OSP_EV_REQUEST);
    nothing_sent(f);
    assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, 2000, "t", "")), OSP_EV_NONE);
    take(f, &m);
    assert_int_equal(m.code, OSP_CODE(5, 3));
    assert_int_equal(in(f, &f->client, datagram(buf, OSP_NON, OSP_GET, 2001, "t", "")), OSP_EV_NONE);
    nothing_sent(f);
}

static void
open_requests_are_bounded_even_beyond_their_lifetime(void **state)
{
    struct fix        *f = *state;
    struct osp_respond more = { .keep = true };
    uint8_t            buf[1500];
    struct osp_msg     m;

    f->cfg.max_messages = 64;
    restart(f);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, (uint16_t)i, "t", "")), OSP_EV_REQUEST);
        respond(f, f->ev.handle, "x", more);
        f->count = 0;
    }
    f->now.us += OSP_SEC(300);
    for (int i = 0; i < 20; i++)        /* the store is empty by now, the observations are not over */
        (void)osp_ep_expire(f->ep, f->now, &f->tx, &f->ev);
    assert_int_equal(osp_ep_stats(f->ep)->messages, 0);
    assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, 7, "t", "")), OSP_EV_NONE);
    take(f, &m);
    assert_int_equal(m.code, OSP_CODE(5, 3));
    osp_ep_dismiss(f->ep, 1, false, f->now, &f->tx);
    assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, 7, "t", "")), OSP_EV_REQUEST);
}

static void
no_memory_is_an_answer_not_a_crash(void **state)
{
    struct fix *f = *state;
    uint8_t     buf[1500];
    int         came = 0;

    osp_ep_free(f->ep);
    osp_pool_fini(&f->pool);
    osp_pool_init(&f->pool, 600 * 1024);
    EXPECT_OK(osp_ep_new(&f->cfg, (struct osp_rand){ fill, f }, &f->pool, f->now, &f->ep));
    for (int i = 0; i < 3000; i++) {
        struct osp_slice d = datagram(buf, OSP_CON, OSP_GET, (uint16_t)i, "a-token-of-some-length-12345678", "");

        f->client.peer.port = (uint16_t)(1000 + i);
        came += in(f, &f->client, d) == OSP_EV_REQUEST;
        f->count = 0;
    }
    assert_in_range(came, 100, 2999);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_vector_gets_the_reaction_it_asks_for),
        T(token_that_is_too_long_gets_4_00_and_no_reset),
        T(answer_in_time_is_piggybacked_with_mid_and_token),
        T(duplicate_con_gets_the_same_bytes_and_does_not_come_up),
        T(duplicate_non_is_ignored),
        T(same_mid_from_another_port_or_socket_is_another_message),
        T(late_answer_is_acknowledged_early_and_sent_until_it_is_acknowledged),
        T(early_ack_comes_well_before_two_seconds),
        T(reset_stops_a_separate_response),
        T(separate_response_is_given_up_after_four_retransmissions),
        T(stale_handle_is_refused),
        T(dismissed_con_is_acknowledged_or_reset_and_so_are_its_duplicates),
        T(several_responses_keep_the_handle),
        T(news_does_not_keep_a_dead_client_alive),
        T(request_is_sent_five_times_with_doubling_gaps),
        T(piggybacked_and_separate_responses_reach_the_request),
        T(con_response_is_acknowledged_once_per_copy_and_delivered_once),
        T(unmatched_con_response_is_reset_and_unmatched_others_are_ignored),
        T(response_counts_only_from_where_it_was_asked),
        T(ack_with_a_wrong_token_or_from_elsewhere_changes_nothing),
        T(ack_answers_only_the_con_whose_mid_and_token_it_has),
        T(reset_and_garbage_in_the_ack_end_the_request),
        T(deadline_ends_a_request_once),
        T(nstart_bounds_what_is_outstanding_per_peer),
        T(message_ids_are_not_reused_within_their_lifetime),
        T(message_ids_go_on_where_a_forgotten_peer_had_come_to),
        T(queued_request_for_which_no_message_id_is_left_fails),
        T(tokens_are_long_and_do_not_repeat),
        T(full_store_evicts_finished_entries_and_refuses_beyond),
        T(open_requests_are_bounded_even_beyond_their_lifetime),
        T(no_memory_is_an_answer_not_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
