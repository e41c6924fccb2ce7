/* SPDX-License-Identifier: BSD-2-Clause */
/* Observations with OSCORE layers that end at the proxy: towards the client, towards the next hop, both. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "world.h"

static const char secret[] = "0102030405060708090a0b0c0d0e0f10";

static struct world       w;
static struct osp_crypto *cr;
static struct osp_octx   *client, *origin;      /* the other sides */
static uint16_t           next_mid, origin_mid;

static struct osp_octx *
other_side(const char *sid, const char *rid)
{
    return world_other_side(secret, sid, rid);
}

static int
setup(void **state)
{
    (void)state;
    EXPECT_OK(osp_crypto_new(&cr));
    world_init_forward(&w);
    (void)world_context(&w, secret, "", "50", "43", 0);         /* "P" with client "C" */
    client = other_side("C", "P");
    origin = other_side("S", "Q");
    return 0;
}

/* The leg to the origin is under a layer from now on. */
static void
protect_upstream(void)
{
    world_protect_upstream(&w, world_context(&w, secret, "", "51", "53", 0));
}

static int
teardown(void **state)
{
    (void)state;
    world_stop(&w);
    world_fini(&w);
    osp_octx_unref(client);
    osp_octx_unref(origin);
    osp_crypto_free(cr);
    return 0;
}

/* ---- what is sent ---- */

static void
to_proxy(uint16_t sock, uint8_t host, uint16_t port, const struct osp_msg *m)
{
    world_send(&w, sock, host, port, m);
}

/*
 * A registration with Token "tk" of the client at `host`; under its layer when `l` is given; `inner`: what is asked is under
 * a layer for the origin.
 */
static void
ask_more(uint8_t host, const char *observe, struct osp_layer *l, bool inner)
{
    struct osp_msg m, out;
    uint8_t        buf[1024];
    struct osp_wr  b = osp_wr_to(buf, sizeof(buf));

    osp_msg_init(&m, inner ? OSP_FETCH : OSP_GET);
    m.mid = ++next_mid;
    m.token = osp_slice_str("tk");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("s.example")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, osp_slice_str(observe)));
    if (inner) {
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_OSCORE, osp_slice("\x09\x05\x63", 3)));
        m.payload = osp_slice_str("sealed");
    }
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice_str("t")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
    if (l) {
        world_protect(cr, client, &m, &b, &out, l);
        out.mid = m.mid;
        out.token = m.token;
    }
    to_proxy(WORLD_LISTENER, host, 40000, l ? &out : &m);
}

static void
ask(uint8_t host, const char *observe, struct osp_layer *l)
{
    ask_more(host, observe, l, false);
}

static void
acknowledge(uint8_t host, const struct osp_msg *m)
{
    if (m->type == OSP_CON)
        world_acknowledge(&w, host, 40000, m->mid);
}

/* The origin's message to the request with Token `token`; under the layer `l` if given; observe < 0: without the option. */
static void
origin_says(uint8_t type, uint16_t mid, struct osp_slice token, struct osp_layer *l, bool own_piv, uint8_t code, int observe,
            const char *payload)
{
    static const struct osp_layer_ends ends = { OSP_LAYER_TO_SERVER, true, false };
    struct osp_msg                     m, out;
    uint8_t                            buf[1024], value[4], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr               b = osp_wr_to(buf, sizeof(buf));

    osp_msg_init(&m, code);
    m.payload = osp_slice_str(payload);
    if (observe >= 0)
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, osp_opt_uint_make((uint32_t)observe, value)));
    if (l) {
        EXPECT_OK(osp_classes(&ends, &m, classes));
        EXPECT_OK(osp_oscore_protect_response(cr, l, &m, classes, own_piv, &b, &out));
        osp_msg_copy(&m, &out);
    }
    m.type = type;
    m.mid = mid;
    m.token = token;
    to_proxy(0, 9, 5683, &m);
}

/* ---- what comes ---- */

static struct world_out
take(struct osp_msg *m)
{
    return world_next(&w, m);
}

static void
nothing_left(void)
{
    assert_int_equal(w.out_count, 0);
}

/* The next message is for the client at `host`: its layer off if it has one. */
static void
client_gets(uint8_t host, struct osp_layer *l, const char *payload, struct osp_msg *plain)
{
    static uint8_t buf[2048];
    struct osp_wr  b = osp_wr_to(buf, sizeof(buf));
    struct osp_msg m;

    assert_int_equal(take(&m).to.peer.ip.b[15], host);
    acknowledge(host, &m);
    if (l)
        EXPECT_OK(osp_oscore_unprotect_response(cr, l, &m, &b, plain));
    else
        osp_msg_copy(plain, &m);
    EXPECT_BYTES(osp_slice_str(payload), plain->payload);
}

