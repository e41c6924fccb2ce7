/* SPDX-License-Identifier: BSD-2-Clause */
/* The message layer as a client: requests, retransmission, what counts as a response, Message IDs and Tokens. */
#include "tests/unit/msg/endpoint_fix.h"

static uint64_t
request(struct fix *f, uint8_t type, uint64_t user)
{
    struct osp_request how = { .confirmable = type == OSP_CON, .user = user, .deadline = osp_time_after(f->now, OSP_SEC(200)) };
    struct osp_msg     m;
    uint64_t           h = 0;

    osp_msg_init(&m, OSP_GET);
    EXPECT_OK(osp_ep_request(f->ep, &f->upstream.peer, NULL, &m, &how, f->now, &f->tx, &h));
    collect(f);
    return h;
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
    struct osp_request how = { .confirmable = false };

    f->cfg.upstream_socks = 2;
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
    struct osp_request how = { .deadline = osp_time_after(f->now, OSP_SEC(200)) };
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
    struct osp_request how = { .deadline = osp_time_after(f->now, OSP_SEC(200)) };
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

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
