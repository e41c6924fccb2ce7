/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts of the proxy at their limits: what clients and next hops see, what the daemon is told. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "world.h"

static struct world       w;
static struct osp_crypto *cr;
static uint16_t           next_mid;
static const char         secret[] = "000102030405060708090a0b0c0d0e0f";

static int
setup(void **state)
{
    (void)state;
    world_init_forward(&w);
    return osp_crypto_new(&cr) == OSP_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    world_end(&w);
    osp_crypto_free(cr);
    return 0;
}

/* ---- the ends ---- */

static struct osp_octx *
client_side(const char *sid, const char *rid)
{
    return world_other_side(secret, sid, rid);
}

static void
limit(struct osp_octx *c, uint32_t q, uint32_t v, bool stop)
{
    osp_octx_set_limits(c, &(struct osp_key_limits){ q, v, 0, stop });
}

static uint8_t request_type = OSP_NON;

static void
send(struct osp_msg *m)
{
    m->type = request_type;
    m->mid = ++next_mid;
    m->token = osp_slice_str("tk");
    world_send(&w, WORLD_LISTENER, 1, 40000, m);
}

/* A GET under the client's layer; `broken`: with a tag that does not verify. */
static void
send_protected(struct osp_octx *c, bool broken, struct osp_layer *l)
{
    struct osp_msg m, out;
    uint8_t        buf[1024], body[256];
    struct osp_wr  b = osp_wr_to(buf, sizeof(buf));
    size_t         n;

    world_get(&m);
    world_protect(cr, c, &m, &b, &out, l);
    n = out.payload.n;
    assert_true(osp_slice_copy(out.payload, body, sizeof(body)));
    body[n - 1] ^= broken;
    out.payload = osp_slice(body, n);
    send(&out);
}

static bool
take(struct world_out *o, struct osp_msg *m)
{
    return world_take_msg(&w, o, m);
}

/* The origin answers 2.05 to the request that left last; true if there was one. */
static bool
origin_answers(void)
{
    struct world_out o;
    struct osp_msg   q, r;

    if (!take(&o, &q))
        return false;
    assert_int_equal(o.to.sock, 0);
    osp_msg_init(&r, OSP_CODE(2, 5));
    world_answer(&w, &o, &q, &r, ++next_mid);
    return true;
}

/* What the client was told, in the clear. */
static uint8_t
told(struct osp_msg *m)
{
    struct world_out o;

    if (!take(&o, m))
        return 0;
    assert_int_equal(o.to.sock, WORLD_LISTENER);
    return m->code;
}

static uint64_t
errors(enum osp_err e)
{
    struct osp_proxy_stats s;

    osp_proxy_stats(w.px, &s);
    return s.errors[e];
}

static struct osp_octx *
protect_upstream(void)
{
    struct osp_octx *c = world_context(&w, secret, "", "d4", "54", 0);

    world_protect_upstream(&w, c);
    return c;
}

/* ---- scenarios ---- */

/* row S12: what can no longer be decrypted is answered like what never could be [key-limits#2.3.2] */
static void
client_whose_context_is_at_v_is_told_that_there_is_none(void **state)
{
    struct osp_octx *p = world_context(&w, secret, "", "50", "20", 0), *c = client_side(" ", "P");
    struct osp_layer l = { 0 };
    struct osp_msg   m;

    (void)state;
    limit(p, 0, 20, true);
    world_start(&w);
    for (int i = 0; i < 20; i++) {
        send_protected(c, true, &l);
        assert_int_equal(told(&m), OSP_CODE(4, 0));
        EXPECT_BYTES(osp_slice_str("Decryption failed"), m.payload);
        osp_layer_fini(&l);
        assert_int_equal(w.worn, i < 17 ? 0 : i < 19 ? 1 : 2);
    }
    for (int broken = 0; broken < 2; broken++) {
        send_protected(c, broken, &l);
        assert_int_equal(told(&m), OSP_CODE(4, 1));
        EXPECT_BYTES(osp_slice_str("Security context not found"), m.payload);
        assert_true(osp_msg_has(&m, OSP_OPT_MAX_AGE));
        osp_layer_fini(&l);
    }
    assert_int_equal(errors(OSP_E_KEY_SPENT), 2);
    assert_int_equal(w.worn, 2);
    osp_octx_unref(c);
}