/* The next message is a request for the origin under its layer. */
static void
origin_gets(struct osp_msg *q, struct osp_msg *plain, struct osp_layer *l)
{
    static uint8_t buf[4096];
    static size_t  used;
    struct osp_wr  b = osp_wr_to(buf + used % 2048, 2048);

    used += 1024;
    assert_int_equal(take(q).to.sock, 0);
    EXPECT_OK(osp_oscore_unprotect_request(cr, origin, q, &b, plain, l));
}

static void
until_something_is_sent(void)
{
    for (int i = 0; i < 76 && w.out_count == 0; i++)
        world_run(&w, OSP_SEC(1));
}

/* ---- tests ---- */

/* rows O04, O12 */
/* [rfc8613#8.3.1] [ocp#2.5.1] */
static void
one_subject_serves_clients_with_and_without_a_layer(void **state)
{
    struct osp_layer l;
    struct osp_msg   q, a;
    char             text[] = "news 0";

    (void)state;
    world_start(&w);
    ask(1, "", &l);
    take(&q);
    origin_says(OSP_ACK, q.mid, q.token, NULL, false, OSP_CODE(2, 5), 5, "first");
    client_gets(1, &l, "first", &a);
    ask(2, "", NULL);
    client_gets(2, NULL, "first", &a);
    for (int i = 1; i < 6; i++) {
        text[5] = (char)('0' + i);
        origin_says(OSP_NON, ++origin_mid, q.token, NULL, false, OSP_CODE(2, 5), 5 + i, text);
        client_gets(1, &l, text, &a);           /* fails where a Partial IV comes again */
        assert_true(osp_msg_has(&a, OSP_OPT_OBSERVE));
        client_gets(2, NULL, text, &a);
        assert_false(osp_msg_has(&a, OSP_OPT_OSCORE));
    }
    nothing_left();
    osp_layer_fini(&l);
}

/* A reload took a context away: the client's, who hears of it and no more; then that of the leg, which all hear of. */
static void
observations_end_with_their_context(void **state)
{
    struct osp_layer l, leg;
    struct osp_msg   q, a, plain;

    (void)state;
    protect_upstream();
    world_start(&w);
    ask(1, "", &l);
    origin_gets(&q, &plain, &leg);
    origin_says(OSP_ACK, q.mid, q.token, &leg, false, OSP_CODE(2, 5), 5, "first");
    client_gets(1, &l, "first", &a);
    ask(2, "", NULL);
    client_gets(2, NULL, "first", &a);
    osp_octx_put_out_of_use(w.ctxs[0]);
    origin_says(OSP_NON, ++origin_mid, q.token, &leg, true, OSP_CODE(2, 5), 6, "news");
    client_gets(1, &l, "", &a);
    assert_int_equal(a.code, osp_err_code(OSP_E_NO_CONTEXT));
    assert_false(osp_msg_has(&a, OSP_OPT_OBSERVE));
    client_gets(2, NULL, "news", &a);
    osp_octx_put_out_of_use(w.ctxs[1]);
    origin_says(OSP_NON, ++origin_mid, q.token, &leg, true, OSP_CODE(2, 5), 7, "more");
    client_gets(2, NULL, "", &a);
    assert_int_equal(a.code, OSP_CODE(5, 2));
    nothing_left();
    assert_true(osp_proxy_idle(w.px));
    osp_layer_fini(&l);
    osp_layer_fini(&leg);
}

/* Whoever sends from the client's address in the clear ends nothing that is held under a layer. */
static void
request_in_the_clear_does_not_end_a_protected_observation(void **state)
{
    static const char     *const forged[] = { "\x01", "" };
    struct osp_proxy_stats st;
    struct osp_layer       l, l2;
    struct osp_msg         q, q2, a;

    (void)state;
    world_start(&w);
    ask(1, "", &l);
    take(&q);
    origin_says(OSP_ACK, q.mid, q.token, NULL, false, OSP_CODE(2, 5), 5, "first");
    client_gets(1, &l, "first", &a);
    for (int i = 0; i < 2; i++) {
        ask(1, forged[i], NULL);
        if (i == 0) {           /* a plain request, answered as such */
            take(&q2);
            origin_says(OSP_ACK, q2.mid, q2.token, NULL, false, OSP_CODE(2, 5), -1, "first");
        }
        client_gets(1, NULL, "first", &a);
        osp_proxy_stats(w.px, &st);
        assert_int_equal(st.observations, 1 + i);
    }
    ask(1, "\x01", &l2);        /* the client itself */
    take(&q2);
    origin_says(OSP_ACK, q2.mid, q2.token, NULL, false, OSP_CODE(2, 5), -1, "first");
    client_gets(1, &l2, "first", &a);
    osp_proxy_stats(w.px, &st);
    assert_int_equal(st.observations, 1);       /* the forger's own */
    osp_layer_fini(&l);
    osp_layer_fini(&l2);
}

