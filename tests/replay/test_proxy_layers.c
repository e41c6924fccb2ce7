/* SPDX-License-Identifier: BSD-2-Clause */
/* Layers at the proxy, in virtual time: taken off, put on, refused, challenged, and what becomes of late responses. */
#include "forward_world.h"

#include <stdio.h>

#include "tests/unit/with_crypto.h"

/* ---- layers ---- */

static const char secret[] = "000102030405060708090a0b0c0d0e0f";

/* A client's side of the world's context `i`. */
static struct osp_octx *
client_side(const char *sid, const char *rid)
{
    return world_other_side(secret, sid, rid);
}

/* Puts a layer for the proxy on `m`; the result borrows from `buf`. */
static void
wrap(struct osp_octx *c, struct osp_msg *m, uint8_t *buf, size_t cap, struct osp_layer *l)
{
    struct osp_wr  b = osp_wr_to(buf, cap);
    struct osp_msg out;

    world_protect(cr, c, m, &b, &out, l);
    osp_msg_copy(m, &out);
}

static uint8_t
unwrap(struct osp_layer *l, struct osp_msg *m)
{
    static uint8_t buf[4096];
    struct osp_wr  b = osp_wr_to(buf, sizeof(buf));
    struct osp_msg out;

    EXPECT_OK(osp_oscore_unprotect_response(cr, l, m, &b, &out));
    osp_msg_copy(m, &out);
    return m->code;
}

/* row L08 */
/* [ocp#2.1] */
static void
layers_beyond_the_limit_are_refused_under_those_removed(void **state)
{
    struct osp_octx *c[5];
    struct osp_layer l[5];
    struct osp_msg   m, a;
    static uint8_t   buf[5][2048];
    const char      *ids[] = { "a", "b", "c", "d", "e" };

    (void)state;
    w.policy.max_layers = 4;
    for (int i = 0; i < 5; i++) {
        char hex[3], hex2[3];
        snprintf(hex, sizeof(hex), "%02x", ids[i][0]);
        snprintf(hex2, sizeof(hex2), "%02x", ids[i][0] - 32);
        world_context(&w, secret, "", hex2, hex, 0);
        char up[2] = { (char)(ids[i][0] - 32), 0 };
        c[i] = client_side(ids[i], up);
    }
    world_start(&w);
    forward(&m, "s.example");
    for (int i = 0; i < 5; i++)
        wrap(c[i], &m, buf[i], sizeof(buf[i]), &l[i]);
    client_sends(&m);
    taken(&a);
    for (int i = 4; i >= 1; i--)
        assert_int_equal(unwrap(&l[i], &a), i > 1 ? OSP_CODE(2, 4) : OSP_CODE(4, 1));
    nothing_left();
    for (int i = 0; i < 5; i++) {
        osp_layer_fini(&l[i]);
        osp_octx_unref(c[i]);
    }
}

