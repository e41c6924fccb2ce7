/* SPDX-License-Identifier: BSD-2-Clause */
/* Deterministic requests beyond the vectors: who makes them, what the server refuses, and the responses to them. */
#include "tests/unit/group/group_cast.h"

/* ---- a client that is no member ---- */

static void
a_client_without_keys_makes_deterministic_requests_and_nothing_else(void **state)
{
    struct world      w;
    struct osp_group *guest = NULL;
    struct osp_msg    q = get("a"), a = content("b"), one, two, got;
    struct osp_wr     s = pad(3);
    struct osp_group_layer l;

    (void)state;
    begin(&w, OSP_ED25519);
    play(&w.cast, CLIENT);
    w.cast.p.has_self = false;
    EXPECT_OK(osp_group_new(&w.cast.p, &guest, NULL));
    one = ask(&w, &q, false);
    EXPECT_OK(osp_group_protect_deterministic(cr, guest, TO_SERVER, &q, classes(&w, &q), false, &s, &two, &l));
    EXPECT_BYTES(one.payload, two.payload);
    EXPECT_ERR(OSP_E_INVALID, osp_group_protect_request(cr, guest, OSP_GROUP_SIGNED, TO_SERVER, &q, w.classes, &s, &two, &w.cl));
    EXPECT_ERR(OSP_E_INVALID, osp_group_protect_request(cr, guest, OSP_GROUP_PAIRWISE, TO_SERVER, &q, w.classes, &s, &two,
                &w.cl));
    (void)take(&w, &one);
    one = reply(&w, &a, 0);
    s = pad(3);
    EXPECT_OK(osp_group_unprotect_response(cr, &l, &one, &s, &got));
    osp_group_layer_fini(&l);
    /* nor does it answer any */
    one = ask(&w, &q, false);
    s = pad(1);
    EXPECT_OK(osp_group_unprotect_request(cr, guest, &one, &s, &got, &l));
    EXPECT_ERR(OSP_E_INVALID, osp_group_protect_response(cr, &l, &a, classes(&w, &a), 0, &s, &got));
    osp_group_layer_fini(&l);
    osp_group_unref(guest);
    end(&w);
}

/* ---- deterministic requests: what the server refuses ---- */

/* [cacheable#3.4.3] */
static void
every_changed_byte_of_a_deterministic_request_is_refused(void **state)
{
    struct world   w;
    struct osp_msg q = get("path"), on;
    uint8_t        copy[256], hash[64];
    struct osp_slice sealed;

    (void)state;
    begin(&w, OSP_ED25519);
    on = ask(&w, &q, false);
    EXPECT_OK(serve(w.server, &on));
    sealed = on.payload;
    for (size_t i = 0; i < sealed.n; i++) {
        assert_true(osp_slice_copy(sealed, copy, sizeof(copy)));
        copy[i] ^= 0x40;
        on.payload = osp_slice(copy, sealed.n);
        EXPECT_ERR(OSP_E_DECRYPT, serve(w.server, &on));
        on.payload = osp_slice(sealed.p, i);
        EXPECT_ERR(i ? OSP_E_DECRYPT : OSP_E_OSCORE_OPTION, serve(w.server, &on));
    }
    on.payload = sealed;
    for (size_t i = 0; i < 32; i++) {
        assert_true(osp_slice_copy(osp_slice(w.cl.hash, 32), hash, sizeof(hash)));
        hash[i] ^= 1;
        set_option(&on, OSP_OPT_REQUEST_HASH, osp_slice(hash, 32));
        EXPECT_ERR(OSP_E_DECRYPT, serve(w.server, &on));
        set_option(&on, OSP_OPT_REQUEST_HASH, osp_slice(w.cl.hash, i));
        EXPECT_ERR(OSP_E_DECRYPT, serve(w.server, &on));
    }
    osp_msg_remove(&on, OSP_OPT_REQUEST_HASH);
    EXPECT_ERR(OSP_E_DECRYPT, serve(w.server, &on));
    EXPECT_OK(osp_msg_add(&on, OSP_OPT_REQUEST_HASH, osp_slice(w.cl.hash, 32)));
    EXPECT_OK(serve(w.server, &on));
    EXPECT_OK(osp_msg_add(&on, OSP_OPT_REQUEST_HASH, osp_slice(w.cl.hash, 32)));
    EXPECT_ERR(OSP_E_DECRYPT, serve(w.server, &on));
    end(&w);
}