/* row S12 */
static void
context_that_warns_goes_on_beyond_its_limits(void **state)
{
    struct osp_octx *p = world_context(&w, secret, "", "50", "20", 0), *c = client_side(" ", "P");
    struct osp_layer l = { 0 };
    struct osp_msg   m;

    (void)state;
    limit(p, 10, 10, false);
    world_start(&w);
    for (int i = 0; i < 30; i++) {
        send_protected(c, i % 2, &l);
        if (i % 2 == 0)
            assert_true(origin_answers());
        assert_int_equal(told(&m), i % 2 ? OSP_CODE(4, 0) : OSP_CODE(2, 4));
        osp_layer_fini(&l);
    }
    assert_int_equal(w.worn, 2);                        /* said once that they are near, once that they are there */
    osp_octx_unref(c);
}

/* row S12 [key-limits#2.3.1] */
static void
leg_whose_context_is_at_q_is_closed_with_a_reason(void **state)
{
    struct osp_octx *up = protect_upstream();
    struct osp_msg   m;
    struct world_out o;

    (void)state;
    limit(up, 3, 0, true);
    world_start(&w);
    for (int i = 0; i < 5; i++) {
        world_get(&m);
        send(&m);
        assert_true(take(&o, &m));
        assert_int_equal(o.to.sock, i < 3 ? 0 : WORLD_LISTENER);
    }
    assert_int_equal(m.code, OSP_CODE(5, 3));
    EXPECT_BYTES(osp_slice_str("key usage limit of the security context reached"), m.payload);
    assert_int_equal(errors(OSP_E_KEY_LIMIT), 2);
    limit(up, 4, 0, true);                              /* a reload gave it more */
    world_get(&m);
    send(&m);
    assert_true(take(&o, &m) && o.to.sock == 0);
}