/* rows L07, L12 */
static void
decrypted_refusals_are_protected(void **state)
{
    struct osp_octx *c;
    struct osp_layer l;
    struct osp_msg   m, a;
    uint8_t          buf[2048];

    (void)state;
    world_context(&w, secret, "", "50", "20", 0);
    c = client_side(" ", "P");
    w.policy.forward = false;
    world_start(&w);
    forward(&m, "s.example");
    wrap(c, &m, buf, sizeof(buf), &l);
    client_sends(&m);
    taken(&a);
    assert_int_equal(a.code, OSP_CODE(2, 4));
    assert_int_equal(unwrap(&l, &a), OSP_CODE(5, 5));
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* row L09 */
/* [ocp#2.2] */
static void
option_that_cannot_be_classified_is_4_02_and_5_02(void **state)
{
    struct osp_octx *origin;
    struct osp_layer l;
    struct osp_msg   m, q, plain, resp, out;
    uint8_t          buf[2048], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr    b = osp_wr_to(buf, sizeof(buf));
    struct osp_layer_ends   ends = { OSP_LAYER_TO_SERVER, true, false };

    (void)state;
    w.upstreams[0] = (struct osp_upstream){ .match = { .kind = OSP_TARGET_ANY, .scheme = OSP_SCHEME_UNKNOWN },
                                            .ctx = world_context(&w, secret, "", "d4", "54", 0) };
    w.policy.upstream_count = 1;
    origin = client_side("T", "\xd4");
    world_start(&w);
    forward(&m, "s.example");
    add(&m, 65000, "x");
    expect_refused(&m, OSP_CODE(4, 2));
    client_sends(forward(&m, "s.example"));
    taken(&q);
    EXPECT_OK(osp_oscore_unprotect_request(cr, origin, &q, &b, &plain, &l));
    assert_int_equal(plain.code, OSP_GET);
    /* a response whose inside has an unsafe unknown option */
    osp_msg_init(&resp, OSP_CODE(2, 5));
    add(&resp, 65002, "x");
    EXPECT_OK(osp_classes(&ends, &resp, classes));
    EXPECT_OK(osp_oscore_protect_response(cr, &l, &resp, classes, false, &b, &out));
    answer_request(&q, &out);
    expect_code(OSP_CODE(5, 2));
    osp_layer_fini(&l);
    osp_octx_unref(origin);
}

/* row L10 */
/* [ocp#2.6] */
static void
unexpected_and_missing_layers_in_a_response_are_5_02(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    world_start(&w);
    client_sends(forward(&m, "s.example"));
    taken(&q);
    osp_msg_init(&r, OSP_CODE(2, 4));
    add(&r, OSP_OPT_OSCORE, "");
    r.payload = osp_slice_str("ciphertext");
    answer_request(&q, &r);
    expect_code(OSP_CODE(5, 2));
    w.upstreams[0] = (struct osp_upstream){ .match = { .kind = OSP_TARGET_ANY, .scheme = OSP_SCHEME_UNKNOWN },
                                            .ctx = world_context(&w, secret, "", "d4", "54", 0) };
    w.policy.upstream_count = 1;
    client_sends(forward(&m, "s.example"));
    taken(&q);
    osp_msg_init(&r, OSP_CODE(4, 1));
    answer_request(&q, &r);
    expect_code(OSP_CODE(5, 2));
}

/* row L11 (partly: passed through untouched) */
/* [rfc9668#3.3] */
static void
edhoc_option_for_another_hop_travels(void **state)
{
    struct osp_msg m, q;

    (void)state;
    world_start(&w);
    forward(&m, "s.example");
    add(&m, OSP_OPT_OSCORE, "\x09\x01\x63");
    add(&m, OSP_OPT_EDHOC, "");
    m.payload = osp_slice_str("message_3 and ciphertext");
    client_sends(&m);
    taken(&q);
    assert_true(osp_msg_has(&q, OSP_OPT_EDHOC));
    EXPECT_BYTES(m.payload, q.payload);
}

/* rows S09, E03 */
/* [rfc8613#B.1.2] [rfc9175#2.3] */
static void
unknown_window_is_challenged_and_executes_nothing(void **state)
{
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .sender_id = osp_slice_str("P"),
                                 .recipient_id = osp_slice_str(" ") };
    struct osp_octx       *c, *server;
    struct osp_layer       l;
    struct osp_msg         m, a, q;
    uint8_t                key[16], buf[2048], echo[64];
    size_t                 n;

    (void)state;
    assert_true(osp_hex_decode(osp_slice_str(secret), key, 16, &n));
    p.master_secret = osp_slice(key, 16);
    EXPECT_OK(osp_octx_new(&p, &server));
    EXPECT_OK(osp_octx_configured_add(w.table, server));
    w.ctxs[w.ctx_count++] = server;
    c = client_side(" ", "P");
    w.hold_leases = true;
    world_start(&w);
    forward(&m, "s.example");
    wrap(c, &m, buf, sizeof(buf), &l);
    client_sends(&m);
    nothing_left();                             /* no number is leased yet: it waits */
    assert_int_equal(w.held_count, 1);
    world_release_leases(&w, true);
    taken(&a);
    assert_int_equal(last_out.to.sock, WORLD_LISTENER);
    assert_true(osp_msg_get(&a, OSP_OPT_OSCORE)->val.n > 0);    /* a Partial IV of its own */
    assert_int_equal(unwrap(&l, &a), OSP_CODE(4, 1));
    assert_int_equal(a.payload.n, 0);
    assert_int_equal(a.opt_count, 1);
    n = osp_msg_get(&a, OSP_OPT_ECHO)->val.n;
    assert_true(osp_slice_copy(osp_msg_get(&a, OSP_OPT_ECHO)->val, echo, sizeof(echo)));
    osp_layer_fini(&l);
    nothing_left();
    /* outside of the layer the Echo proves nothing */
    forward(&m, "s.example");
    wrap(c, &m, buf, sizeof(buf), &l);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_slice(echo, n)));
    client_sends(&m);
    taken(&a);
    assert_int_equal(last_out.to.sock, WORLD_LISTENER);
    assert_int_equal(unwrap(&l, &a), OSP_CODE(4, 1));
    osp_layer_fini(&l);
    /* inside it does */
    forward(&m, "s.example");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_slice(echo, n)));
    wrap(c, &m, buf, sizeof(buf), &l);
    client_sends(&m);
    taken(&q);
    assert_int_equal(last_out.to.sock, 0);
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* row S13 */
static void
late_response_after_5_04_is_dropped(void **state)
{
    struct osp_octx *c;
    struct osp_layer l;
    struct osp_msg   m, a, q, r;
    uint8_t          buf[2048];
    struct world_out to;

    (void)state;
    world_context(&w, secret, "", "50", "20", 0);
    c = client_side(" ", "P");
    w.policy.response_timeout_us = OSP_SEC(1);
    world_start(&w);
    forward(&m, "s.example");
    m.type = OSP_NON;
    wrap(c, &m, buf, sizeof(buf), &l);
    client_sends(&m);
    taken(&q);
    to = last_out;
    world_run(&w, OSP_SEC(2));
    taken(&a);
    assert_int_equal(unwrap(&l, &a), OSP_CODE(5, 4));
    osp_msg_init(&r, OSP_CODE(2, 5));
    last_out = to;
    answer_request(&q, &r);
    nothing_left();
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* A lease that fails is answered, not waited for. */
static void
no_lease_is_5_03_and_a_granted_one_goes_on(void **state)
{
    struct osp_octx *up = world_context(&w, secret, "", "d4", "54", 0);
    struct osp_msg   m, q;
    uint64_t         n;

    (void)state;
    while (osp_octx_take_ssn(up, &n) == OSP_OK)
        ;
    w.upstreams[0] = (struct osp_upstream){ .match = { .kind = OSP_TARGET_ANY, .scheme = OSP_SCHEME_UNKNOWN }, .ctx = up };
    w.policy.upstream_count = 1;
    w.hold_leases = true;
    world_start(&w);
    for (int i = 0; i < 4; i++)
        client_sends(forward(&m, "s.example"));
    assert_int_equal(w.held_count, 1);          /* asked for once */
    nothing_left();
    world_release_leases(&w, true);
    for (int i = 0; i < 4; i++) {
        taken(&q);
        assert_int_equal(last_out.to.sock, 0);
    }
    while (osp_octx_take_ssn(up, &n) == OSP_OK)
        ;
    client_sends(forward(&m, "s.example"));
    world_release_leases(&w, false);
    taken(&q);
    assert_int_equal(q.code, OSP_CODE(5, 3));
}

/* The next hop lost its window: the proxy answers its challenge itself, once. */
static void
echo_challenge_of_the_next_hop_is_answered_once(void **state)
{
    struct osp_octx      *origin;
    struct osp_layer      l;
    struct osp_msg        m, q, plain, resp, out;
    uint8_t               buf[4096], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr         b;
    struct osp_layer_ends ends = { OSP_LAYER_TO_SERVER, true, false };

    (void)state;
    w.upstreams[0] = (struct osp_upstream){ .match = { .kind = OSP_TARGET_ANY, .scheme = OSP_SCHEME_UNKNOWN },
                                            .ctx = world_context(&w, secret, "", "d4", "54", 0) };
    w.policy.upstream_count = 1;
    origin = client_side("T", "\xd4");
    world_start(&w);
    client_sends(forward(&m, "s.example"));
    for (int round = 0; round < 2; round++) {
        b = osp_wr_to(buf, sizeof(buf));
        taken(&q);
        assert_int_equal(last_out.to.sock, 0);
        EXPECT_OK(osp_oscore_unprotect_request(cr, origin, &q, &b, &plain, &l));
        assert_int_equal(osp_msg_has(&plain, OSP_OPT_ECHO), round == 1);
        osp_msg_init(&resp, OSP_CODE(4, 1));
        add(&resp, OSP_OPT_ECHO, "fresh?");
        EXPECT_OK(osp_classes(&ends, &resp, classes));
        EXPECT_OK(osp_oscore_protect_response(cr, &l, &resp, classes, true, &b, &out));
        answer_request(&q, &out);
        osp_layer_fini(&l);
    }
    taken(&q);
    assert_int_equal(last_out.to.sock, WORLD_LISTENER);
    assert_int_equal(q.code, OSP_CODE(4, 1));
    osp_octx_unref(origin);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, forward_setup, forward_teardown)
    const struct CMUnitTest tests[] = {
        T(layers_beyond_the_limit_are_refused_under_those_removed),
        T(decrypted_refusals_are_protected),
        T(option_that_cannot_be_classified_is_4_02_and_5_02),
        T(unexpected_and_missing_layers_in_a_response_are_5_02),
        T(edhoc_option_for_another_hop_travels),
        T(unknown_window_is_challenged_and_executes_nothing),
        T(late_response_after_5_04_is_dropped),
        T(no_lease_is_5_03_and_a_granted_one_goes_on),
        T(echo_challenge_of_the_next_hop_is_answered_once),
    };
    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
