/* SPDX-License-Identifier: BSD-2-Clause */
/* One request to the origin for all who ask at once, in virtual time: who waits, and what each of them gets. */
#include "caching_world.h"

/* ---- single flight ---- */

#define CROWD 10u

/* Requests of CROWD clients for `path` at once, sent as `code`; how many reached the origin, whose last is at_origin. */
static unsigned
all_ask(const char *path)
{
    struct osp_msg   m, a;
    struct world_out o;
    unsigned         n = 0;
    bool             header;
    static uint8_t   last[2048];

    for (uint8_t i = 0; i < CROWD; i++)
        send_bytes(cacheable(&m, OSP_GET, path), (uint8_t)(20 + i));
    while (world_take(&w, &o)) {
        if (o.to.sock != 0)
            continue;           /* an early ACK */
        n++;
        memcpy(last, o.bytes, o.n);
        EXPECT_OK(osp_msg_decode_udp(osp_slice(last, o.n), &a, &header));
        osp_msg_copy(&at_origin, &a);
    }
    return n;
}

static void
origin_answers(const struct osp_msg *to)
{
    reply.type = OSP_ACK;
    reply.mid = to->mid;
    reply.token = to->token;
    world_send(&w, 0, 9, 5683, &reply);
    (void)world_expire(&w);
}

/* What is on its way now: answers to clients with this code, each to another client, and requests to the origin. */
static void
expect_out(uint8_t code, unsigned answers, unsigned requests)
{
    struct world_out o;
    struct osp_msg   m;
    unsigned         got_answers = 0, got_requests = 0;
    bool             header, seen[256] = { false };

    while (world_take(&w, &o)) {
        EXPECT_OK(osp_msg_decode_udp(osp_slice(o.bytes, o.n), &m, &header));
        if (o.to.sock == 0) {
            got_requests++;
        } else if (m.code != 0) {
            assert_int_equal(code, m.code);
            assert_false(seen[o.to.peer.ip.b[15]]);
            seen[o.to.peer.ip.b[15]] = true;
            got_answers++;
        }
    }
    assert_int_equal(answers, got_answers);
    assert_int_equal(requests, got_requests);
}

static void
single_flight_asks_the_origin_once(void **state)
{
    struct osp_proxy_stats st;

    (void)state;
    w.policy.single_flight = true;
    assert_int_equal(1, all_ask("t"));
    assert_int_equal(1, all_ask("u"));  /* another resource is another flight */
    origin_answers(&at_origin);
    expect_out(OSP_CODE(2, 5), CROWD, 0);
    osp_proxy_stats(w.px, &st);
    assert_int_equal(2 * (CROWD - 1), st.joined);
    assert_int_equal(CROWD - 1, st.cached);
}

static void
single_flight_is_off_unless_configured(void **state)
{
    (void)state;
    assert_int_equal(CROWD, all_ask("t"));
}

/* An answer that is none to keep is the leader's alone; the others go, all at once, and do not wait again. */
static void
single_flight_ends_where_nothing_can_be_kept(void **state)
{
    (void)state;
    w.policy.single_flight = true;
    origin_says(OSP_CODE(2, 5), "22", 0);
    assert_int_equal(1, all_ask("t"));
    origin_answers(&at_origin);
    expect_out(OSP_CODE(2, 5), 1, CROWD - 1);
}

