/* SPDX-License-Identifier: BSD-2-Clause */
/* Observations through the proxy, in virtual time: relayed, ordered, ended from every side. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "world.h"

static struct world w;
static uint16_t     next_mid, origin_mid;

static int
setup(void **state)
{
    (void)state;
    world_init_forward(&w);
    world_start(&w);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    world_stop(&w);
    world_fini(&w);
    return 0;
}

static void
register_tagged(uint8_t host, const char *token, const char *observe, const char *tag, struct osp_msg *m)
{
    osp_msg_init(m, OSP_GET);
    m->type = OSP_CON;
    m->mid = ++next_mid;
    m->token = osp_slice_str(token);
    EXPECT_OK(osp_msg_add(m, OSP_OPT_URI_HOST, osp_slice_str("s.example")));
    EXPECT_OK(osp_msg_add(m, OSP_OPT_OBSERVE, osp_slice_str(observe)));
    EXPECT_OK(osp_msg_add(m, OSP_OPT_URI_PATH, osp_slice_str("t")));
    EXPECT_OK(osp_msg_add(m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
    if (tag)
        EXPECT_OK(osp_msg_add(m, OSP_OPT_REQUEST_TAG, osp_slice_str(tag)));
    world_send(&w, WORLD_LISTENER, host, 40000, m);
}

static void
register_with(uint8_t host, const char *token, const char *observe, struct osp_msg *m)
{
    register_tagged(host, token, observe, NULL, m);
}

static struct world_out
take(struct osp_msg *m)
{
    return world_next(&w, m);
}

static void
nothing_left(void)
{
    struct world_out o;
    assert_false(world_take(&w, &o));
}

/* The origin sends a response with `token`; observe < 0: without the option. */
static void
origin_says(uint8_t type, uint16_t mid, struct osp_slice token, uint8_t code, int observe, const char *payload)
{
    uint8_t        value[4];
    struct osp_msg r;

    osp_msg_init(&r, code);
    r.type = type;
    r.mid = mid;
    r.token = token;
    r.payload = osp_slice_str(payload);
    if (observe >= 0) {
        EXPECT_OK(osp_msg_add(&r, OSP_OPT_OBSERVE, osp_opt_uint_make((uint32_t)observe, value)));
        EXPECT_OK(osp_msg_add(&r, OSP_OPT_MAX_AGE, osp_slice_str("\x0f\xff\xff")));  /* fresh all the time */
    }
    world_send(&w, 0, 9, 5683, &r);
}

/* A registration up to its first notification; the request as the origin got it in `q`. */
static void
established(uint8_t host, const char *token, struct osp_msg *q)
{
    struct osp_msg m, a;

    register_with(host, token, "", &m);
    take(q);
    assert_true(osp_msg_has(q, OSP_OPT_OBSERVE));
    origin_says(OSP_ACK, q->mid, q->token, OSP_CODE(2, 5), 10, "first");
    take(&a);
    assert_int_equal(a.type, OSP_ACK);
    EXPECT_BYTES(osp_slice_str("first"), a.payload);
    assert_true(osp_msg_has(&a, OSP_OPT_OBSERVE));
}

static void
client_sends(uint8_t host, uint8_t type, uint16_t mid)
{
    uint8_t d[4] = { (uint8_t)(0x40 | type << 4), 0, (uint8_t)(mid >> 8), (uint8_t)mid };

    world_in(&w, WORLD_LISTENER, host, 40000, osp_slice(d, 4));
}

/* A notification for client `host`, who acknowledges it where that is asked for. */
static void
take_news(uint8_t host, const char *payload, struct osp_msg *m)
{
    struct world_out o = take(m);

    assert_int_equal(o.to.sock, WORLD_LISTENER);
    assert_int_equal(o.to.peer.ip.b[15], host);
    EXPECT_BYTES(osp_slice_str(payload), m->payload);
    if (m->type == OSP_CON)
        client_sends(host, OSP_ACK, m->mid);
}

static void
notify(const struct osp_msg *q, uint8_t type, int observe, const char *payload)
{
    origin_says(type, ++origin_mid, q->token, OSP_CODE(2, 5), observe, payload);
}

