/* SPDX-License-Identifier: BSD-2-Clause */
/* What recorded requests cost after the replay window was lost [rfc8613#B.1.2], and that the client itself gets through. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "world.h"

#define RECORDED 6000

struct recorded { uint8_t bytes[128]; size_t n; uint8_t opt[8]; size_t opt_n; struct osp_layer layer; };

static struct world       w;
static struct osp_crypto *cr;
static struct osp_octx   *client, *proxy;
static uint16_t           next_mid;
static uint16_t           port;
static const char         secret[] = "000102030405060708090a0b0c0d0e0f";

static int
setup(void **state)
{
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .sender_id = osp_slice_str("P"),
                                 .recipient_id = osp_slice_str(" ") };
    uint8_t                key[16];
    size_t                 n;

    (void)state;
    world_init_forward(&w);
    assert_true(osp_hex_decode(osp_slice_str(secret), key, 16, &n));
    p.master_secret = osp_slice(key, 16);
    EXPECT_OK(osp_octx_new(&p, &proxy));                /* as after an unclean stop: its window is unknown */
    EXPECT_OK(osp_octx_configured_add(w.table, proxy));
    w.ctxs[w.ctx_count++] = proxy;
    osp_octx_grant(proxy, 0, 1u << 20);
    client = world_other_side(secret, " ", "P");
    next_mid = 0;
    port = 40000;
    return osp_crypto_new(&cr) == OSP_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    world_end(&w);
    osp_octx_unref(client);
    osp_crypto_free(cr);
    return 0;
}

/* A GET under the client's layer; `echo` of OSP_ECHO_LEN bytes goes into it, NULL: none. */
static void
record(const uint8_t *echo, struct recorded *r)
{
    struct osp_msg        m, out;
    uint8_t               buf[1024];
    struct osp_wr         b = osp_wr_to(buf, sizeof(buf));
    const struct osp_opt *o;

    world_get(&m);
    if (echo)
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_slice(echo, OSP_ECHO_LEN)));
    world_protect(cr, client, &m, &b, &out, &r->layer);
    assert_true(osp_slice_copy(out.payload, r->bytes, sizeof(r->bytes)));
    r->n = out.payload.n;
    o = osp_msg_get(&out, OSP_OPT_OSCORE);
    assert_true(osp_slice_copy(o->val, r->opt, sizeof(r->opt)));
    r->opt_n = o->val.n;
}

/* Sends it in a datagram of its own, from a port that was not used yet. */
static void
replay(const struct recorded *r)
{
    struct osp_msg m;

    world_request(&m, OSP_POST, OSP_NON, ++next_mid);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OSCORE, osp_slice(r->opt, r->opt_n)));
    m.payload = osp_slice(r->bytes, r->n);
    world_send(&w, WORLD_LISTENER, 1, ++port, &m);
}

static bool
answer(struct osp_msg *m)
{
    struct world_out o;

    return world_take_msg(&w, &o, m);
}

/* Takes the answer to the request with `l`; its Echo value. */
static void
read_challenge(struct osp_layer *l, const struct osp_msg *m, uint8_t echo[OSP_ECHO_LEN])
{
    uint8_t        buf[512];
    struct osp_wr  b = osp_wr_to(buf, sizeof(buf));
    struct osp_msg plain;

    EXPECT_OK(osp_oscore_unprotect_response(cr, l, m, &b, &plain));
    assert_int_equal(plain.code, OSP_CODE(4, 1));
    assert_true(osp_slice_copy(osp_msg_get(&plain, OSP_OPT_ECHO)->val, echo, OSP_ECHO_LEN));
}

/* True if the proxy sent a request to the origin, and nothing else. */
static bool
was_executed(void)
{
    struct world_out o;
    struct osp_msg   m;

    return world_take_msg(&w, &o, &m) && o.to.sock == 0;
}

static struct osp_proxy_stats
stats(void)
{
    struct osp_proxy_stats s;

    osp_proxy_stats(w.px, &s);
    return s;
}