/* An answer that cannot be protected is not given, and nothing is asked of the origin any more. */
static void
answer_beyond_q_is_dropped(void **state)
{
    struct osp_octx *p = world_context(&w, secret, "", "50", "20", 0), *c = client_side(" ", "P");
    struct osp_layer l = { 0 }, l2 = { 0 };
    struct osp_msg   m;

    (void)state;
    limit(p, 1, 0, true);
    world_start(&w);
    send_protected(c, false, &l);                       /* two on their way, one answer left */
    send_protected(c, false, &l2);
    assert_true(origin_answers());
    assert_true(origin_answers());
    assert_int_equal(told(&m), OSP_CODE(2, 4));
    assert_int_equal(told(&m), 0);
    assert_int_equal(errors(OSP_E_KEY_LIMIT), 1);
    osp_layer_fini(&l);
    osp_layer_fini(&l2);
    send_protected(c, false, &l);
    assert_int_equal(told(&m), OSP_CODE(4, 1));
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* ---- what nobody wakes up ---- */

/* The ask for a lease may get lost: the ring of asks was full, the store's thread is stuck. */
static void
parked_exchange_ends_at_its_deadline(void **state)
{
    struct osp_octx       *up = protect_upstream();
    struct osp_msg         m;
    struct world_out       o;
    struct osp_proxy_stats s;
    uint64_t               n;

    (void)state;
    while (osp_octx_take_ssn(up, &n) == OSP_OK)
        ;
    w.hold_leases = true;
    world_start(&w);
    world_get(&m);
    send(&m);
    world_run(&w, w.policy.response_timeout_us - OSP_SEC(1));
    assert_int_equal(w.out_count, 0);
    osp_proxy_stats(w.px, &s);
    assert_int_equal(s.parked, 1);
    world_run(&w, OSP_SEC(2));
    assert_true(take(&o, &m));
    assert_int_equal(m.code, OSP_CODE(5, 3));
    assert_int_equal(errors(OSP_E_NO_LEASE), 1);
    osp_proxy_stats(w.px, &s);
    assert_int_equal(s.parked, 0);
    world_release_leases(&w, true);                     /* too late: nothing goes out twice */
    assert_int_equal(w.out_count, 0);
}

/* The same for a challenge [rfc8613#B.1.2] and for a name. */
static void
parked_challenge_and_name_end_at_their_deadline(void **state)
{
    struct osp_octx       *c = client_side(" ", "P"), *p;
    struct osp_octx_params params = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .sender_id = osp_slice_str("P"),
                                      .recipient_id = osp_slice_str(" ") };
    struct osp_layer       l = { 0 };
    struct osp_msg         m;
    uint8_t                key[16];
    size_t                 n;

    (void)state;
    assert_true(osp_hex_decode(osp_slice_str(secret), key, 16, &n));
    params.master_secret = osp_slice(key, 16);
    EXPECT_OK(osp_octx_new(&params, &p));
    EXPECT_OK(osp_octx_configured_add(w.table, p));     /* window unknown, no numbers */
    w.hold_leases = true;
    world_start(&w);
    send_protected(c, false, &l);
    world_get(&m);
    osp_msg_remove(&m, OSP_OPT_URI_HOST);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("dns.example")));
    send(&m);
    assert_int_equal(w.out_count, 0);
    world_run(&w, w.policy.response_timeout_us + OSP_SEC(1));
    assert_int_equal(errors(OSP_E_NO_LEASE), 2);        /* the exchange, and the error that could not be protected */
    assert_int_equal(told(&m), OSP_CODE(5, 4));
    assert_int_equal(w.out_count, 0);
    assert_true(osp_proxy_idle(w.px));
    world_release_leases(&w, false);
    osp_layer_fini(&l);
    osp_octx_unref(c);
    osp_octx_unref(p);
}

/* [rfc9175#2.4] What was recorded may come from anybody's address, so a challenge is not repeated there. */
static void
late_challenge_is_not_confirmable(void **state)
{
    struct osp_octx       *c = client_side(" ", "P"), *p;
    struct osp_octx_params params = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .sender_id = osp_slice_str("P"),
                                      .recipient_id = osp_slice_str(" ") };
    struct osp_layer       l = { 0 };
    struct osp_msg         m;
    uint8_t                key[16];
    size_t                 n, challenges = 0;

    (void)state;
    assert_true(osp_hex_decode(osp_slice_str(secret), key, 16, &n));
    params.master_secret = osp_slice(key, 16);
    EXPECT_OK(osp_octx_new(&params, &p));
    EXPECT_OK(osp_octx_configured_add(w.table, p));     /* window unknown, no numbers */
    w.hold_leases = true;
    world_start(&w);
    request_type = OSP_CON;
    send_protected(c, false, &l);
    request_type = OSP_NON;
    world_run(&w, OSP_MS(600));                         /* it is acknowledged in the meantime */
    world_release_leases(&w, true);
    world_run(&w, OSP_SEC(100));
    for (struct world_out o; world_take_msg(&w, &o, &m);) {
        challenges += m.code != 0;
        assert_true(m.code == 0 || m.type == OSP_NON);
    }
    assert_int_equal(challenges, 1);
    osp_layer_fini(&l);
    osp_octx_unref(c);
    osp_octx_unref(p);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(client_whose_context_is_at_v_is_told_that_there_is_none),
        T(context_that_warns_goes_on_beyond_its_limits),
        T(leg_whose_context_is_at_q_is_closed_with_a_reason),
        T(answer_beyond_q_is_dropped),
        T(parked_exchange_ends_at_its_deadline),
        T(parked_challenge_and_name_end_at_their_deadline),
        T(late_challenge_is_not_confirmable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
