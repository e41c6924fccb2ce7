/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A second transport under the proxy: a small one that is reliable, beside UDP (toy.h).  What lib/proxy does with a peer follows
 * from what the peer can do, and a request may come in by one transport and go out by another.
 */
#include "tests/unit/unit.h"

#include "msg/block.h"
#include "toy.h"
#include "world.h"

#define LONG 20000              /* more than a datagram, and more than what is put together from blocks */
#define DATAGRAM 1152
#define CLIENT 1                /* last bytes of addresses */
#define ORIGIN 9

static struct world w;
static struct toy   toy;
static uint8_t      body[LONG];

static void
small(struct osp_proxy_cfg *cfg)
{
    w.ep_cfg.max_datagram = DATAGRAM;
    cfg->amplification = 3;
}

static int
setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < LONG; i++)
        body[i] = (uint8_t)(i * 7 + i / 256);
    world_init_forward(&w);
    w.tune = small;
    world_start(&w);
    EXPECT_OK(osp_proxy_add_transport(w.px, OSP_TRANSPORT_TCP, toy_init(&toy)));
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    world_stop(&w);
    assert_int_equal(toy_open_count(&toy), 0);
    world_fini(&w);
    return 0;
}

static struct osp_flow
toy_flow(uint8_t host)
{
    struct osp_flow f = { .sock = WORLD_LISTENER, .local = osp_ip_v4(192, 0, 2, 200) };

    f.peer = (struct osp_addr){ .ip = osp_ip_v4(192, 0, 2, host), .port = OSP_COAP_PORT, .transport = OSP_TRANSPORT_TCP };
    return f;
}

/* `m` comes in over the toy, and the proxy takes it up. */
static void
receive(uint8_t host, const struct osp_msg *m)
{
    struct osp_flow  from = toy_flow(host);
    struct osp_event ev;

    toy_receive(&toy, &from, m, &ev);
    osp_proxy_event(w.px, &ev, w.now);
    (void)world_expire(&w);
}

static void
lose(uint8_t host)
{
    struct osp_flow  f = toy_flow(host);
    struct osp_event ev;

    while (toy_lose(&toy, &f.peer, &ev))
        osp_proxy_event(w.px, &ev, w.now);
    (void)world_expire(&w);
}

/* A request of the client for s.example by `scheme`. */
static void
request(struct osp_msg *m, uint8_t code, const char *scheme)
{
    osp_msg_init(m, code);
    m->mid = 77;
    m->token = osp_slice_str("tkn");
    add(m, OSP_OPT_URI_HOST, "s.example");
    add(m, OSP_OPT_URI_PATH, "x");
    add(m, OSP_OPT_PROXY_SCHEME, scheme);
}

/* A response of the origin behind the toy to the request that it got; with Observe, which is empty [rfc8323#7.1]. */
static void
origin_answers(struct osp_slice token, bool observe, size_t len)
{
    struct osp_msg m;

    osp_msg_init(&m, OSP_CODE(2, 5));
    m.token = token;
    m.payload = osp_slice(body, len);
    if (observe)
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, OSP_EMPTY));
    receive(ORIGIN, &m);
}

/* ---- how long a message may be ---- */

static void
long_messages_pass_in_one_piece(void **state)
{
    const struct toy_sent *s;
    struct osp_proxy_stats st;
    struct osp_msg         m;

    (void)state;
    request(&m, OSP_POST, "coap+tcp");
    m.payload = osp_slice(body, LONG);
    receive(CLIENT, &m);
    s = toy_next(&toy);
    assert_true(osp_ip_eq(&s->to.peer.ip, &(struct osp_ip){ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, ORIGIN } }));
    assert_int_equal(s->to.peer.transport, OSP_TRANSPORT_TCP);
    assert_false(osp_msg_has(&s->m, OSP_OPT_BLOCK1));
    assert_true(osp_slice_eq(s->m.payload, osp_slice(body, LONG)));
    origin_answers(s->m.token, false, LONG);
    toy_drop(&toy);
    s = toy_next(&toy);
    assert_true(osp_slice_eq(s->m.token, osp_slice_str("tkn")));
    assert_false(osp_msg_has(&s->m, OSP_OPT_BLOCK2));
    assert_true(osp_slice_eq(s->m.payload, osp_slice(body, LONG)));
    toy_drop(&toy);
    osp_proxy_stats(w.px, &st);
    assert_int_equal(st.blocks_sent + st.blocks_served + st.bodies, 0);
    assert_int_equal(w.out_count, 0);
}