/* The first of several blocks. */
static void
notify_block(const struct osp_msg *q, uint8_t observe)
{
    uint8_t        payload[64] = { 0 };
    struct osp_msg r;

    osp_msg_init(&r, OSP_CODE(2, 5));
    r.type = OSP_NON;
    r.mid = ++origin_mid;
    r.token = q->token;
    r.payload = osp_slice(payload, sizeof(payload));
    EXPECT_OK(osp_msg_add(&r, OSP_OPT_ETAG, osp_slice_str("e")));
    EXPECT_OK(osp_msg_add(&r, OSP_OPT_OBSERVE, osp_slice(&observe, 1)));
    EXPECT_OK(osp_msg_add(&r, OSP_OPT_BLOCK2, osp_slice_str("\x0a")));     /* 0, more, 64 */
    world_send(&w, 0, 9, 5683, &r);
}

/* The origin is told that nobody is interested. [rfc7641#3.6] */
static void
expect_deregistration(const struct osp_msg *q)
{
    struct osp_msg d;

    assert_int_equal(take(&d).to.sock, 0);
    EXPECT_BYTES(q->token, d.token);
    assert_true(osp_msg_has(&d, OSP_OPT_OBSERVE));
    EXPECT_BYTES(osp_slice_str("\x01"), osp_msg_get(&d, OSP_OPT_OBSERVE)->val);
    origin_says(OSP_ACK, d.mid, d.token, OSP_CODE(2, 5), -1, "as it is");
}

/* A stray notification is answered with a Reset. */
static void
expect_forgotten(const struct osp_msg *q)
{
    struct osp_msg a;

    notify(q, OSP_NON, 1000, "late");
    assert_int_equal(take(&a).to.sock, 0);
    assert_int_equal(a.type, OSP_RST);
    assert_int_equal(a.mid, origin_mid);
    nothing_left();
    assert_true(osp_proxy_idle(w.px));
}

static void
notifications_are_relayed_with_the_clients_token(void **state)
{
    struct osp_msg q, a;

    (void)state;
    established(1, "tk", &q);
    for (int i = 11; i < 20; i++) {
        notify(&q, OSP_NON, i, "news");
        take_news(1, "news", &a);
        assert_int_equal(a.type, i == 11 ? OSP_CON : OSP_NON);  /* it is known then that somebody is there */
        EXPECT_BYTES(osp_slice_str("tk"), a.token);
        world_run(&w, OSP_MS(10));
    }
    nothing_left();
}

/* row O08 */
/* [rfc7641#3.4] */
static void
reordered_notifications_are_not_relayed(void **state)
{
    struct osp_msg q, a;

    (void)state;
    established(1, "tk", &q);
    notify(&q, OSP_NON, 12, "12");
    take_news(1, "12", &a);
    world_run(&w, OSP_SEC(4));
    notify(&q, OSP_NON, 14, "14");
    take_news(1, "14", &a);
    notify(&q, OSP_NON, 13, "13");
    nothing_left();
    world_run(&w, OSP_SEC(129));
    notify(&q, OSP_NON, 3, "much later");
    take(&a);
    EXPECT_BYTES(osp_slice_str("much later"), a.payload);
}

/* row O09 */
/* [rfc7641#4.1] */
static void
answer_without_observe_is_an_ordinary_answer(void **state)
{
    struct osp_msg m, q, a;

    (void)state;
    register_with(1, "tk", "", &m);
    take(&q);
    origin_says(OSP_ACK, q.mid, q.token, OSP_CODE(2, 5), -1, "plain");
    take(&a);
    assert_false(osp_msg_has(&a, OSP_OPT_OBSERVE));
    assert_true(osp_proxy_idle(w.px));
    expect_forgotten(&q);
}

/* rows O04, O05 */
/* [rfc7641#3.6] */
static void
reset_of_the_client_ends_its_observation_only(void **state)
{
    struct osp_msg q, m, a;

    (void)state;
    established(1, "tk", &q);
    register_with(2, "tk", "", &m);
    assert_int_equal(take(&a).to.peer.ip.b[15], 2);     /* it gets what is there, and nothing goes upstream */
    nothing_left();
    notify(&q, OSP_NON, 11, "x");
    assert_int_equal(take(&a).to.peer.ip.b[15], 1);
    client_sends(1, OSP_RST, a.mid);
    take_news(2, "x", &a);
    world_run(&w, OSP_SEC(4));
    notify(&q, OSP_NON, 12, "y");
    take_news(2, "y", &a);
    nothing_left();
    client_sends(2, OSP_RST, a.mid);
    expect_deregistration(&q);
    expect_forgotten(&q);
}