/*
 * A request in the name of the Deterministic Client, by a member who cheats: it has all the keys.  `hash` NULL: the
 * right one.
 */
static struct osp_msg
forge(struct world *w, uint64_t piv_value, const uint8_t *hash, const uint8_t *plain, size_t n)
{
    static uint8_t       option[16], sealed[64], right[64];
    uint8_t              aad[1024], enc[1100], key[32], nonce[13];
    struct osp_wr        a = osp_wr_to(aad, sizeof(aad)), x = osp_wr_to(enc, sizeof(enc)), o = osp_wr_to(option, sizeof(option));
    uint8_t              piv[1] = { (uint8_t)piv_value };
    struct osp_group_opt opt = { .o = { .piv = osp_slice(piv, 1), .has_kid = true, .kid = osp_slice("\xdc", 1),
                                        .has_kid_context = true, .kid_context = osp_slice("gid", 3) } };
    struct osp_group_aad parts = { .request_kid = opt.o.kid, .request_piv = opt.o.piv };
    struct osp_msg       m;

    EXPECT_OK(osp_group_opt_write(&opt, &o));
    parts.oscore_option = osp_wr_slice(&o);
    EXPECT_OK(osp_group_aad_array(w->client, &parts, &a));
    EXPECT_OK(osp_group_enc_structure(osp_wr_slice(&a), &x));
    EXPECT_OK(osp_group_request_hash(w->client, osp_wr_slice(&a), osp_slice(plain, n), right));
    if (hash)
        memcpy(right, hash, 32);
    EXPECT_OK(osp_group_det_request_key(w->client, osp_slice(right, 32), key));
    osp_oscore_nonce(opt.o.kid, opt.o.piv, osp_group_keys(w->client).common_iv.p, 13, nonce);
    EXPECT_OK(osp_aead_seal(cr, 10, key, nonce, osp_wr_slice(&x), osp_slice(plain, n), sealed));
    osp_msg_init(&m, OSP_FETCH);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OSCORE, osp_wr_slice(&o)));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_REQUEST_HASH, osp_slice(right, 32)));
    m.payload = osp_slice(sealed, n + 8);
    return m;
}

/* row D09 (partly: the origin's answer) */
/* [cacheable#3.4.3] */
static void
a_member_cannot_pass_a_request_off_under_another_hash(void **state)
{
    static const uint8_t get_a[] = { 1, 0xb1, 'a' }, put_a[] = { 3, 0xb1, 'a' }, bad[] = { 1, 0xbf };
    struct world         w;
    struct osp_msg       m;
    uint8_t              hash[32] = { 7 };

    (void)state;
    begin(&w, OSP_ED25519);
    m = forge(&w, 0, NULL, get_a, sizeof(get_a));
    EXPECT_OK(serve(w.server, &m));     /* so the forger does know the form */
    m = forge(&w, 0, hash, get_a, sizeof(get_a));
    EXPECT_ERR(OSP_E_DECRYPT, serve(w.server, &m));
    m = forge(&w, 5, NULL, get_a, sizeof(get_a));
    EXPECT_ERR(OSP_E_DECRYPT, serve(w.server, &m));
    m = forge(&w, 0, NULL, put_a, sizeof(put_a));
    EXPECT_ERR(OSP_E_FORBIDDEN, serve(w.server, &m));
    m = forge(&w, 0, NULL, bad, sizeof(bad));
    EXPECT_ERR(OSP_E_FORMAT, serve(w.server, &m));
    end(&w);
}