/* [rfc7959#2.5] from one that takes it whole to one that does not */
static void
a_long_request_goes_on_in_blocks(void **state)
{
    struct osp_msg   m, q;
    struct world_out o;
    struct osp_block b;
    bool             has;

    (void)state;
    request(&m, OSP_POST, "coap");
    m.payload = osp_slice(body, LONG);
    receive(CLIENT, &m);
    o = world_next(&w, &q);
    assert_true(o.n <= DATAGRAM);
    EXPECT_OK(osp_block_get(&q, OSP_OPT_BLOCK1, &has, &b));
    assert_true(has && b.num == 0 && b.more);
    assert_int_equal(toy.sent_count, 0);
}

/* [rfc7959#2.4] */
static void
a_long_response_comes_back_in_blocks(void **state)
{
    struct osp_msg   m, r;
    struct world_out o;
    struct osp_block b;
    bool             has;

    (void)state;
    request(&m, OSP_GET, "coap+tcp");
    world_send(&w, WORLD_LISTENER, 10, 40000, &m);
    origin_answers(toy_next(&toy)->m.token, false, 900);
    toy_drop(&toy);
    o = world_next(&w, &r);     /* the address is not proven: the answer is too long for it */
    assert_int_equal(r.code, OSP_CODE(4, 1));
    assert_int_equal(r.type, OSP_ACK);
    m.mid++;
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_msg_get(&r, OSP_OPT_ECHO)->val));
    world_send(&w, WORLD_LISTENER, 10, 40000, &m);
    origin_answers(toy_next(&toy)->m.token, false, LONG);
    toy_drop(&toy);
    o = world_next(&w, &r);
    assert_true(o.n <= DATAGRAM);
    assert_int_equal(r.type, OSP_ACK);
    EXPECT_OK(osp_block_get(&r, OSP_OPT_BLOCK2, &has, &b));
    assert_true(has && b.num == 0 && b.more);
}

/* ---- who is there ---- */

/* [rfc9175#2.6] somebody hears us there: the connection says so */
static void
a_proven_address_gets_the_whole_answer(void **state)
{
    struct osp_msg m;

    (void)state;
    request(&m, OSP_GET, "coap+tcp");
    receive(CLIENT, &m);
    origin_answers(toy_next(&toy)->m.token, false, 900);
    toy_drop(&toy);
    assert_int_equal(toy_next(&toy)->m.code, OSP_CODE(2, 5));
    assert_int_equal(toy_next(&toy)->m.payload.n, 900);
    toy_drop(&toy);
}

/* A client that was promised delivery so far is not let down by a datagram. */
static void
a_request_goes_on_confirmably(void **state)
{
    struct osp_msg m, q;

    (void)state;
    request(&m, OSP_GET, "coap");
    receive(CLIENT, &m);
    (void)world_next(&w, &q);
    assert_int_equal(q.type, OSP_CON);
}

static void
a_lost_connection_is_a_bad_gateway(void **state)
{
    struct osp_msg m, r;

    (void)state;
    request(&m, OSP_GET, "coap+tcp");
    world_send(&w, WORLD_LISTENER, 10, 40000, &m);
    toy_drop(&toy);
    lose(ORIGIN);
    (void)world_next(&w, &r);
    assert_int_equal(r.code, OSP_CODE(5, 2));
}

static void
an_origin_that_says_nothing_is_a_timeout(void **state)
{
    struct osp_msg m;

    (void)state;
    request(&m, OSP_GET, "coap+tcp");
    receive(CLIENT, &m);
    toy_drop(&toy);
    world_run(&w, OSP_SEC(300));
    assert_int_equal(toy_next(&toy)->m.code, OSP_CODE(5, 4));
    toy_drop(&toy);
}

/* ---- observations ---- */

static uint32_t
observe_of(const struct osp_msg *m)
{
    const struct osp_opt *o = osp_msg_get(m, OSP_OPT_OBSERVE);
    uint32_t              v = 0;

    assert_non_null(o);
    assert_true(osp_opt_uint(o->val, &v));
    return v;
}