/* row O04 */
static void
client_that_acknowledges_nothing_is_forgotten(void **state)
{
    struct osp_msg q, a;

    (void)state;
    established(1, "tk", &q);
    notify(&q, OSP_CON, 11, "x");
    take(&a);
    assert_int_equal(a.type, OSP_ACK);          /* to the origin */
    take(&a);
    assert_int_equal(a.type, OSP_CON);
    for (int i = 0; i < 93 && w.out_count < 5; i++)     /* repeated four times, and given up */
        world_run(&w, OSP_SEC(1));
    for (int i = 0; i < 4; i++)
        assert_int_equal(take(&a).to.sock, WORLD_LISTENER);
    expect_deregistration(&q);
    expect_forgotten(&q);
}

/* rows O04, O05 */
static void
deregistration_reaches_the_origin_and_ends_it(void **state)
{
    struct osp_msg m, q, q2, a;

    (void)state;
    established(1, "tk", &q);
    register_with(1, "tk", "\x01", &m);
    take(&q2);
    assert_false(osp_msg_has(&q2, OSP_OPT_OBSERVE));    /* the client asks as well */
    expect_deregistration(&q);
    origin_says(OSP_ACK, q2.mid, q2.token, OSP_CODE(2, 5), -1, "last");
    take(&a);
    EXPECT_BYTES(osp_slice_str("last"), a.payload);
    expect_forgotten(&q);
}

static void
registration_with_the_same_token_takes_the_place_of_the_old_one(void **state)
{
    struct osp_msg q, m, a;

    (void)state;
    established(1, "tk", &q);
    register_with(1, "tk", "", &m);
    take(&a);
    EXPECT_BYTES(osp_slice_str("first"), a.payload);
    notify(&q, OSP_NON, 11, "new");
    take(&a);
    EXPECT_BYTES(osp_slice_str("new"), a.payload);
    nothing_left();
}

/* row O06 (partly: one registration a client) */
/* [rfc7641#4.2] */
static void
error_notification_is_the_last_one(void **state)
{
    struct osp_msg q, a;

    (void)state;
    established(1, "tk", &q);
    origin_says(OSP_NON, ++origin_mid, q.token, OSP_CODE(4, 4), -1, "gone");
    take(&a);
    assert_int_equal(a.code, OSP_CODE(4, 4));
    EXPECT_BYTES(osp_slice_str("tk"), a.token);
    expect_forgotten(&q);
}

/* row O07 */
/* [rfc7641#4.5] */
static void
one_notification_a_day_is_confirmable(void **state)
{
    struct osp_msg q, a;
    int            con = 0;

    (void)state;
    established(1, "tk", &q);
    for (int hour = 1; hour <= 50; hour++) {
        world_run(&w, OSP_SEC(3600));
        notify(&q, OSP_NON, 10 + hour, "x");
        take(&a);
        if (a.type == OSP_CON) {
            con++;
            client_sends(1, OSP_ACK, a.mid);
        }
    }
    assert_int_equal(con, 3);           /* the first, and one a day */
}

/* A registration under a layer for the origin. */
static void
sealed(uint8_t host, const char *observe)
{
    struct osp_msg m;

    osp_msg_init(&m, OSP_FETCH);
    m.mid = ++next_mid;
    m.token = osp_slice_str("tk");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("s.example")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, osp_slice_str(observe)));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OSCORE, osp_slice("\x09\x05\x63", 3)));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
    m.payload = osp_slice_str("sealed");
    world_send(&w, WORLD_LISTENER, host, 40000, &m);
}

/* rows O10, O13 */
/* [rfc8613#4.1.3.5] */
static void
protected_registrations_are_passed_on_one_by_one(void **state)
{
    struct osp_msg q1, q2, a;

    (void)state;
    sealed(1, "");
    sealed(2, "");
    take(&q1);
    take(&q2);
    assert_true(osp_msg_has(&q1, OSP_OPT_OBSERVE) && osp_msg_has(&q2, OSP_OPT_OBSERVE));
    assert_int_equal(q1.code, OSP_FETCH);
    origin_says(OSP_ACK, q1.mid, q1.token, OSP_CODE(2, 5), 5, "one");
    origin_says(OSP_ACK, q2.mid, q2.token, OSP_CODE(2, 5), 5, "two");
    take_news(1, "one", &a);
    take_news(2, "two", &a);
    notify(&q1, OSP_NON, 6, "for one");
    take_news(1, "for one", &a);
    nothing_left();
    sealed(1, "\x01");          /* only the origin can end what is under its layer: it gets to see this */
    take(&a);
    EXPECT_BYTES(osp_slice_str("\x01"), osp_msg_get(&a, OSP_OPT_OBSERVE)->val);
    world_run(&w, OSP_SEC(200));        /* and nothing is asked for again */
    while (w.out_count > 0) {
        take(&a);
        assert_false(osp_code_is_request(a.code) && osp_msg_get(&a, OSP_OPT_OBSERVE)->val.n == 0);
    }
}

