/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The message layer of an observed resource: when notifications are confirmed, replaced, given up [rfc7641#4.5]; and of
 * its observer, who asks again under the same Token.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "msg/endpoint.h"

#include "tests/prng.h"

#define STEP OSP_MS(100)

static const struct osp_respond plain = { .keep = true }, con = { .keep = true, .confirmable = true }, last;

static struct osp_ep      *ep;
static struct osp_pool     pool;
static struct osp_txq      tx;
static struct osp_time     now;
static struct osp_event ev;
static struct osp_flow     client;
static uint64_t            rng;
static char                payload[8192];

/* Message IDs of the confirmable messages sent, and when */
static struct { uint16_t mid; uint64_t us; } sent[4096];
static size_t sent_count, plain_count;

static int
setup(void **state)
{
    struct osp_rand   rand = { prng_fill, &rng };
    struct osp_ep_cfg cfg;

    (void)state;
    rng = 1;
    now.us = OSP_SEC(1000);
    sent_count = plain_count = 0;
    client = (struct osp_flow){ .sock = 1, .peer = { .ip = osp_ip_v4(192, 0, 2, 1), .port = 40000 } };
    osp_ep_cfg_default(&cfg);
    cfg.max_messages = cfg.max_requests = 64;
    osp_pool_init(&pool, (size_t)1 << 20);
    EXPECT_OK(osp_txq_init(&tx, 64, 64 * 4096));
    EXPECT_OK(osp_ep_new(&cfg, rand, &pool, now, &ep));
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    osp_ep_free(ep);
    assert_int_equal(pool.used, 0);
    osp_pool_fini(&pool);
    osp_txq_fini(&tx);
    return 0;
}

static void
collect(void)
{
    for (size_t i = 0; i < tx.count; i++) {
        struct osp_slice d = tx.items[i].bytes;

        if ((d.p[0] >> 4 & 3) == OSP_CON) {
            assert_true(sent_count < 4096);
            sent[sent_count].mid = (uint16_t)(d.p[2] << 8 | d.p[3]);
            sent[sent_count++].us = now.us;
        } else {
            plain_count++;
        }
    }
    osp_txq_reset(&tx);
}

static enum osp_ev_kind
in(uint8_t type, uint8_t code, uint16_t mid)
{
    uint8_t d[4] = { (uint8_t)(0x40 | type << 4), code, (uint8_t)(mid >> 8), (uint8_t)mid };

    osp_ep_input(ep, &client, osp_slice(d, 4), now, &tx, &ev);
    collect();
    return ev.kind;
}

static enum osp_err
respond(size_t bytes, struct osp_respond how)
{
    struct osp_msg m;
    enum osp_err   e;

    osp_msg_init(&m, OSP_CODE(2, 5));
    m.payload = osp_slice(payload, bytes);
    e = osp_ep_respond(ep, 1, &m, how, now, &tx);
    collect();
    return e;
}

/* One step of time. */
static enum osp_ev_kind
pass(void)
{
    enum osp_ev_kind k = OSP_EV_NONE;

    now.us += STEP;
    while (osp_ep_expire(ep, now, &tx, &ev)) {
        collect();
        if (ev.kind != OSP_EV_NONE)
            k = ev.kind;
    }
    collect();
    return k;
}

static void
observed(void)
{
    assert_int_equal(in(OSP_NON, OSP_GET, 7), OSP_EV_REQUEST);
    EXPECT_OK(respond(1, plain));
    assert_int_equal(plain_count, 1);
}

static void
last_answer_that_does_not_fit_leaves_nothing(void **state)
{
    (void)state;
    observed();
    assert_int_equal(respond(sizeof(payload), last), OSP_E_NOSPACE);
    osp_ep_dismiss(ep, 1, false, now, &tx);
    assert_true(osp_ep_idle(ep));
}

/* The confirmable one finds out that the client is gone, whatever follows it. */
static void
plain_news_does_not_hide_a_dead_client(void **state)
{
    enum osp_ev_kind k = OSP_EV_NONE;

    (void)state;
    observed();
    EXPECT_OK(respond(1, con));
    for (int i = 0; i < 1000 && k == OSP_EV_NONE; i++) {
        if (i % 10 == 0)
            EXPECT_OK(respond(1, plain));
        k = pass();
    }
    assert_int_equal(k, OSP_EV_REJECTED);
    assert_true(osp_ep_idle(ep));
}

/* [rfc7641#4.5.1] [rfc7641#4.5.2] one notification at a time: an acknowledgement that is on its way has time to come */
static void
news_faster_than_the_round_trip_does_not_end_a_living_client(void **state)
{
    size_t acked = 0;

    (void)state;
    observed();
    for (int i = 0; i < 300; i++) {
        EXPECT_OK(respond(1, con));
        if (pass() == OSP_EV_REJECTED)
            fail_msg("given up after %d", i);
        while (acked < sent_count && sent[acked].us + OSP_MS(300) <= now.us)
            (void)in(OSP_ACK, 0, sent[acked++].mid);
    }
    assert_true(sent_count <= 300 / 3 + 1);
}

/* The newest is what arrives, and the last answer is not lost behind one that waits. */
static void
what_waits_goes_out_when_the_one_before_is_acknowledged(void **state)
{
    (void)state;
    observed();
    EXPECT_OK(respond(1, con));
    EXPECT_OK(respond(2, plain));
    EXPECT_OK(respond(3, last));
    assert_int_equal(sent_count, 1);
    (void)in(OSP_ACK, 0, sent[0].mid);
    assert_int_equal(sent_count, 2);
    assert_false(osp_ep_idle(ep));
    (void)in(OSP_ACK, 0, sent[1].mid);
    assert_true(osp_ep_idle(ep));
    assert_int_equal(plain_count, 1);
}

static void
reset_ends_what_waits_too(void **state)
{
    (void)state;
    observed();
    EXPECT_OK(respond(1, con));
    EXPECT_OK(respond(2, plain));
    assert_int_equal(in(OSP_RST, 0, sent[0].mid), OSP_EV_REJECTED);
    assert_int_equal(sent_count, 1);
    assert_true(osp_ep_idle(ep));
}

/* ---- the observer's side ---- */

static uint64_t
ask_with(uint64_t instead_of, const char *observe, enum osp_err want)
{
    struct osp_request how = { .confirmable = true, .keep = true, .deadline = { now.us + OSP_SEC(100) },
                               .instead_of = instead_of };
    struct osp_msg     m;
    uint64_t           handle = 0;

    osp_msg_init(&m, OSP_GET);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, osp_slice_str(observe)));
    EXPECT_ERR(want, osp_ep_request(ep, &client.peer, NULL, &m, &how, now, &tx, &handle));
    return handle;
}