/* [gosc#6] [gosc#3.2] [gosc#7.2] */
static void
requests_of_other_groups_and_of_nobody_are_refused(void **state)
{
    static const struct { const char *option; size_t n; enum osp_err e; } t[] = {
        { "\x19\x00\x03gix\xdc", 7, OSP_E_NO_CONTEXT },         /* another group */
        { "\x19\x00\x03gid\x77", 7, OSP_E_NO_CONTEXT },         /* no member */
        { "\x19\x00\x03gid\x21", 7, OSP_E_NO_CONTEXT },         /* the server itself */
        { "\x39\x00\x03gid\xdc", 7, OSP_E_NO_CONTEXT },         /* nobody can sign for the Deterministic Client */
        { "\x19\x00\x03gid", 6, OSP_E_NO_CONTEXT },             /* an empty kid is one, but of nobody */
        { "\x09\x00\xdc", 3, OSP_E_OSCORE_OPTION },             /* no kid context */
        { "\x18\x03gid\xdc", 6, OSP_E_OSCORE_OPTION },          /* no Partial IV */
        { "\x11\x00\x03gid", 6, OSP_E_OSCORE_OPTION },          /* no kid */
        { "\x59\x00\x03gid\xdc", 7, OSP_E_OSCORE_OPTION },      /* reserved flags */
        { "\x99\x00\x03gid\xdc", 7, OSP_E_OSCORE_OPTION },
        { "\x1e\x00\x03gid\xdc", 7, OSP_E_OSCORE_OPTION },
        { "\x19\x00\x0fgid\xdc", 7, OSP_E_OSCORE_OPTION },
        { "\x00", 1, OSP_E_OSCORE_OPTION },
        { "", 0, OSP_E_OSCORE_OPTION },
    };
    struct world   w;
    struct osp_msg q = get("a"), on;

    (void)state;
    begin(&w, OSP_ED25519);
    on = ask(&w, &q, false);
    assert_true(osp_group_is_named(w.server, &on));
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        set_option(&on, OSP_OPT_OSCORE, osp_slice(t[i].option, t[i].n));
        EXPECT_ERR(t[i].e, serve(w.server, &on));
        if (i == 0 || t[i].e != OSP_E_NO_CONTEXT)
            assert_int_equal(osp_group_is_named(w.server, &on), i == 6 || i == 7);
    }
    set_option(&on, OSP_OPT_OSCORE, osp_slice("\x19\x00\x03gid\xdc", 7));
    EXPECT_OK(serve(w.server, &on));
    EXPECT_OK(osp_msg_add(&on, OSP_OPT_OSCORE, osp_slice("\x19\x00\x03gid\xdc", 7)));   /* twice */
    EXPECT_ERR(OSP_E_OSCORE_OPTION, serve(w.server, &on));
    end(&w);
}

/* [cacheable#3.4.3] made to be repeated: no replay window is asked, and none moves */
static void
a_deterministic_request_may_come_again(void **state)
{
    struct world      w;
    struct osp_msg    q = get("a"), on;
    struct osp_replay win;

    (void)state;
    begin(&w, OSP_ED25519);
    on = ask(&w, &q, false);
    for (int i = 0; i < 3; i++)
        EXPECT_OK(serve(w.server, &on));
    for (size_t i = 0; i < osp_group_member_count(w.server); i++) {
        assert_int_equal(osp_group_get_window(w.server, i, &win), OSP_WINDOW_KNOWN);
        assert_int_equal(win.next, 0);
    }
    end(&w);
}