static size_t
exchanges(void)
{
    struct osp_proxy_stats s;

    osp_proxy_stats(w.px, &s);
    return s.exchanges;
}

/* rows O04, O05 */
/* [rfc7641#3.6] Under the Token of the registration, else the next hop would not know what ends. */
static void
protected_deregistration_takes_the_place_of_the_registration(void **state)
{
    struct osp_msg q, other, end, a;

    (void)state;
    sealed(1, "");
    sealed(2, "");
    take(&q);
    take(&other);
    origin_says(OSP_ACK, q.mid, q.token, OSP_CODE(2, 5), 5, "one");
    origin_says(OSP_ACK, other.mid, other.token, OSP_CODE(2, 5), 5, "two");
    take_news(1, "one", &a);
    take_news(2, "two", &a);
    assert_int_equal(exchanges(), 2);

    sealed(1, "\x01");
    take(&end);
    EXPECT_BYTES(q.token, end.token);
    EXPECT_BYTES(osp_slice_str("\x01"), osp_msg_get(&end, OSP_OPT_OBSERVE)->val);
    assert_int_equal(exchanges(), 2);      /* the observation of the other, and this request */
    notify(&q, OSP_NON, 6, "crossing");
    nothing_left();
    origin_says(OSP_ACK, end.mid, end.token, OSP_CODE(2, 4), -1, "over");
    take(&a);
    EXPECT_BYTES(osp_slice_str("over"), a.payload);
    notify(&other, OSP_NON, 7, "for two");
    take_news(2, "for two", &a);
    assert_int_equal(exchanges(), 1);

    sealed(1, "\x01");          /* nothing is left to end: a request like any other */
    take(&end);
    assert_false(osp_slice_eq(q.token, end.token));
    origin_says(OSP_ACK, end.mid, end.token, OSP_CODE(2, 4), -1, "over");
    take(&a);
    EXPECT_BYTES(osp_slice_str("over"), a.payload);
}

/* A deregistration that never gets an answer ends in 5.04, though notifications still come. */
static void
protected_deregistration_without_answer_times_out(void **state)
{
    struct osp_msg q, end, a;
    bool           told = false;

    (void)state;
    sealed(1, "");
    take(&q);
    origin_says(OSP_ACK, q.mid, q.token, OSP_CODE(2, 5), 5, "one");
    take_news(1, "one", &a);
    sealed(1, "\x01");
    take(&end);
    for (int i = 0; i < 300 && !told; i++) {
        if (i < 20)
            notify(&q, OSP_NON, 6 + i, "crossing");
        world_run(&w, OSP_SEC(1));
        while (w.out_count > 0) {
            take(&a);
            assert_int_not_equal(a.code, OSP_CODE(2, 5));
            told = told || a.code == OSP_CODE(5, 4);
        }
    }
    assert_true(told);
    assert_int_equal(exchanges(), 0);
}

static bool
confirmed(const struct osp_msg *q, int number, struct osp_msg *a)
{
    notify(q, OSP_NON, number, "x");
    assert_int_equal(take(a).to.sock, WORLD_LISTENER);
    return a->type == OSP_CON;
}

/* row O07 */
/* [rfc7641#4.5.1] */
static void
faster_than_the_round_trip_is_confirmable(void **state)
{
    struct osp_msg q, a;

    (void)state;
    established(1, "tk", &q);
    assert_true(confirmed(&q, 11, &a));
    world_run(&w, OSP_MS(400));
    client_sends(1, OSP_ACK, a.mid);            /* 400 ms */
    world_run(&w, OSP_MS(400));
    assert_false(confirmed(&q, 12, &a));
    world_run(&w, OSP_MS(300));
    assert_true(confirmed(&q, 13, &a));
    notify(&q, OSP_NON, 14, "x");               /* while that one is not acknowledged */
    notify(&q, OSP_NON, 15, "newest");
    nothing_left();
    world_run(&w, OSP_MS(800));
    client_sends(1, OSP_ACK, a.mid);
    take_news(1, "newest", &a);
}

