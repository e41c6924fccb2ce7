/* SPDX-License-Identifier: BSD-2-Clause */
/* The message layer as a server: acknowledgements, duplicates, and when a response goes out. */
#include "tests/unit/msg/endpoint_fix.h"

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

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