static uint64_t
ask(uint64_t instead_of, enum osp_err want)
{
    return ask_with(instead_of, "", want);
}

/* The last datagram that went out. */
static struct osp_msg
went_out(void)
{
    static uint8_t bytes[64];
    struct osp_msg m;
    bool           header;

    assert_true(tx.count > 0 && osp_slice_copy(tx.items[tx.count - 1].bytes, bytes, sizeof(bytes)));
    EXPECT_OK(osp_msg_decode_udp(osp_slice(bytes, tx.items[tx.count - 1].bytes.n), &m, &header));
    osp_txq_reset(&tx);
    return m;
}

static enum osp_ev_kind
answer(uint8_t type, uint16_t mid, struct osp_slice token, bool observe)
{
    uint8_t        bytes[64];
    struct osp_wr  w = osp_wr_to(bytes, sizeof(bytes));
    struct osp_msg m;

    osp_msg_init(&m, OSP_CODE(2, 5));
    m.type = type;
    m.mid = mid;
    m.token = token;
    if (observe)
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, OSP_EMPTY));
    EXPECT_OK(osp_msg_encode_udp(&m, &w));
    osp_ep_input(ep, &client, osp_wr_slice(&w), now, &tx, &ev);
    osp_txq_reset(&tx);
    return ev.kind;
}