static void
a_deterministic_request_is_safe_and_carries_no_hash_of_its_own(void **state)
{
    struct world   w;
    struct osp_msg q = get("a"), out;
    struct osp_wr  s = pad(0);

    (void)state;
    begin(&w, OSP_ED25519);
    for (uint8_t code = 0; code < 8; code++) {
        q.code = code;
        if (code != OSP_GET && code != OSP_FETCH)
            EXPECT_ERR(OSP_E_METHOD, osp_group_protect_deterministic(cr, w.client, TO_SERVER, &q, classes(&w, &q), false, &s,
                        &out,
                                                                     &w.cl));
    }
    q = get("a");
    EXPECT_ERR(OSP_E_INVALID, osp_group_protect_deterministic(cr, w.client, 2, &q, classes(&w, &q), false, &s, &out, &w.cl));
    EXPECT_OK(osp_msg_add(&q, OSP_OPT_REQUEST_HASH, osp_slice_str("x")));
    EXPECT_ERR(OSP_E_INVALID, osp_group_protect_deterministic(cr, w.client, TO_SERVER, &q, classes(&w, &q), false, &s, &out,
                                                              &w.cl));
    q = get("a");
    EXPECT_OK(osp_msg_add(&q, OSP_OPT_PROXY_URI, osp_slice_str("coap://h/secret")));
    classes(&w, &q);
    w.classes[1] = OSP_OPT_CLASS_U;
    EXPECT_ERR(OSP_E_INVALID, osp_group_protect_deterministic(cr, w.client, TO_SERVER, &q, w.classes, false, &s, &out, &w.cl));
    assert_null(w.cl.group);
    end(&w);
}

/* ---- responses ---- */

/* [cacheable#3.4.4] [gosc#7.4] */
static void
every_changed_byte_of_a_response_is_refused(void **state)
{
    struct world     w;
    struct osp_msg   q = get("a"), a = content("the answer"), on, got;
    uint8_t          copy[256];
    struct osp_slice sealed;

    (void)state;
    begin(&w, OSP_ED25519);
    on = ask(&w, &q, false);
    (void)take(&w, &on);
    on = reply(&w, &a, OSP_GROUP_KID);
    sealed = on.payload;
    for (size_t i = 0; i < sealed.n; i++) {
        assert_true(osp_slice_copy(sealed, copy, sizeof(copy)));
        copy[i] ^= 0x80;
        on.payload = osp_slice(copy, sealed.n);
        EXPECT_ERR(OSP_E_DECRYPT, open_reply(&w, &on, &got));
        on.payload = osp_slice(sealed.p, i);
        EXPECT_ERR(i ? OSP_E_DECRYPT : OSP_E_OSCORE_OPTION, open_reply(&w, &on, &got));
    }
    on.payload = sealed;
    EXPECT_OK(open_reply(&w, &on, &got));
    EXPECT_ERR(OSP_E_REPLAY, open_reply(&w, &on, &got));
    end(&w);
}

/* row D08 (partly: the client) */
/* [cacheable#3.4.4] steps 1 and 2 of the client */
static void
a_response_to_another_request_or_of_another_server_is_refused(void **state)
{
    struct world           w;
    struct osp_msg         q = get("a"), q2 = get("b"), a = content("x"), on, first, got;
    struct osp_group_layer other = { 0 };
    struct osp_wr          s;

    (void)state;
    begin(&w, OSP_ED25519);
    on = ask(&w, &q, false);
    (void)take(&w, &on);
    first = reply(&w, &a, OSP_GROUP_KID);
    /* a Request-Hash on it has to be the request's */
    EXPECT_OK(osp_msg_add(&first, OSP_OPT_REQUEST_HASH, osp_slice(w.cl.hash, 32)));
    EXPECT_OK(open_reply(&w, &first, &got));
    assert_false(osp_msg_has(&got, OSP_OPT_REQUEST_HASH));
    w.cl.last_piv = 0;
    set_option(&first, OSP_OPT_REQUEST_HASH, osp_slice(w.cl.hash, 31));
    EXPECT_ERR(OSP_E_DECRYPT, open_reply(&w, &first, &got));
    set_option(&first, OSP_OPT_REQUEST_HASH, osp_slice(w.cl.hash, 32));
    EXPECT_OK(osp_msg_add(&first, OSP_OPT_REQUEST_HASH, osp_slice(w.cl.hash, 32)));
    EXPECT_ERR(OSP_E_DECRYPT, open_reply(&w, &first, &got));
    osp_msg_remove(&first, OSP_OPT_REQUEST_HASH);
    EXPECT_OK(open_reply(&w, &first, &got));
    /* another request: the hash is in the AAD */
    (void)ask(&w, &q2, false);
    EXPECT_ERR(OSP_E_DECRYPT, open_reply(&w, &first, &got));
    /* another server, which says so, and one that does not */
    on = ask(&w, &q, false);
    s = pad(1);
    EXPECT_OK(osp_group_unprotect_request(cr, w.other, &on, &s, &got, &other));
    s = pad(2);
    EXPECT_OK(osp_group_protect_response(cr, &other, &a, classes(&w, &a), OSP_GROUP_KID, &s, &on));
    EXPECT_ERR(OSP_E_DECRYPT, open_reply(&w, &on, &got));
    s = pad(2);
    EXPECT_OK(osp_group_protect_response(cr, &other, &a, classes(&w, &a), 0, &s, &on));
    EXPECT_ERR(OSP_E_DECRYPT, open_reply(&w, &on, &got));
    w.cl.peer = TO_OTHER;
    EXPECT_OK(open_reply(&w, &on, &got));
    osp_group_layer_fini(&other);
    end(&w);
}

