/* SPDX-License-Identifier: BSD-2-Clause */
/* Where two parts of the proxy meet: many that wait and one queue, the cache and the legs, layers and what is outside. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "tests/unit/with_crypto.h"
#include "the_world.h"

static const char secret[] = "000102030405060708090a0b0c0d0e0f";

static int
setup(void **state)
{
    (void)state;
    world_init_forward(&w);
    return 0;
}

/* NON GET coap://<host>/x, in forward-proxy form; NULL: to the proxy itself */
static void
get(struct osp_msg *m, const char *host)
{
    world_request(m, OSP_GET, OSP_NON, ++next_mid);
    if (host)
        add(m, OSP_OPT_URI_HOST, host);
    add(m, OSP_OPT_URI_PATH, "x");
    if (host)
        add(m, OSP_OPT_PROXY_SCHEME, "coap");
}

static void
send(const struct osp_msg *m)
{
    world_send(&w, WORLD_LISTENER, 1, 40000, m);
}

static struct world_out
take(struct osp_msg *m)
{
    return world_next(&w, m);
}

/* The origin's message to the request `q`, which left as `to`. */
static void
origin_says(const struct world_out *to, const struct osp_msg *q, struct osp_msg *r)
{
    world_answer(&w, to, q, r, ++next_mid);
}

static struct osp_octx *
other_side(const char *sid, const char *rid)
{
    return world_other_side(secret, sid, rid);
}

/* Every forward-proxied request gets the layer of a context that the origin has as `T`. */
static struct osp_octx *
protect_upstream(void)
{
    struct osp_octx *c = world_context(&w, secret, "", "d4", "54", 0);

    world_protect_upstream(&w, c);
    return c;
}

static size_t
requests_upstream(void)
{
    struct world_out o;
    size_t           n = 0;

    while (world_take(&w, &o))
        n += o.to.sock == 0;
    return n;
}

/* ---- more that wait than a turn's queue holds ---- */

static void
all_that_wait_for_a_name_go_on(void **state)
{
    struct osp_msg m;

    (void)state;
    world_start(&w);
    for (int i = 0; i < 200; i++) {
        get(&m, "dns.example");
        send(&m);
    }
    assert_int_equal(requests_upstream(), 0);
    world_resolved(&w, "dns.example", OSP_OK, "192.0.2.44", 30);
    world_run(&w, OSP_MS(10));
    assert_int_equal(requests_upstream(), 200);
}

static void
all_that_wait_for_a_lease_go_on(void **state)
{
    struct osp_octx *up = protect_upstream();
    struct osp_msg   m;
    uint64_t         n;

    (void)state;
    while (osp_octx_take_ssn(up, &n) == OSP_OK)
        ;
    w.hold_leases = true;
    world_start(&w);
    for (int i = 0; i < 90; i++) {
        get(&m, "s.example");
        send(&m);
    }
    assert_int_equal(requests_upstream(), 0);
    world_release_leases(&w, true);
    world_run(&w, OSP_MS(10));
    assert_int_equal(requests_upstream(), 90);
}

/* ---- the cache and the legs ---- */

/* What the origin told the proxy under their context is not what it tells anybody. */
static void
entry_of_a_protected_leg_is_not_given_to_an_unprotected_one(void **state)
{
    static struct osp_cache *cache;
    struct osp_octx         *origin = other_side("T", "\xd4");
    struct osp_authority     to = { OSP_SCHEME_COAP, osp_slice_str("192.0.2.9"), 5683, true, osp_ip_v4(192, 0, 2, 9) };
    struct osp_cache_cfg     cfg;
    struct osp_layer_ends    ends = { OSP_LAYER_TO_SERVER, true, false };
    struct osp_layer         l;
    struct osp_msg           m, q, plain, r, out;
    struct world_out         o;
    uint8_t                  buf[4096], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr            b = osp_wr_to(buf, sizeof(buf));

    (void)state;
    osp_cache_cfg_default(&cfg);
    EXPECT_OK(osp_cache_new(&cfg, (struct osp_hash_key){ 3, 4 }, &cache));
    w.policy.cache = cache;
    w.routes[0] = (struct osp_route){ .name = "plant", .hop = { .to = to, .ctx = world_context(&w, secret, "", "d4", "54", 0) } };
    w.policy.reverse = true;
    w.policy.route_count = 1;
    world_start(&w);
    get(&m, NULL);
    send(&m);
    o = take(&q);
    EXPECT_OK(osp_oscore_unprotect_request(cr, origin, &q, &b, &plain, &l));
    osp_msg_init(&r, OSP_CODE(2, 5));
    r.payload = osp_slice_str("for the gateway only");
    EXPECT_OK(osp_classes(&ends, &r, classes));
    EXPECT_OK(osp_oscore_protect_response(cr, &l, &r, classes, false, &b, &out));
    origin_says(&o, &q, &out);
    take(&r);
    EXPECT_BYTES(osp_slice_str("for the gateway only"), r.payload);
    get(&m, NULL);                              /* by the same way: from the cache */
    send(&m);
    assert_int_equal(take(&r).to.sock, WORLD_LISTENER);
    EXPECT_BYTES(osp_slice_str("for the gateway only"), r.payload);
    osp_msg_init(&m, OSP_GET);                  /* by the other: asked for in the clear */
    m.type = OSP_NON;
    m.mid = ++next_mid;
    m.token = osp_slice_str("tk");
    add(&m, OSP_OPT_PROXY_URI, "coap://192.0.2.9/x");
    send(&m);
    assert_int_equal(take(&q).to.sock, 0);
    assert_int_equal(q.code, OSP_GET);
    osp_layer_fini(&l);
    osp_octx_unref(origin);
    world_run(&w, OSP_SEC(500));
    osp_proxy_free(w.px);                       /* before the cache that it may still use */
    osp_cache_free(cache);
    w.policy.cache = NULL;
    w.out_count = 0;
    world_start(&w);
}