/* [rfc7641#3.3.1] [rfc7641#3.6] */
static void
a_later_request_takes_the_token_over(void **state)
{
    uint64_t       first, second;
    struct osp_msg m, again;

    (void)state;
    client.sock = 0;
    first = ask(0, OSP_OK);
    m = went_out();
    assert_int_equal(answer(OSP_ACK, m.mid, m.token, true), OSP_EV_RESPONSE);
    second = ask(first, OSP_OK);
    again = went_out();
    EXPECT_BYTES(m.token, again.token);
    assert_int_not_equal(m.mid, again.mid);
    (void)ask(first, OSP_E_INVALID);            /* its handle has ended */
    assert_int_equal(osp_ep_stats(ep)->requests, 1);

    /* a notification under way is no answer: the request is repeated until there is one */
    assert_int_equal(answer(OSP_NON, 500, again.token, true), OSP_EV_RESPONSE);
    assert_int_equal(ev.handle, second);
    now.us += OSP_SEC(4);
    while (osp_ep_expire(ep, now, &tx, &ev))
        assert_int_equal(ev.kind, OSP_EV_NONE);
    m = went_out();
    assert_int_equal(m.mid, again.mid);
    assert_int_equal(answer(OSP_ACK, again.mid, again.token, false), OSP_EV_RESPONSE);
    now.us += OSP_SEC(60);
    while (osp_ep_expire(ep, now, &tx, &ev))
        assert_int_equal(ev.kind, OSP_EV_NONE);
    assert_int_equal(tx.count, 0);
    client.peer.port++;
    (void)ask(second, OSP_E_INVALID);           /* that is somebody else */
    osp_ep_cancel(ep, second);
    assert_true(osp_ep_idle(ep));
}

/* [rfc7641#2] [rfc7641#3.6] Whatever was under way is acknowledged and no answer, and the deadline stands. */
static void
what_crosses_a_deregistration_is_no_answer_to_it(void **state)
{
    uint64_t       first, last_one;
    struct osp_msg m;

    (void)state;
    client.sock = 0;
    for (int answered = 0; answered < 2; answered++) {
        first = ask(0, OSP_OK);
        m = went_out();
        assert_int_equal(answer(OSP_ACK, m.mid, m.token, true), OSP_EV_RESPONSE);
        last_one = ask_with(first, "\x01", OSP_OK);
        m = went_out();
        assert_int_equal(answer(OSP_CON, (uint16_t)(600 + answered), m.token, true), OSP_EV_NONE);
        assert_int_equal(answer(OSP_NON, (uint16_t)(700 + answered), m.token, true), OSP_EV_NONE);
        if (answered) {
            assert_int_equal(answer(OSP_ACK, m.mid, m.token, false), OSP_EV_RESPONSE);
            assert_int_equal(ev.handle, last_one);
            osp_ep_cancel(ep, last_one);
        } else {
            enum osp_ev_kind k = OSP_EV_NONE;

            for (int i = 0; i < 1100 && k == OSP_EV_NONE; i++)
                k = pass();
            assert_int_equal(k, OSP_EV_FAILED);
            assert_int_equal(sent_count, 4);            /* the request, four times more */
        }
        assert_int_equal(osp_ep_stats(ep)->requests, 0);
    }
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(last_answer_that_does_not_fit_leaves_nothing),
        T(plain_news_does_not_hide_a_dead_client),
        T(news_faster_than_the_round_trip_does_not_end_a_living_client),
        T(what_waits_goes_out_when_the_one_before_is_acknowledged),
        T(reset_ends_what_waits_too),
        T(a_later_request_takes_the_token_over),
        T(what_crosses_a_deregistration_is_no_answer_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