/* A route leads where the operator said, also to a guarded address; who may only forward does not get there in its wake. */
static void
who_may_not_go_there_does_not_join(void **state)
{
    struct osp_proxy_stats st;
    struct osp_msg         m, q, a;

    (void)state;
    w.policy.host_count = 0;
    w.routes[0] = (struct osp_route){ .name = "r", .host = osp_slice_str("*.dev.example") };
    w.routes[0].hop.to = (struct osp_authority){ OSP_SCHEME_COAP, osp_slice_str("s.example"), 5683, false, { { 0 } } };
    w.policy.reverse = true;
    w.policy.route_count = 1;
    osp_msg_init(&m, OSP_GET);
    m.mid = ++next_mid;
    m.token = osp_slice_str("tk");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("a.dev.example")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, OSP_EMPTY));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice_str("t")));
    world_send(&w, WORLD_LISTENER, 1, 40000, &m);
    assert_int_equal(w.resolving_count, 1);
    register_with(3, "tk", "", &m);             /* before it is known where the name leads, and after */
    world_resolved(&w, "s.example", OSP_OK, "127.0.0.1", 1000);
    take(&q);
    assert_true(osp_msg_has(&q, OSP_OPT_OBSERVE));
    take(&a);
    assert_int_equal(a.code, osp_err_code(OSP_E_FORBIDDEN));
    register_with(2, "tk", "", &m);
    take(&a);
    assert_int_equal(a.code, osp_err_code(OSP_E_FORBIDDEN));
    osp_proxy_stats(w.px, &st);
    assert_int_equal(st.merged, 0);
    assert_int_equal(st.observations, 1);
    w.policy.route_count = 0;
}

/* The same for two clients of the forward-proxy, one of whom may reach the guarded address that the name turns out to lead to. */
static void
who_may_not_go_there_does_not_join_before_it_is_known(void **state)
{
    const struct osp_net   first = { osp_ip_v4(192, 0, 2, 1), 128 };
    struct osp_proxy_stats st;
    struct osp_msg         m, q, a;

    (void)state;
    w.policy.host_count = 0;
    w.rules[1] = w.rules[0];
    w.rules[0] = (struct osp_rule){ .nets = &first, .net_count = 1, .allow = w.allow[1], .allow_count = 2 };
    w.allow[1][0] = w.allow[0][0];
    w.allow[1][1] = w.allow[0][0];
    EXPECT_OK(osp_target_parse(osp_slice_str("coap://127.0.0.1"), &w.allow[1][1].target));
    w.policy.rule_count = 2;
    register_with(1, "tk", "", &m);
    register_with(2, "tk", "", &m);
    world_resolved(&w, "s.example", OSP_OK, "127.0.0.1", 1000);
    take(&q);
    assert_true(osp_msg_has(&q, OSP_OPT_OBSERVE));
    take(&a);
    assert_int_equal(a.code, osp_err_code(OSP_E_FORBIDDEN));
    nothing_left();
    osp_proxy_stats(w.px, &st);
    assert_int_equal(st.merged, 0);
    assert_int_equal(st.observations, 1);
}