/* row S09: 3000 copies of one request cost one number and one encryption; who sent it can prove itself all the same */
static void
recorded_request_costs_one_number(void **state)
{
    struct recorded r, genuine;
    struct osp_msg  m;
    uint8_t         first[128], opt[8], echo[OSP_ECHO_LEN];
    size_t          n, opt_n;

    (void)state;
    world_start(&w);
    record(NULL, &r);
    replay(&r);
    assert_true(answer(&m));
    n = m.payload.n;
    opt_n = osp_msg_get(&m, OSP_OPT_OSCORE)->val.n;
    assert_true(osp_slice_copy(m.payload, first, sizeof(first)));
    assert_true(osp_slice_copy(osp_msg_get(&m, OSP_OPT_OSCORE)->val, opt, sizeof(opt)));
    for (int i = 1; i < 3000; i++) {
        replay(&r);
        assert_true(answer(&m));
        EXPECT_BYTES(osp_slice(first, n), m.payload);
        EXPECT_BYTES(osp_slice(opt, opt_n), osp_msg_get(&m, OSP_OPT_OSCORE)->val);
        world_run(&w, OSP_MS(1));
    }
    assert_int_equal(osp_octx_ssn(proxy).next, 1);
    assert_int_equal(osp_octx_usage(proxy).q, 1);
    assert_int_equal(stats().challenges, 1);
    assert_int_equal(stats().challenges_repeated, 2999);
    read_challenge(&r.layer, &m, echo);
    record(echo, &genuine);
    replay(&genuine);
    assert_true(was_executed());
    osp_layer_fini(&r.layer);
    osp_layer_fini(&genuine.layer);
}

/* row S09: what was recorded is worth one number each, then nothing, however often it comes */
static void
more_recorded_requests_than_are_remembered_cost_no_more(void **state)
{
    struct recorded r[40];
    struct osp_msg  m;

    (void)state;
    world_start(&w);
    for (int i = 0; i < 40; i++)
        record(NULL, &r[i]);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 40; i++) {
            replay(&r[i]);
            while (answer(&m))
                continue;
        }
        world_run(&w, OSP_SEC(10));
    }
    assert_int_equal(osp_octx_ssn(proxy).next, 40);
    assert_int_equal(stats().errors[OSP_E_WITHHELD] + stats().challenges_repeated, 49 * 40);
    for (int i = 0; i < 40; i++)
        osp_layer_fini(&r[i].layer);
}

/*
 * row S09: a flood of recorded requests meets a limit, and the client gets through beside it: at most once without an answer,
 * since its own Partial IV is the highest.
 */
static void
flood_of_recorded_requests_is_limited_and_shuts_nobody_out(void **state)
{
    struct recorded *r = calloc(RECORDED, sizeof(*r)), genuine, proof;
    struct osp_msg   m;
    uint8_t          echo[OSP_ECHO_LEN];
    uint64_t         before;
    unsigned         tries = 0;

    (void)state;
    assert_non_null(r);
    osp_octx_set_limits(proxy, &(struct osp_key_limits){ .q = 1u << 17, .stop = true });
    world_start(&w);
    for (int i = 0; i < RECORDED; i++)
        record(NULL, &r[i]);
    for (int i = 0; i < RECORDED / 2; i++) {            /* in the order in which they were sent: the dearest way */
        replay(&r[i]);
        while (answer(&m))
            continue;
    }
    before = osp_octx_ssn(proxy).next;
    assert_int_equal(before, (1u << 17) / 64);          /* the limit for the context */
    record(NULL, &genuine);
    for (int i = RECORDED / 2; tries < 3; tries++) {
        bool found = false;

        for (int k = 0; k < 500; k++, i++) {
            replay(&r[i]);
            while (answer(&m))
                continue;
        }
        replay(&genuine);
        found = answer(&m);
        if (found)
            break;
        world_run(&w, OSP_SEC(1));
        osp_layer_fini(&genuine.layer);
        record(NULL, &genuine);
    }
    assert_true(tries <= 1);
    assert_true(osp_octx_ssn(proxy).next - before <= 2);
    read_challenge(&genuine.layer, &m, echo);
    record(echo, &proof);
    replay(&proof);
    assert_true(was_executed());
    osp_layer_fini(&genuine.layer);
    osp_layer_fini(&proof.layer);
    for (int i = 0; i < RECORDED; i++)
        osp_layer_fini(&r[i].layer);
    free(r);
}

/* Requests that overtook each other each get their challenge. */
static void
requests_that_were_overtaken_are_challenged_too(void **state)
{
    struct recorded r[20];
    struct osp_msg  m;
    uint8_t         echo[2][OSP_ECHO_LEN];

    (void)state;
    world_start(&w);
    for (int i = 0; i < 20; i++)
        record(NULL, &r[i]);
    for (int i = 19; i >= 0; i--) {
        replay(&r[i]);
        assert_true(answer(&m));
        read_challenge(&r[i].layer, &m, echo[i % 2]);
    }
    assert_memory_equal(echo[0], echo[1], OSP_ECHO_LEN);
    for (int i = 0; i < 20; i++)
        osp_layer_fini(&r[i].layer);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(recorded_request_costs_one_number),
        T(more_recorded_requests_than_are_remembered_cost_no_more),
        T(flood_of_recorded_requests_is_limited_and_shuts_nobody_out),
        T(requests_that_were_overtaken_are_challenged_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