/* [rfc8323#7.1] they come in order, and say nothing about it; over UDP they have to [rfc7641#3.4] */
static void
notifications_without_numbers_are_all_news(void **state)
{
    struct osp_msg         m, r;
    struct osp_proxy_stats st;
    uint8_t                token[8];
    uint32_t               last = 0;

    (void)state;
    request(&m, OSP_GET, "coap+tcp");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, OSP_EMPTY));
    receive(CLIENT, &m);
    memcpy(token, toy_next(&toy)->m.token.p, 8);
    toy_drop(&toy);
    for (int i = 0; i < 5; i++) {
        origin_answers(osp_slice(token, 8), true, 10 + (size_t)i);
        assert_int_equal(toy_next(&toy)->m.payload.n, 10 + (size_t)i);
        assert_true(i == 0 || observe_of(&toy_next(&toy)->m) > last);
        last = observe_of(&toy_next(&toy)->m);
        toy_drop(&toy);
    }
    lose(CLIENT);               /* [rfc8323#7.4] */
    osp_proxy_stats(w.px, &st);
    assert_int_equal(st.observations, 0);
    r = toy_next(&toy)->m;      /* and the last observer's end ends the registration */
    assert_int_equal(observe_of(&r), 1);
    toy_drop(&toy);
    lose(ORIGIN);
}

/* One address, one port and one Token of two transports are two clients. */
static void
transports_tell_clients_apart(void **state)
{
    struct osp_addr        at = toy_flow(CLIENT).peer;
    struct osp_proxy_stats st;
    struct osp_msg         m, q, r;
    uint8_t                bytes[64];
    struct osp_wr          d = osp_wr_to(bytes, sizeof(bytes));

    (void)state;
    request(&m, OSP_GET, "coap");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, OSP_EMPTY));
    receive(CLIENT, &m);
    (void)world_next(&w, &q);
    at.transport = OSP_TRANSPORT_UDP;
    EXPECT_OK(osp_msg_encode_udp(&m, &d));
    world_in_from(&w, WORLD_LISTENER, &at, osp_wr_slice(&d));
    (void)world_next(&w, &r);
    assert_int_equal(r.code, OSP_CODE(4, 1));           /* the one at UDP has yet to prove its address */
    osp_proxy_stats(w.px, &st);
    assert_int_equal(st.observations, 1);
}

/* ---- no transport ---- */

static void
nothing_goes_where_there_is_no_transport(void **state)
{
    struct osp_transports none = { { NULL } };
    struct osp_addr       to = toy_flow(ORIGIN).peer;
    struct osp_request    how = { .confirmable = true };
    struct osp_respond    once = { .keep = false };
    struct osp_event      ev;
    struct osp_time       t;
    struct osp_msg        m, r;
    uint64_t              handle = 0;

    (void)state;
    request(&m, OSP_GET, "coaps");
    world_send(&w, WORLD_LISTENER, 10, 40000, &m);
    (void)world_next(&w, &r);
    assert_int_equal(r.code, OSP_CODE(5, 5));           /* [rfc7252#5.10.2] */
    assert_int_equal(osp_exchange_request(&none, &to, &m, &how, w.now, &handle), OSP_E_UNREACHABLE);
    assert_int_equal(osp_exchange_respond(&none, 5, &m, once, w.now), OSP_E_INVALID);
    assert_int_equal(osp_exchange_respond(&none, UINT64_MAX, &m, once, w.now), OSP_E_INVALID);
    assert_int_equal(osp_exchange_can(&none, &to)->largest_message, 0);
    assert_false(osp_exchange_will_repeat(&none, 5));
    assert_false(osp_exchange_expire(&none, w.now, &ev));
    assert_false(osp_exchange_deadline(&none, &t));
    osp_exchange_cancel(&none, 5);
    osp_exchange_dismiss(&none, 5, true, w.now);
    to.transport = OSP_TRANSPORTS;
    assert_int_equal(osp_exchange_request(&none, &to, &m, &how, w.now, &handle), OSP_E_UNREACHABLE);
    assert_false(osp_exchange_has(&none, osp_scheme_transport(OSP_SCHEME_UNKNOWN)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(long_messages_pass_in_one_piece),
        T(a_long_request_goes_on_in_blocks),
        T(a_long_response_comes_back_in_blocks),
        T(a_proven_address_gets_the_whole_answer),
        T(a_request_goes_on_confirmably),
        T(a_lost_connection_is_a_bad_gateway),
        T(an_origin_that_says_nothing_is_a_timeout),
        T(notifications_without_numbers_are_all_news),
        T(transports_tell_clients_apart),
        T(nothing_goes_where_there_is_no_transport),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