/* [cacheable#3.4.4] steps 4 and 5: group mode, and a number of the server's own */
static void
a_response_to_a_deterministic_request_is_signed_and_numbered(void **state)
{
    struct world   w;
    struct osp_msg q = get("a"), a = content("x"), on, got;

    (void)state;
    begin(&w, OSP_ED25519);
    on = ask(&w, &q, false);
    (void)take(&w, &on);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(osp_group_ssn(w.server).next, i);
        on = reply(&w, &a, 0);
        assert_int_equal(on.code, OSP_CODE(2, 5));
        assert_int_equal(osp_msg_get(&on, OSP_OPT_OSCORE)->val.p[0], 0x21);
        assert_false(osp_msg_has(&on, OSP_OPT_REQUEST_HASH));
    }
    set_option(&on, OSP_OPT_OSCORE, osp_slice("\x20", 1));      /* no number */
    EXPECT_ERR(OSP_E_BAD_RESPONSE, open_reply(&w, &on, &got));
    set_option(&on, OSP_OPT_OSCORE, osp_slice("\x01\x02", 2));  /* not in group mode */
    EXPECT_ERR(OSP_E_BAD_RESPONSE, open_reply(&w, &on, &got));
    set_option(&on, OSP_OPT_OSCORE, osp_slice("\x31\x02\x03gix", 6));
    EXPECT_ERR(OSP_E_NO_CONTEXT, open_reply(&w, &on, &got));
    osp_msg_remove(&on, OSP_OPT_OSCORE);
    EXPECT_ERR(OSP_E_UNPROTECTED, open_reply(&w, &on, &got));
    end(&w);
}

/* [cacheable#3.4.4] steps 1 and 9 */
static void
max_age_is_outside_too_and_never_zero(void **state)
{
    static const struct { const char *inner; size_t n; const char *outer; size_t outer_n; } t[] = {
        { NULL, 0, "\x3c", 1 }, { "\x05", 1, "\x05", 1 }, { "\x0e\x10", 2, "\x0e\x10", 2 }, { "", 0, NULL, 0 },
        { "\x00", 1, NULL, 0 }, { "\x01\x02\x03\x04\x05", 5, NULL, 0 },
    };
    struct world   w;
    struct osp_msg q = get("a"), on;

    (void)state;
    begin(&w, OSP_ED25519);
    on = ask(&w, &q, false);
    (void)take(&w, &on);
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct osp_msg a = content("x"), got;
        struct osp_wr  s = pad(2);

        if (t[i].inner)
            EXPECT_OK(osp_msg_add(&a, OSP_OPT_MAX_AGE, osp_slice(t[i].inner, t[i].n)));
        if (!t[i].outer) {
            EXPECT_ERR(OSP_E_INVALID, osp_group_protect_response(cr, &w.sl, &a, classes(&w, &a), 0, &s, &on));
            continue;
        }
        on = reply(&w, &a, 0);
        EXPECT_BYTES(osp_slice(t[i].outer, t[i].outer_n), osp_msg_get(&on, OSP_OPT_MAX_AGE)->val);
        set_option(&on, OSP_OPT_MAX_AGE, osp_slice("\x01", 1));         /* a cache counts it down: the inner one stays */
        EXPECT_OK(open_reply(&w, &on, &got));
        assert_int_equal(osp_msg_has(&got, OSP_OPT_MAX_AGE), t[i].inner != NULL);
        if (t[i].inner)
            EXPECT_BYTES(osp_slice(t[i].inner, t[i].n), osp_msg_get(&got, OSP_OPT_MAX_AGE)->val);
    }
    end(&w);
}

