/* SPDX-License-Identifier: BSD-2-Clause */
/* Whom the Responder of EDHOC trusts, after reloads too, and which EDHOC is not for it; in virtual time. */
#include "responder_world.h"

#include "crypto/pk.h"

/* ---- reloads ---- */

/* A second policy with EDHOC of its own, as a reload brings it. */
static void
reload(struct osp_policy *p, struct osp_edhoc_conf *e)
{
    *e = w.edhoc;
    *p = w.policy;
    atomic_init(&p->refs, 1);
    p->edhoc = e;
}

/* Who is trusted is judged when the context is made, whenever the session began. */
static void
session_of_before_a_reload_asks_the_new_policy_whom_to_trust(void **state)
{
    struct client         c;
    struct osp_msg        resp;
    struct osp_policy     later;
    struct osp_edhoc_conf e;

    (void)state;
    world_start(&w);
    for (int combined = 0; combined < 2; combined++) {
        begin(&c, 3, 2, "I");
        reload(&later, &e);
        e.trusted.count = 0;
        osp_proxy_set_policy(w.px, &later);
        if (combined) {
            derive(&c);
            assert_false(passes_with(&c, m3_of(&c)));
            w.out_count = 0;
        } else {
            assert_int_equal(OSP_CODE(4, 0), send_3(&c, m3_of(&c), &resp));
        }
        assert_false(is_live(&c));
        client_fini(&c);
        e.trusted.count = KEYS;                 /* trusted again, with a session that began before it */
        begin(&c, 3, 2, "I");
        osp_proxy_set_policy(w.px, &w.policy);
        finish(&c);
        assert_true(passes(&c));
        client_fini(&c);
        assert_int_equal(1, atomic_load(&later.refs));
    }
    assert_int_equal(2, w.kept);
}

/* The same for an authority that vouches for certificates. */
static void
session_of_before_a_reload_asks_the_new_policy_who_vouches(void **state)
{
    static struct edhoc_pair p;
    struct client            c;
    struct osp_msg           resp;
    struct osp_policy        later;
    struct osp_edhoc_conf    e;

    (void)state;
    w.edhoc.profile.anchors = edhoc_anchors;
    w.edhoc.profile.chain_label = LABEL(2);
    osp_responder_set_clock(w.responder, EDHOC_NOW);
    edhoc_init(&p, 0, 2, EDHOC_X5CHAIN, EDHOC_KID, false);
    special = &p.i.own;
    world_start(&w);
    for (int reloaded = 0; reloaded < 2; reloaded++) {
        client_init(&c, 0, 2, osp_slice_str("I"));
        assert_int_equal(OSP_CODE(2, 4), send_1(&c, OSP_EMPTY, &resp));
        go_on(&c, &resp);
        reload(&later, &e);
        e.profile.anchors = NULL;
        if (reloaded)
            osp_proxy_set_policy(w.px, &later);
        assert_int_equal(reloaded ? OSP_CODE(4, 0) : OSP_CODE(2, 4), send_3(&c, m3_of(&c), &resp));
        assert_int_equal(!reloaded, is_live(&c));
        client_fini(&c);
    }
    special = NULL;
    osp_proxy_set_policy(w.px, &w.policy);
}

/* row X05: a reload gave its identifier to somebody else while the session was on its way */
static void
session_whose_c_r_was_configured_meanwhile_fails(void **state)
{
    struct client  c;
    struct osp_msg resp;
    char           rid[32];

    (void)state;
    world_start(&w);
    begin(&c, 3, 2, "I");
    osp_hex_encode(osp_slice(c.c_r.bytes, c.c_r.len), rid, sizeof(rid));
    (void)world_context(&w, "000102030405060708090a0b0c0d0e0f", "", "d4", rid, 0);
    (void)send_3(&c, m3_of(&c), &resp);
    assert_false(is_live(&c));
    expect_error(&resp, OSP_CODE(5, 0), OSP_EDHOC_ERR_UNSPECIFIED);
    assert_int_equal(0, w.kept);
    client_fini(&c);
}

/* ---- credentials nobody configured ---- */

static void
unknown_credential_by_value(void **state)
{
    struct client     c;
    struct osp_msg    resp;
    struct edhoc_side stranger;

    (void)state;
    world_start(&w);
    edhoc_ccs(&stranger, OSP_P256, 0x77, 0x7a, false, true);
    responder_own[0][P256] = stranger.own;
    for (int accept = 0; accept < 2; accept++) {
        w.edhoc.accept_unknown = accept;
        begin(&c, 3, 2, "I");
        if (!accept) {
            assert_int_equal(OSP_CODE(4, 0), send_3(&c, m3_of(&c), &resp));
            assert_false(is_live(&c));
        } else {
            finish(&c);
            assert_true(passes(&c));
            assert_int_equal(LABEL(3), osp_octx_label(w.made[0]->octx));
            assert_string_equal("unknown", w.made[0]->name);
            assert_int_equal(16, strlen(w.made[0]->peer));
        }
        client_fini(&c);
    }
    assert_int_equal(1, w.kept);
}

/* ---- where EDHOC is not for us, and where it is under a layer ---- */

/* A reverse-proxy that takes layers off, in front of 192.0.2.9. */
static void
add_route_that_terminates(void)
{
    w.routes[0] = (struct osp_route){ .name = "dev", .host = osp_slice_str("dev.example"),
                                      .hop = { .to = { OSP_SCHEME_COAP, osp_slice_str("192.0.2.9"), 5683, true,
                                                       osp_ip_v4(192, 0, 2, 9) } } };
    w.policy.reverse = true;
    w.policy.route_count = 1;
}