static void
end_without_numbers(bool granted, bool older, bool inner)
{
    struct osp_layer l;
    struct osp_msg   q, a;

    w.hold_leases = true;
    while (osp_octx_take_ssn(w.ctxs[0], &(uint64_t){ 0 }) == OSP_OK)
        ;
    ask_more(1, "", &l, inner);
    take(&q);
    assert_int_equal(q.code, inner ? OSP_FETCH : OSP_GET);
    origin_says(OSP_ACK, q.mid, q.token, NULL, false, OSP_CODE(2, 5), 5, "first");
    client_gets(1, &l, "first", &a);
    if (older)
        origin_says(OSP_NON, ++origin_mid, q.token, NULL, false, OSP_CODE(2, 5), 6, "older");
    nothing_left();
    origin_says(OSP_NON, ++origin_mid, q.token, NULL, false, OSP_CODE(4, 4), -1, "gone");
    nothing_left();
    assert_false(osp_proxy_idle(w.px));
    assert_int_equal(w.held_count, 1);
    world_release_leases(&w, granted);
    if (granted) {
        client_gets(1, &l, "gone", &a);
        assert_int_equal(a.code, OSP_CODE(4, 4));
    }
    nothing_left();
    assert_true(osp_proxy_idle(w.px));
    osp_layer_fini(&l);
    w.hold_leases = false;
}

/* The end of an observation waits for a sequence number like every notification; without one it ends in silence. */
static void
last_notification_waits_for_a_number(void **state)
{
    (void)state;
    world_start(&w);
    for (int i = 0; i < 8; i++)
        end_without_numbers(i & 1, i & 2, i & 4);
}

/* [rfc7641#3.3.1] [rfc7641#3.6] [rfc8613#8.1] each request under the layer with a number of its own */
static void
registration_under_our_layer_is_renewed_and_given_up_under_it(void **state)
{
    struct osp_layer l[3];
    struct osp_msg   q[3], plain, a;

    (void)state;
    protect_upstream();
    world_start(&w);
    ask(1, "", NULL);
    origin_gets(&q[0], &plain, &l[0]);
    assert_int_equal(plain.code, OSP_GET);
    origin_says(OSP_ACK, q[0].mid, q[0].token, &l[0], false, OSP_CODE(2, 5), 5, "first");
    client_gets(1, NULL, "first", &a);
    until_something_is_sent();
    origin_gets(&q[1], &plain, &l[1]);
    assert_true(osp_msg_has(&plain, OSP_OPT_OBSERVE) && osp_msg_get(&plain, OSP_OPT_OBSERVE)->val.n == 0);
    EXPECT_BYTES(q[0].token, q[1].token);
    origin_says(OSP_NON, ++origin_mid, q[1].token, &l[0], true, OSP_CODE(2, 5), 6, "to the old one");
    nothing_left();             /* it does not verify any more, and ends nothing */
    origin_says(OSP_ACK, q[1].mid, q[1].token, &l[1], false, OSP_CODE(2, 5), 7, "second");
    client_gets(1, NULL, "second", &a);
    origin_says(OSP_NON, ++origin_mid, q[1].token, &l[1], true, OSP_CODE(2, 5), 8, "third");
    client_gets(1, NULL, "third", &a);
    ask(1, "\x01", NULL);
    take(&a);                   /* the client's own request */
    origin_gets(&q[2], &plain, &l[2]);
    EXPECT_BYTES(osp_slice_str("\x01"), osp_msg_get(&plain, OSP_OPT_OBSERVE)->val);
    EXPECT_BYTES(q[0].token, q[2].token);
    for (int i = 0; i < 3; i++)
        osp_layer_fini(&l[i]);
}

/* The origin has lost the context: it answers in the clear, which proves nothing but ends what cannot go on. */
static void
unverified_answer_to_a_renewal_ends_it(void **state)
{
    struct osp_layer l;
    struct osp_msg   q, plain, a;

    (void)state;
    protect_upstream();
    world_start(&w);
    ask(1, "", NULL);
    origin_gets(&q, &plain, &l);
    origin_says(OSP_ACK, q.mid, q.token, &l, false, OSP_CODE(2, 5), 5, "first");
    client_gets(1, NULL, "first", &a);
    origin_says(OSP_NON, ++origin_mid, q.token, NULL, false, OSP_CODE(4, 1), -1, "forged");
    nothing_left();             /* [rfc8613#8.4.2] */
    until_something_is_sent();
    take(&q);
    origin_says(OSP_ACK, q.mid, q.token, NULL, false, OSP_CODE(4, 1), -1, "");
    assert_int_equal(take(&a).to.peer.ip.b[15], 1);
    assert_int_equal(OSP_CODE_CLASS(a.code), 5);
    assert_false(osp_msg_has(&a, OSP_OPT_OBSERVE));
    acknowledge(1, &a);
    assert_true(osp_proxy_idle(w.px));
    osp_layer_fini(&l);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(one_subject_serves_clients_with_and_without_a_layer),
        T(observations_end_with_their_context),
        T(request_in_the_clear_does_not_end_a_protected_observation),
        T(last_notification_waits_for_a_number),
        T(registration_under_our_layer_is_renewed_and_given_up_under_it),
        T(unverified_answer_to_a_renewal_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