/* A notification that finds no sequence number waits for one; a newer one takes its place. */
static void
notification_without_a_lease_waits_and_the_newest_counts(void **state)
{
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice_str("0123456789abcdef"),
                                 .sender_id = osp_slice_str("P"), .recipient_id = osp_slice_str("C") };
    struct osp_crypto     *cr;
    struct osp_octx       *server, *client;
    struct osp_layer       l;
    struct osp_msg         m, out, q, a, plain;
    uint8_t                buf[2048], got[2048];
    struct osp_wr          b = osp_wr_to(buf, sizeof(buf)), g;

    (void)state;
    EXPECT_OK(osp_crypto_new(&cr));
    EXPECT_OK(osp_octx_new(&p, &server));       /* no number is leased */
    osp_octx_set_window(server, &(struct osp_replay){ 0 });
    EXPECT_OK(osp_octx_configured_add(w.table, server));
    w.ctxs[w.ctx_count++] = server;
    p.sender_id = osp_slice_str("C");
    p.recipient_id = osp_slice_str("P");
    EXPECT_OK(osp_octx_new(&p, &client));
    osp_octx_grant(client, 0, 10);
    w.hold_leases = true;
    osp_msg_init(&m, OSP_GET);
    m.mid = ++next_mid;
    m.token = osp_slice_str("tk");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("s.example")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, OSP_EMPTY));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
    world_protect(cr, client, &m, &b, &out, &l);
    world_send(&w, WORLD_LISTENER, 1, 40000, &out);
    take(&q);
    origin_says(OSP_ACK, q.mid, q.token, OSP_CODE(2, 5), 10, "first");
    take(&a);
    g = osp_wr_to(got, sizeof(got));
    EXPECT_OK(osp_oscore_unprotect_response(cr, &l, &a, &g, &plain));
    notify(&q, OSP_NON, 11, "older");
    notify(&q, OSP_NON, 12, "newest");
    nothing_left();
    assert_int_equal(w.held_count, 1);
    world_release_leases(&w, true);
    take(&a);
    client_sends(1, OSP_ACK, a.mid);
    EXPECT_OK(osp_oscore_unprotect_response(cr, &l, &a, &g, &plain));
    EXPECT_BYTES(osp_slice_str("newest"), plain.payload);
    nothing_left();
    notify(&q, OSP_NON, 13, "and on");
    take(&a);
    EXPECT_OK(osp_oscore_unprotect_response(cr, &l, &a, &g, &plain));
    EXPECT_BYTES(osp_slice_str("and on"), plain.payload);
    osp_layer_fini(&l);
    osp_octx_unref(client);
    osp_crypto_free(cr);
}

/* rows O01, E04 */
/* A tag is about blocks: without them it keeps nobody apart, and with them it does. [rfc9175#3.4] [rfc7641#5] */
static void
tags_without_blocks_keep_no_observers_apart(void **state)
{
    struct osp_proxy_stats st;
    struct osp_msg         m, q, a;

    (void)state;
    register_tagged(1, "t1", "", "one", &m);
    take(&q);
    origin_says(OSP_ACK, q.mid, q.token, OSP_CODE(2, 5), 10, "first");
    take(&a);
    register_tagged(2, "t2", "", "two", &m);
    assert_int_equal(take(&a).to.sock, WORLD_LISTENER);
    assert_true(osp_msg_has(&a, OSP_OPT_OBSERVE));
    EXPECT_BYTES(osp_slice_str("first"), a.payload);
    register_with(3, "t3", "", &m);
    assert_int_equal(take(&a).to.sock, WORLD_LISTENER);
    osp_proxy_stats(w.px, &st);
    assert_int_equal(st.merged, 2);
    notify(&q, OSP_NON, 11, "news");
    for (int i = 0; i < 3; i++) {
        take(&a);
        EXPECT_BYTES(osp_slice_str("news"), a.payload);
        client_sends(a.token.p[1] == '1' ? 1 : a.token.p[1] == '2' ? 2 : 3, OSP_ACK, a.mid);
    }
    register_tagged(2, "t2", "\x01", "two", &m);        /* one leaves, its registration is the others' */
    take(&a);
    nothing_left();
    osp_proxy_stats(w.px, &st);
    assert_int_equal(st.observations, 2);
    notify_block(&q, 12);                               /* now there are more blocks: under the tag of this registration */
    for (int i = 0; i < 2; i++) {
        take(&a);
        client_sends(a.token.p[1] == '1' ? 1 : 3, OSP_ACK, a.mid);
    }
    register_tagged(4, "t4", "", "one", &m);
    assert_int_equal(take(&a).to.sock, WORLD_LISTENER);
    register_tagged(5, "t5", "", "two", &m);
    assert_int_equal(take(&q).to.sock, 0);
    EXPECT_BYTES(osp_slice_str("two"), osp_msg_get(&q, OSP_OPT_REQUEST_TAG)->val);
    osp_proxy_stats(w.px, &st);
    assert_int_equal(st.subjects, 2);
}

/* At the bound a registration gets an ordinary answer. */
static void
beyond_the_bound_a_registration_is_a_request(void **state)
{
    struct osp_proxy_stats st;
    struct osp_msg         m, q, a;
    char                   token[4] = "aa.";

    (void)state;
    established(1, "tk", &q);
    for (int i = 0; i < 510; i++) {             /* their registration upstream counts too */
        token[0] = (char)('a' + i / 26);
        token[1] = (char)('a' + i % 26);
        register_with(1, token, "", &m);
        take(&a);
        assert_true(osp_msg_has(&a, OSP_OPT_OBSERVE));
    }
    osp_proxy_stats(w.px, &st);
    assert_int_equal(st.observations, 511);
    assert_int_equal(st.subjects, 1);
    assert_int_equal(st.merged, 510);
    register_with(1, "zz9", "", &m);
    take(&q);
    assert_false(osp_msg_has(&q, OSP_OPT_OBSERVE));
    origin_says(OSP_ACK, q.mid, q.token, OSP_CODE(2, 5), -1, "plain");
    take(&a);
    EXPECT_BYTES(osp_slice_str("plain"), a.payload);
}

