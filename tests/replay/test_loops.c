/* SPDX-License-Identifier: BSD-2-Clause */
/* Proxies in a circle, in virtual time: this one, whose next hop sends it what it was sent. */
#include "tests/unit/unit.h"

#include "world.h"

#define HOP 9                   /* the next hop is 192.0.2.9 */

static struct world         w;
static struct osp_outbound *outbound;
static uint16_t             next_mid;

static int
setup(void **state)
{
    (void)state;
    EXPECT_OK(osp_outbound_new((struct osp_hash_key){ 8, 9 }, &outbound));
    world_init_forward(&w);
    w.policy.node_name = "p1";
    w.policy.has_next_hop = true;
    w.policy.next_hop.to = (struct osp_authority){ OSP_SCHEME_COAP, osp_slice_str("192.0.2.9"), 5683, true,
                                                   osp_ip_v4(192, 0, 2, HOP) };
    w.policy.next_hop_limit = 16;
    w.policy.outbound = outbound;
    world_start(&w);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    world_end(&w);
    osp_outbound_free(outbound);
    return 0;
}

/* What leaves the proxy for a GET of s.example/x from `host`, with this Hop-Limit; 0: without. */
static struct world_out
ask(uint8_t host, uint8_t hop_limit, const char *payload, struct osp_msg *got)
{
    struct osp_msg m;

    world_request(&m, OSP_POST, OSP_NON, ++next_mid);
    add(&m, OSP_OPT_URI_HOST, "s.example");
    add(&m, OSP_OPT_URI_PATH, "x");
    if (hop_limit)
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_HOP_LIMIT, osp_slice(&hop_limit, 1)));
    add(&m, OSP_OPT_PROXY_SCHEME, "coap");
    m.payload = osp_slice_str(payload);
    world_send(&w, WORLD_LISTENER, host, 40000, &m);
    return world_next(&w, got);
}

static void
hop_answers(const struct osp_msg *req, uint8_t code, const char *payload)
{
    struct osp_msg r;

    osp_msg_init(&r, code);
    r.type = OSP_NON;
    r.mid = ++next_mid;
    r.token = req->token;
    r.payload = osp_slice_str(payload);
    world_send(&w, 0, HOP, 5683, &r);
}

/* row H04 */
/* [rfc8768#1.1] [rfc8768#3] */
static void
hop_limit_goes_to_the_next_hop_by_default_and_to_no_origin(void **state)
{
    struct osp_msg q;

    (void)state;
    assert_int_equal(ask(1, 0, "a", &q).to.peer.ip.b[15], HOP);
    EXPECT_BYTES(osp_slice("\x10", 1), osp_msg_get(&q, OSP_OPT_HOP_LIMIT)->val);
    w.policy.hop_limit = 4;             /* what is put in everywhere goes there too */
    (void)ask(1, 0, "b", &q);
    EXPECT_BYTES(osp_slice("\x04", 1), osp_msg_get(&q, OSP_OPT_HOP_LIMIT)->val);
    w.policy.hop_limit = w.policy.next_hop_limit = 0;
    (void)ask(1, 0, "c", &q);
    assert_false(osp_msg_has(&q, OSP_OPT_HOP_LIMIT));
    w.policy.next_hop_limit = 16;
    w.policy.has_next_hop = false;
    (void)ask(1, 0, "d", &q);
    assert_false(osp_msg_has(&q, OSP_OPT_HOP_LIMIT));
}

/* row H07 */
/* [rfc8768#1] [rfc8768#4] */
static void
request_that_comes_back_is_refused_and_its_client_hears_of_it(void **state)
{
    struct osp_proxy_stats st;
    struct osp_msg         q, back, a;

    (void)state;
    (void)ask(1, 0, "a", &q);
    assert_int_equal(ask(HOP, 15, "a", &back).to.sock, WORLD_LISTENER);
    assert_int_equal(back.code, OSP_CODE(5, 8));
    EXPECT_BYTES(osp_slice_str("p1"), back.payload);
    hop_answers(&q, OSP_CODE(5, 8), "p2 p1");
    (void)world_next(&w, &a);
    assert_int_equal(a.code, OSP_CODE(5, 8));
    EXPECT_BYTES(osp_slice_str("p2 p1"), a.payload);
    osp_proxy_stats(w.px, &st);
    assert_int_equal(st.errors[OSP_E_CAME_BACK], 1);
    assert_int_equal(st.errors[OSP_E_LOOP], 0);
}

/* row H07 */
/* [rfc8768#1] */
static void
others_who_ask_the_same_are_no_loop(void **state)
{
    struct osp_msg q, other, done;

    (void)state;
    (void)ask(1, 0, "a", &q);
    assert_int_equal(ask(2, 0, "a", &other).to.peer.ip.b[15], HOP);     /* another client */
    assert_int_equal(ask(2, 15, "a", &other).to.peer.ip.b[15], HOP);
    assert_int_equal(ask(HOP, 0, "a", &other).to.peer.ip.b[15], HOP);   /* a client at the next hop's address */
    assert_int_equal(ask(HOP, 17, "a", &other).to.peer.ip.b[15], HOP);  /* which is not one hop further than ours was */
    assert_int_equal(ask(HOP, 15, "b", &other).to.peer.ip.b[15], HOP);  /* another request */
    (void)ask(1, 0, "c", &q);
    hop_answers(&q, OSP_CODE(2, 4), "");
    (void)world_next(&w, &done);
    assert_int_equal(done.code, OSP_CODE(2, 4));
    assert_int_equal(ask(HOP, 15, "c", &other).to.peer.ip.b[15], HOP);  /* what is over cannot come back */
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(hop_limit_goes_to_the_next_hop_by_default_and_to_no_origin),
        T(request_that_comes_back_is_refused_and_its_client_hears_of_it),
        T(others_who_ask_the_same_are_no_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