/* [cacheable#3.4.2] steps 5 and 7; [cacheable#3.4.4] steps 3, 8, and 4 of the client */
static void
observe_inside_alone_is_no_observation(void **state)
{
    struct world   w;
    struct osp_msg q = get("a"), a = content("x"), on, got;

    (void)state;
    begin(&w, OSP_ED25519);
    EXPECT_OK(osp_msg_add(&q, OSP_OPT_OBSERVE, OSP_EMPTY));
    EXPECT_OK(osp_msg_add(&a, OSP_OPT_OBSERVE, osp_slice("\x07", 1)));
    on = ask(&w, &q, false);
    assert_false(osp_msg_has(&on, OSP_OPT_OBSERVE));
    got = take(&w, &on);
    assert_true(osp_msg_has(&got, OSP_OPT_OBSERVE));
    on = reply(&w, &a, 0);
    assert_false(osp_msg_has(&on, OSP_OPT_OBSERVE));
    EXPECT_OK(open_reply(&w, &on, &got));
    assert_false(osp_msg_has(&got, OSP_OPT_OBSERVE));
    /* outside as well: notifications, each newer than the last */
    on = ask(&w, &q, true);
    assert_true(osp_msg_has(&on, OSP_OPT_OBSERVE));
    (void)take(&w, &on);
    for (int i = 0; i < 2; i++) {
        on = reply(&w, &a, 0);
        EXPECT_BYTES(osp_slice("\x07", 1), osp_msg_get(&on, OSP_OPT_OBSERVE)->val);
        EXPECT_OK(open_reply(&w, &on, &got));
        EXPECT_BYTES(osp_slice("\x07", 1), osp_msg_get(&got, OSP_OPT_OBSERVE)->val);
    }
    /* and none that nobody asked for */
    osp_msg_remove(&q, OSP_OPT_OBSERVE);
    on = ask(&w, &q, false);
    (void)take(&w, &on);
    on = reply(&w, &a, 0);
    EXPECT_ERR(OSP_E_BAD_RESPONSE, open_reply(&w, &on, &got));
    end(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_without_keys_makes_deterministic_requests_and_nothing_else),
        cmocka_unit_test(every_changed_byte_of_a_deterministic_request_is_refused),
        cmocka_unit_test(a_member_cannot_pass_a_request_off_under_another_hash),
        cmocka_unit_test(requests_of_other_groups_and_of_nobody_are_refused),
        cmocka_unit_test(a_deterministic_request_may_come_again),
        cmocka_unit_test(a_deterministic_request_is_safe_and_carries_no_hash_of_its_own),
        cmocka_unit_test(every_changed_byte_of_a_response_is_refused),
        cmocka_unit_test(a_response_to_another_request_or_of_another_server_is_refused),
        cmocka_unit_test(a_response_to_a_deterministic_request_is_signed_and_numbered),
        cmocka_unit_test(max_age_is_outside_too_and_never_zero),
        cmocka_unit_test(observe_inside_alone_is_no_observation),
    };
    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