/* Nobody asks an origin that has just not answered the same question. */
static void
single_flight_shares_a_failure(void **state)
{
    (void)state;
    w.policy.single_flight = true;
    assert_int_equal(1, all_ask("t"));
    world_run(&w, OSP_SEC(3));          /* it is repeated, and acknowledged early to the clients */
    while (w.out_count > 0) {
        struct world_out o;
        (void)world_take(&w, &o);
    }
    world_run(&w, OSP_SEC(200));
    {
        struct world_out o;
        struct osp_msg   m;
        bool             header, seen[256] = { false };
        unsigned         answers = 0;

        while (world_take(&w, &o)) {
            EXPECT_OK(osp_msg_decode_udp(osp_slice(o.bytes, o.n), &m, &header));
            if (o.to.sock == 0) {
                EXPECT_BYTES(at_origin.token, m.token);         /* only ever the leader's request */
            } else if (m.code != 0 && !seen[o.to.peer.ip.b[15]]) {
                seen[o.to.peer.ip.b[15]] = true;
                assert_int_equal(OSP_CODE(5, 4), m.code);
                answers++;
            }
        }
        assert_int_equal(CROWD, answers);
    }
}

/* [rfc7252#5.9.1] What was asked for before a change is no answer to what is asked for after it, nor an entry. */
static void
answers_of_before_a_change_are_not_kept(void **state)
{
    struct osp_msg m, a, before, after;

    (void)state;
    w.policy.single_flight = true;
    send_bytes(cacheable(&m, OSP_GET, "t"), 1);
    (void)take_next(&before);
    origin_says(OSP_CODE(2, 4), "", -1);
    exchange_from(2, cacheable(&m, OSP_PUT, "t"), &a);
    send_bytes(cacheable(&m, OSP_GET, "t"), 2);
    assert_int_equal(0, take_next(&after).to.sock);          /* it does not wait */
    origin_says(OSP_CODE(2, 5), "new", 60);
    origin_answers(&after);
    assert_int_equal(2, take_next(&a).to.peer.ip.b[15]);
    origin_says(OSP_CODE(2, 5), "old", 60);
    origin_answers(&before);
    assert_int_equal(1, take_next(&a).to.peer.ip.b[15]);
    get("t", &a);
    EXPECT_BYTES(osp_slice_str("new"), a.payload);
    assert_int_equal(asked, 1);                         /* the PUT */
}

/* ... also when what is stale has to do for an answer. */
static void
single_flight_shares_a_stale_answer(void **state)
{
    uint8_t        rst[4] = { 0x70, 0 };
    struct osp_msg a;

    (void)state;
    w.policy.single_flight = w.policy.serve_stale = true;
    origin_says(OSP_CODE(2, 5), "old", 10);
    get("t", &a);
    world_run(&w, OSP_SEC(20));
    assert_int_equal(1, all_ask("t"));
    rst[2] = (uint8_t)(at_origin.mid >> 8);
    rst[3] = (uint8_t)at_origin.mid;
    world_in(&w, 0, 9, 5683, osp_slice(rst, 4));
    (void)world_expire(&w);
    expect_out(OSP_CODE(2, 5), CROWD, 0);
}

/* What kept the leader from getting its answer is no failure of the others', for whom it was stored. */
static void
single_flight_serves_others_when_the_leader_cannot_be_answered(void **state)
{
    uint8_t        token[64] = { 1 };
    struct osp_msg m, a;

    (void)state;
    w.policy.single_flight = true;
    origin_says(OSP_CODE(2, 5), "22", 60);
    for (int i = 0; i < 18; i++)
        add(&reply, 65000, "an option that cannot be cut");
    cacheable(&m, OSP_GET, "t");
    m.token = osp_slice(token, 64);     /* with it the answer is too long */
    send_bytes(&m, 1);
    (void)take_next(&at_origin);
    send_bytes(cacheable(&m, OSP_GET, "t"), 2);
    assert_int_equal(w.out_count, 0);
    origin_answers(&at_origin);
    assert_int_equal(1, take_next(&a).to.peer.ip.b[15]);
    assert_int_equal(OSP_CODE(5, 2), a.code);
    assert_int_equal(2, take_next(&a).to.peer.ip.b[15]);
    assert_int_equal(OSP_CODE(2, 5), a.code);
}