/*
 * The stop: who observes is told at once and the origin is told that nobody observes any more; a request in flight gets its
 * answer; a new one gets 5.03 with Max-Age instead of silence.
 */
static void
draining_ends_observations_and_lets_exchanges_end(void **state)
{
    struct world_out       o;
    struct osp_msg         q, m, a, running;
    struct osp_proxy_stats s;
    uint32_t               age = 0;

    (void)state;
    established(1, "a", &q);
    register_with(2, "b", "", &m);
    take_news(2, "first", &a);
    osp_msg_init(&m, OSP_GET);
    m.type = OSP_NON;
    m.mid = ++next_mid;
    m.token = osp_slice_str("run");
    add(&m, OSP_OPT_URI_HOST, "s.example");
    add(&m, OSP_OPT_URI_PATH, "other");
    add(&m, OSP_OPT_PROXY_SCHEME, "coap");
    world_send(&w, WORLD_LISTENER, 3, 40000, &m);
    o = take(&running);
    assert_int_equal(o.to.sock, 0);

    osp_proxy_drain(w.px, w.now);
    world_run(&w, 0);
    for (int i = 0; i < 2; i++) {
        o = take(&a);
        assert_int_equal(o.to.sock, WORLD_LISTENER);
        assert_int_equal(a.code, OSP_CODE(5, 3));
        assert_false(osp_msg_has(&a, OSP_OPT_OBSERVE));         /* the last one [rfc7641#4.2] */
    }
    o = take(&a);
    assert_int_equal(o.to.sock, 0);
    assert_true(osp_msg_get(&a, OSP_OPT_OBSERVE)->val.n == 1);  /* deregistered */
    nothing_left();
    osp_proxy_stats(w.px, &s);
    assert_int_equal(s.observations, 0);
    assert_false(osp_proxy_idle(w.px));                         /* that one request */

    m.mid = ++next_mid;
    m.token = osp_slice_str("new");
    world_send(&w, WORLD_LISTENER, 4, 40000, &m);
    o = take(&a);
    assert_int_equal(o.to.peer.ip.b[15], 4);
    assert_int_equal(a.code, OSP_CODE(5, 3));
    assert_true(osp_msg_has(&a, OSP_OPT_MAX_AGE) && osp_opt_uint(osp_msg_get(&a, OSP_OPT_MAX_AGE)->val, &age) && age > 0);
    nothing_left();

    origin_says(OSP_NON, ++origin_mid, running.token, OSP_CODE(2, 5), -1, "in time");
    o = take(&a);
    assert_int_equal(o.to.peer.ip.b[15], 3);
    EXPECT_BYTES(osp_slice_str("in time"), a.payload);
    assert_true(osp_proxy_idle(w.px));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(notifications_are_relayed_with_the_clients_token),
        T(reordered_notifications_are_not_relayed),
        T(answer_without_observe_is_an_ordinary_answer),
        T(reset_of_the_client_ends_its_observation_only),
        T(client_that_acknowledges_nothing_is_forgotten),
        T(deregistration_reaches_the_origin_and_ends_it),
        T(registration_with_the_same_token_takes_the_place_of_the_old_one),
        T(error_notification_is_the_last_one),
        T(one_notification_a_day_is_confirmable),
        T(protected_registrations_are_passed_on_one_by_one),
        T(protected_deregistration_takes_the_place_of_the_registration),
        T(protected_deregistration_without_answer_times_out),
        T(faster_than_the_round_trip_is_confirmable),
        T(who_may_not_go_there_does_not_join),
        T(who_may_not_go_there_does_not_join_before_it_is_known),
        T(notification_without_a_lease_waits_and_the_newest_counts),
        T(tags_without_blocks_keep_no_observers_apart),
        T(beyond_the_bound_a_registration_is_a_request),
        T(draining_ends_observations_and_lets_exchanges_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