/* row L17: an end-to-end kid of one byte, which is what origins choose first, is none of ours where it could come by */
static void
c_r_is_long_where_end_to_end_layers_pass(void **state)
{
    struct client c;

    (void)state;
    world_start(&w);
    begin(&c, 3, 2, "I");
    assert_int_equal(1, c.c_r.len);
    client_fini(&c);
    add_route_that_terminates();
    begin(&c, 3, 2, "I");
    assert_int_equal(4, c.c_r.len);
    finish(&c);
    client_fini(&c);
    w.routes[0].pass = true;
    begin(&c, 3, 2, "I");
    assert_int_equal(1, c.c_r.len);
    client_fini(&c);
}

/* row L17: message_3 for an origin, beside a kid that a session of another client, and a context, have here */
static void
combined_request_for_an_origin_passes_beside_a_c_r_of_ours(void **state)
{
    struct client    c;
    struct osp_addr  elsewhere = host(7);
    struct osp_msg   m;
    struct world_out o;

    (void)state;
    world_start(&w);
    begin(&c, 3, 2, "I");               /* before the route was there: C_R has one byte */
    assert_int_equal(1, c.c_r.len);
    add_route_that_terminates();
    for (int complete = 0; complete < 2; complete++) {
        uint8_t option[3] = { 9, 1, c.c_r.bytes[0] };

        osp_msg_init(&m, OSP_POST);
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("dev.example")));
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_EDHOC, OSP_EMPTY));
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_OSCORE, osp_slice(option, sizeof(option))));
        m.payload = osp_slice_str("\x43" "abcsealed for the origin");
        send_from(&elsewhere, &m);
        assert_true(take(&o, &m));
        assert_int_equal(0, o.to.sock);
        assert_true(osp_msg_has(&m, OSP_OPT_EDHOC) && osp_msg_has(&m, OSP_OPT_OSCORE));
        if (!complete)
            finish(&c);
    }
    assert_int_equal(0, sessions().failed);
    client_fini(&c);
}

/* row X11 */
static void
edhoc_for_somebody_else_passes_untouched(void **state)
{
    struct client    c;
    struct osp_msg   m;
    struct world_out o;
    uint8_t          bytes[OSP_EDHOC_MESSAGE_MAX + 1];
    struct osp_wr    d = osp_wr_to(bytes, sizeof(bytes));

    (void)state;
    world_start(&w);
    client_init(&c, 3, 2, osp_slice_str("I"));
    osp_wr_u8(&d, 0xf5);
    osp_wr_put(&d, m1_of(&c));
    for (int combined = 0; combined < 2; combined++) {
        edhoc_request(&m, osp_wr_slice(&d));
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("s.example")));
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
        if (combined) {
            EXPECT_OK(osp_msg_add(&m, OSP_OPT_EDHOC, OSP_EMPTY));
            EXPECT_OK(osp_msg_add(&m, OSP_OPT_OSCORE, osp_slice_str("\x09\x01\x21")));
        }
        send_from(&c.from, &m);
        assert_true(take(&o, &m));
        assert_int_equal(0, o.to.sock);
        assert_int_equal(OSP_POST, m.code);
        EXPECT_BYTES(osp_wr_slice(&d), m.payload);
        assert_int_equal(combined, osp_msg_has(&m, OSP_OPT_EDHOC));
        assert_int_equal(combined, osp_msg_has(&m, OSP_OPT_OSCORE));
    }
    assert_int_equal(0, sessions().started + sessions().failed);
    client_fini(&c);
}

/* [ocp#2.4] EDHOC with the proxy, inside a layer that is there already: keys are renewed without being seen. */
static void
edhoc_under_a_layer(void **state)
{
    struct client    outer, c;
    struct osp_layer l = { 0 };
    struct osp_msg   m, resp, plain;
    uint8_t          bytes[OSP_EDHOC_MESSAGE_MAX + 1], buf[1024];
    struct osp_wr    d = osp_wr_to(bytes, sizeof(bytes)), b = osp_wr_to(buf, sizeof(buf));

    (void)state;
    world_start(&w);
    begin(&outer, 3, 2, "O");
    finish(&outer);
    client_init(&c, 3, 2, osp_slice_str("I"));
    osp_wr_u8(&d, 0xf5);
    osp_wr_put(&d, m1_of(&c));
    edhoc_request(&m, osp_wr_slice(&d));
    send_protected(&outer, &m, OSP_EMPTY, &l);
    assert_int_equal(OSP_CODE(2, 4), told(&resp));
    EXPECT_OK(osp_oscore_unprotect_response(edhoc_crypto, &l, &resp, &b, &plain));
    assert_int_equal(OSP_CODE(2, 4), plain.code);
    osp_layer_fini(&l);
    go_on(&c, &plain);
    finish(&c);                         /* message_3 in the clear, from the same address */
    assert_true(passes(&c));
    client_fini(&c);
    client_fini(&outer);
}

/* ---- messages in blocks ---- */

#define T(test) cmocka_unit_test_setup_teardown(test, responder_setup, responder_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(session_of_before_a_reload_asks_the_new_policy_whom_to_trust),
        T(session_of_before_a_reload_asks_the_new_policy_who_vouches),
        T(session_whose_c_r_was_configured_meanwhile_fails),
        T(unknown_credential_by_value),
        T(c_r_is_long_where_end_to_end_layers_pass),
        T(combined_request_for_an_origin_passes_beside_a_c_r_of_ours),
        T(edhoc_for_somebody_else_passes_untouched),
        T(edhoc_under_a_layer),
    };

    return cmocka_run_group_tests(tests, edhoc_setup, edhoc_teardown);
}