/* A client's own ETag gives it a 2.03, also when it waited. */
static void
single_flight_keeps_what_each_client_asked(void **state)
{
    struct osp_msg   m, a;
    struct world_out o;

    (void)state;
    w.policy.single_flight = true;
    origin_says(OSP_CODE(2, 5), "22", 60);
    add(&reply, OSP_OPT_ETAG, "e1");
    send_bytes(cacheable(&m, OSP_GET, "t"), 1);
    (void)take_next(&at_origin);
    cacheable(&m, OSP_GET, "t");
    add(&m, OSP_OPT_ETAG, "e1");
    send_bytes(&m, 2);
    assert_false(world_take(&w, &o));
    origin_answers(&at_origin);
    assert_int_equal(1, take_next(&a).to.peer.ip.b[15]);
    assert_int_equal(OSP_CODE(2, 5), a.code);
    assert_int_equal(2, take_next(&a).to.peer.ip.b[15]);
    assert_int_equal(OSP_CODE(2, 3), a.code);
}

/* Who may go to a guarded address takes nobody else there [rfc7252#11]. */
static void
single_flight_leads_nobody_to_an_address_that_is_guarded(void **state)
{
    static const struct osp_target loopback = { .kind = OSP_TARGET_NET, .scheme = OSP_SCHEME_UNKNOWN, .bits = 128,
                                                .net = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } } };
    static const struct osp_net    first = { { { [10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1 } }, 128 };
    struct osp_msg                 m, a;
    struct world_out               o;

    (void)state;
    w.policy.single_flight = true;
    w.rules[1] = w.rules[0];
    w.rules[0] = (struct osp_rule){ .nets = &first, .net_count = 1, .allow = w.allow[1], .allow_count = 2 };
    w.allow[1][0] = w.allow[0][0];
    w.allow[1][1] = (struct osp_allow){ .kind = OSP_ALLOW_FORWARD, .target = loopback };
    w.policy.rule_count = 2;
    for (uint8_t host = 1; host <= 2; host++) {
        osp_msg_init(&m, OSP_GET);
        m.mid = ++next_mid;
        m.token = osp_slice_str("tk");
        add(&m, OSP_OPT_URI_HOST, "u.example");
        add(&m, OSP_OPT_URI_PATH, "x");
        add(&m, OSP_OPT_PROXY_SCHEME, "coap");
        send_bytes(&m, host);
    }
    world_resolved(&w, "u.example", OSP_OK, "127.0.0.1", 1000);
    o = take_next(&a);
    assert_int_equal(o.to.sock, 0);
    origin_says(OSP_CODE(2, 5), "for the first alone", 0);
    reply.type = OSP_ACK;
    reply.mid = a.mid;
    reply.token = a.token;
    {
        uint8_t       buf[2048];
        struct osp_wr d = osp_wr_to(buf, sizeof(buf));

        EXPECT_OK(osp_msg_encode_udp(&reply, &d));
        world_in_from(&w, 0, &o.to.peer, osp_wr_slice(&d));
        (void)world_expire(&w);
    }
    for (unsigned n = 0; n < 2; n++) {
        do
            o = take_next(&a);
        while (a.code == 0);    /* an early ACK */
        assert_int_equal(o.to.sock, WORLD_LISTENER);
        assert_int_equal(a.code, o.to.peer.ip.b[15] == 1 ? OSP_CODE(2, 5) : OSP_CODE(4, 1));
    }
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, caching_setup, caching_teardown)
    const struct CMUnitTest tests[] = {
        T(single_flight_asks_the_origin_once),
        T(single_flight_is_off_unless_configured),
        T(single_flight_ends_where_nothing_can_be_kept),
        T(single_flight_shares_a_failure),
        T(answers_of_before_a_change_are_not_kept),
        T(single_flight_shares_a_stale_answer),
        cmocka_unit_test_setup_teardown(single_flight_serves_others_when_the_leader_cannot_be_answered, caching_setup_narrow,
                                        caching_teardown),
        T(single_flight_keeps_what_each_client_asked),
        T(single_flight_leads_nobody_to_an_address_that_is_guarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