/* ---- layers and what is outside of them ---- */

/*
 * With Proxy-Scheme inside, Uri-Host and Uri-Port are Class E, so outer ones are discarded: they are the proxy's own,
 * or anybody's on the way.  [ocp#2.2] [rfc8613#8.2]
 */
static void
outer_authority_does_not_complete_the_inner_one(void **state)
{
    struct osp_octx *c = other_side(" ", "P");
    struct osp_layer l;
    struct osp_msg   m, out, q;
    uint8_t          buf[4096];
    struct osp_wr    b = osp_wr_to(buf, sizeof(buf));

    (void)state;
    world_context(&w, secret, "", "50", "20", 0);
    world_start(&w);
    get(&m, "s.example");
    world_protect(cr, c, &m, &b, &out, &l);
    out.type = OSP_NON;
    out.mid = m.mid;
    out.token = m.token;
    add(&out, OSP_OPT_URI_PORT, "\x27\x0f");
    send(&out);
    assert_int_equal(take(&q).to.peer.port, 5683);
    assert_false(osp_msg_has(&q, OSP_OPT_URI_PORT));
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* The origin's notification under its layer: the Observe value outside is `outer`. */
static void
notify(const struct world_out *to, const struct osp_msg *q, struct osp_layer *l, uint32_t outer, bool piv, const char *payload)
{
    struct osp_layer_ends ends = { OSP_LAYER_TO_SERVER, true, false };
    struct osp_msg        r, out;
    uint8_t               buf[4096], value[4], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr  b = osp_wr_to(buf, sizeof(buf));

    osp_msg_init(&r, OSP_CODE(2, 5));
    EXPECT_OK(osp_msg_add(&r, OSP_OPT_OBSERVE, osp_opt_uint_make(outer, value)));
    r.payload = osp_slice_str(payload);
    EXPECT_OK(osp_classes(&ends, &r, classes));
    EXPECT_OK(osp_oscore_protect_response(cr, l, &r, classes, piv, &b, &out));
    origin_says(to, q, &out);
}

static void
acknowledge(const struct world_out *o, uint16_t mid)
{
    world_acknowledge(&w, o->to.peer.ip.b[15], o->to.peer.port, mid);
}

/*
 * Partial IVs order the notifications of a protected leg, and the Observe option outside, which anybody can write,
 * does not.  [rfc8613#4.1.3.5.2]
 */
static void
partial_ivs_order_protected_notifications(void **state)
{
    static const uint32_t outer[] = { 9000000, 9000001, 5, 16000000, 6 };
    struct osp_octx      *origin = other_side("T", "\xd4");
    struct osp_layer      l;
    struct osp_msg        m, q, plain, a;
    struct world_out      o, o2;
    uint8_t               buf[4096];
    struct osp_wr         b = osp_wr_to(buf, sizeof(buf));
    uint32_t              v, before = 0;

    (void)state;
    protect_upstream();
    world_start(&w);
    get(&m, "s.example");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, OSP_EMPTY));
    send(&m);
    o = take(&q);
    EXPECT_OK(osp_oscore_unprotect_request(cr, origin, &q, &b, &plain, &l));
    for (size_t i = 0; i < 5; i++) {
        notify(&o, &q, &l, outer[i], i > 0, i % 2 ? "odd" : "even");
        o2 = take(&a);
        assert_int_equal(o2.to.sock, WORLD_LISTENER);
        EXPECT_BYTES(osp_slice_str(i % 2 ? "odd" : "even"), a.payload);
        assert_true(osp_msg_has(&a, OSP_OPT_OBSERVE));
        assert_true(osp_opt_uint(osp_msg_get(&a, OSP_OPT_OBSERVE)->val, &v));
        assert_true(i == 0 || (v > before && v - before < 0x800000));   /* in an order that a plain client sees */
        before = v;
        if (a.type == OSP_CON)
            acknowledge(&o2, a.mid);
    }
    osp_layer_fini(&l);
    osp_octx_unref(origin);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, the_world_end)
    const struct CMUnitTest tests[] = {
        T(all_that_wait_for_a_name_go_on),
        T(all_that_wait_for_a_lease_go_on),
        T(entry_of_a_protected_leg_is_not_given_to_an_unprotected_one),
        T(outer_authority_does_not_complete_the_inner_one),
        T(partial_ivs_order_protected_notifications),
    };
    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
