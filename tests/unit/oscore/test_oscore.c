/* SPDX-License-Identifier: BSD-2-Clause */
/* One layer between a client and a server: what is accepted, what is refused, and what a failure leaves behind. */
#include "tests/unit/oscore/oscore_pair.h"

static void
fill(void *ctx, uint8_t *dst, size_t n)
{
    struct fix *f = ctx;

    for (size_t i = 0; i < n; i++)
        dst[i] = (uint8_t)(f->rng++ * 37 + 11);
}

/* ---- round trips ---- */

static void
round_trip(struct fix *f)
{
    struct osp_msg resp;

    request(f);
    protect(f);
    assert_int_equal(f->wire.code, OSP_POST);
    assert_true(osp_msg_has(&f->wire, OSP_OPT_URI_HOST));       /* Class U */
    assert_false(osp_msg_has(&f->wire, OSP_OPT_URI_PATH));
    assert_false(osp_msg_has(&f->wire, 65000));                 /* what is unknown is Class E */
    EXPECT_OK(unprotect(f));
    assert_int_equal(f->got.code, OSP_PUT);
    assert_int_equal(f->got.opt_count, 3);
    EXPECT_BYTES(osp_slice_str("body"), f->got.payload);
    osp_msg_init(&resp, OSP_CODE(2, 5));
    resp.payload = osp_slice_str("answer");
    EXPECT_OK(respond(f, &resp, false));
    assert_int_equal(f->wire.code, OSP_CODE(2, 4));
    assert_int_equal(osp_msg_get(&f->wire, OSP_OPT_OSCORE)->val.n, 0);
    EXPECT_OK(receive(f));
    assert_int_equal(f->got.code, OSP_CODE(2, 5));
    EXPECT_BYTES(osp_slice_str("answer"), f->got.payload);
}

static void
every_algorithm_goes_round(void **state)
{
    static const int aeads[] = { 1, 2, 3, 10, 11, 24, 30, 31 };
    struct fix      *f = *state;

    for (size_t i = 0; i < sizeof(aeads) / sizeof(aeads[0]); i++) {
        drop_pair(f);
        pair(f, aeads[i], i % 2 ? "context" : NULL);
        round_trip(f);
    }
}

/* [rfc8613#3.3] with a nonce of 7 bytes an ID has one byte at most; these go round too */
static void
short_nonces_go_round(void **state)
{
    static const int aeads[] = { 12, 13, 32, 33 };
    struct fix      *f = *state;

    for (size_t i = 0; i < sizeof(aeads) / sizeof(aeads[0]); i++) {
        drop_pair(f);
        pair(f, aeads[i], NULL);
        round_trip(f);
    }
}

/* ---- refusals ---- */

/* row S03 */
/* [rfc8613#8.2] [rfc8613#7.4] */
static void
every_flipped_bit_is_refused_and_the_window_stays(void **state)
{
    struct fix *f = *state;
    uint8_t     copy[256];
    size_t      n;

    request(f);
    protect(f);
    n = f->wire.payload.n;
    assert_true(osp_slice_copy(f->wire.payload, copy, sizeof(copy)));
    f->wire.payload = osp_slice(copy, n);
    for (size_t i = 0; i < n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            copy[i] = (uint8_t)(copy[i] ^ 1u << bit);
            EXPECT_ERR(OSP_E_DECRYPT, unprotect(f));
            copy[i] = (uint8_t)(copy[i] ^ 1u << bit);
        }
    }
    for (size_t i = 1; i < n; i++) {
        f->wire.payload = osp_slice(copy, i);
        EXPECT_ERR(OSP_E_DECRYPT, unprotect(f));
    }
    f->wire.payload = OSP_EMPTY;
    EXPECT_ERR(OSP_E_OSCORE_OPTION, unprotect(f));
    f->wire.payload = osp_slice(copy, n);
    EXPECT_OK(unprotect(f));
}

/* row S04 */
static void
replay_is_refused(void **state)
{
    struct fix *f = *state;

    request(f);
    protect(f);
    EXPECT_OK(unprotect(f));
    EXPECT_ERR(OSP_E_REPLAY, unprotect(f));
}

/*
 * [rfc8613#7.4] A worker that could not take a reload on has the old object, and another one has the window: one request would
 * come in twice.  What came in before is answered.
 */
static void
no_request_comes_in_under_a_context_out_of_use(void **state)
{
    struct fix       *f = *state;
    struct osp_msg    resp;
    struct osp_replay before, after;

    request(f);
    protect(f);
    EXPECT_OK(unprotect(f));
    osp_octx_put_out_of_use(f->server);
    osp_msg_init(&resp, OSP_CODE(2, 5));
    EXPECT_OK(respond(f, &resp, false));
    EXPECT_OK(receive(f));
    (void)osp_octx_get_window(f->server, &before);
    request(f);
    protect(f);
    EXPECT_ERR(OSP_E_NO_CONTEXT, unprotect(f));
    (void)osp_octx_get_window(f->server, &after);
    assert_int_equal(before.next, after.next);
}

/* rows S01, R01 */
/* [rfc8613#6.1] */
static void
undecodable_options_are_refused(void **state)
{
    static const struct { const char *hex; } bad[] = {
        { "00" }, { "8901" "63" }, { "2901" "63" }, { "4901" "63" }, { "0e0102030405" "06" "63" }, { "0f" }, { "190163" },
        { "1901" "08" "aabb" }, { "1901" }, { "02" "01" }, { "0901" "63" "80" },
    };
    struct osp_oscore_opt o;
    uint8_t               buf[32];
    size_t                n;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]) - 1; i++) {
        assert_true(osp_hex_decode(osp_slice_str(bad[i].hex), buf, sizeof(buf), &n));
        EXPECT_ERR(OSP_E_OSCORE_OPTION, osp_oscore_opt_parse(osp_slice(buf, n), &o));
    }
    EXPECT_OK(osp_oscore_opt_parse(OSP_EMPTY, &o));
    assert_false(o.has_kid);
    EXPECT_OK(osp_oscore_opt_parse(osp_slice("\x08", 1), &o));          /* an empty kid is a kid */
    assert_true(o.has_kid && o.kid.n == 0);
}

static void
option_goes_round(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 32; flags++) {
        struct osp_oscore_opt o = { 0 }, got;
        uint8_t               buf[64];
        struct osp_wr         w = osp_wr_to(buf, sizeof(buf));

        if ((flags & 7) > 5)
            continue;
        o.piv = osp_slice("\x01\x02\x03\x04\x05", flags & 7);
        o.has_kid = flags & 8;
        o.kid = osp_slice_str(o.has_kid ? "kid" : "");
        o.has_kid_context = flags & 16;
        o.kid_context = osp_slice_str(o.has_kid_context ? "context" : "");
        EXPECT_OK(osp_oscore_opt_write(&o, &w));
        EXPECT_OK(osp_oscore_opt_parse(osp_wr_slice(&w), &got));
        EXPECT_BYTES(o.piv, got.piv);
        EXPECT_BYTES(o.kid, got.kid);
        EXPECT_BYTES(o.kid_context, got.kid_context);
        assert_int_equal(o.has_kid, got.has_kid);
        assert_int_equal(o.has_kid_context, got.has_kid_context);
    }
}

static void
request_without_kid_or_piv_or_with_two_options_is_refused(void **state)
{
    struct fix *f = *state;

    request(f);
    protect(f);
    EXPECT_OK(osp_msg_add(&f->wire, OSP_OPT_OSCORE, osp_slice("\x09\x01\x63", 3)));
    EXPECT_ERR(OSP_E_OSCORE_OPTION, unprotect(f));
    osp_msg_remove(&f->wire, OSP_OPT_OSCORE);
    EXPECT_OK(osp_msg_add(&f->wire, OSP_OPT_OSCORE, osp_slice("\x01\x01", 2)));
    EXPECT_ERR(OSP_E_OSCORE_OPTION, unprotect(f));
    osp_msg_remove(&f->wire, OSP_OPT_OSCORE);
    EXPECT_OK(osp_msg_add(&f->wire, OSP_OPT_OSCORE, osp_slice("\x08\x63", 2)));
    EXPECT_ERR(OSP_E_OSCORE_OPTION, unprotect(f));
}

/* row S07 */
/* [rfc8613#8.2] */
static void
outer_class_e_options_have_no_effect(void **state)
{
    struct fix *f = *state;

    request(f);
    protect(f);
    EXPECT_OK(osp_msg_add(&f->wire, OSP_OPT_IF_MATCH, osp_slice_str("x")));
    EXPECT_OK(osp_msg_add(&f->wire, OSP_OPT_URI_PATH, osp_slice_str("evil")));
    EXPECT_OK(osp_msg_add(&f->wire, 65001, osp_slice_str("evil")));
    EXPECT_OK(unprotect(f));
    assert_false(osp_msg_has(&f->got, OSP_OPT_IF_MATCH));
    assert_false(osp_msg_has(&f->got, 65001));
    EXPECT_BYTES(osp_slice_str("path"), osp_msg_get(&f->got, OSP_OPT_URI_PATH)->val);
    EXPECT_BYTES(osp_slice_str("h"), osp_msg_get(&f->got, OSP_OPT_URI_HOST)->val);
    assert_int_equal(f->got.opt_count, 3);
}

/* ---- nonces ---- */

/* row S13 */
/* [rfc8613#5.2] [ocp#2.5.1] */
static void
second_response_has_a_partial_iv_of_its_own(void **state)
{
    struct fix    *f = *state;
    struct osp_msg resp;

    request(f);
    protect(f);
    EXPECT_OK(unprotect(f));
    osp_msg_init(&resp, OSP_CODE(5, 4));
    EXPECT_OK(respond(f, &resp, false));
    assert_int_equal(osp_msg_get(&f->wire, OSP_OPT_OSCORE)->val.n, 0);
    EXPECT_OK(receive(f));
    osp_msg_init(&resp, OSP_CODE(2, 5));
    EXPECT_OK(respond(f, &resp, false));
    EXPECT_BYTES(osp_slice("\x01\x00", 2), osp_msg_get(&f->wire, OSP_OPT_OSCORE)->val);
    EXPECT_OK(receive(f));
    EXPECT_OK(respond(f, &resp, false));
    EXPECT_BYTES(osp_slice("\x01\x01", 2), osp_msg_get(&f->wire, OSP_OPT_OSCORE)->val);
}

/* row L15 (partly: at the library) */
/* [ocp#2.6.1] */
static void
second_response_without_partial_iv_is_not_accepted(void **state)
{
    struct fix    *f = *state;
    struct osp_msg resp;

    request(f);
    protect(f);
    EXPECT_OK(unprotect(f));
    osp_msg_init(&resp, OSP_CODE(2, 5));
    EXPECT_OK(respond(f, &resp, false));
    EXPECT_OK(receive(f));
    EXPECT_ERR(OSP_E_REPLAY, receive(f));
    EXPECT_OK(respond(f, &resp, true));
    EXPECT_OK(receive(f));
    EXPECT_ERR(OSP_E_REPLAY, receive(f));
}

/* ---- Echo [rfc8613#B.1.2] ---- */

/* row S09 (partly: at the library) */
/* row E01 (partly: the value that was proven) */
static void
unknown_window_is_recovered_with_echo(void **state)
{
    struct fix        *f = *state;
    struct osp_randbuf rand;
    struct osp_msg     challenge, again;
    uint8_t            echo[8], echo2[8], kept[8];

    osp_randbuf_init(&rand, (struct osp_rand){ fill, f });
    drop_pair(f);
    pair(f, 10, NULL);
    {
        struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice_str("0123456789abcdef"),
                                     .master_salt = osp_slice_str("salt"), .sender_id = osp_slice_str("s"),
                                     .recipient_id = osp_slice_str("c") };
        osp_octx_unref(f->server);
        EXPECT_OK(osp_octx_new(&p, &f->server));        /* its window is unknown */
        osp_octx_grant(f->server, 50, 100);
    }
    request(f);
    protect(f);
    EXPECT_ERR(OSP_E_NOT_FRESH, unprotect(f));
    osp_oscore_challenge(f->server, &rand, echo, &challenge);
    EXPECT_OK(respond(f, &challenge, true));
    assert_int_equal(osp_msg_get(&f->wire, OSP_OPT_OSCORE)->val.n, 2);
    EXPECT_OK(receive(f));
    assert_int_equal(f->got.code, OSP_CODE(4, 1));
    assert_int_equal(f->got.payload.n, 0);
    assert_true(osp_slice_copy(osp_msg_get(&f->got, OSP_OPT_ECHO)->val, kept, sizeof(kept)));

    request(f);                                         /* without it, or with another value: not yet */
    protect(f);
    EXPECT_ERR(OSP_E_NOT_FRESH, unprotect(f));
    osp_oscore_challenge(f->server, &rand, echo2, &again);
    assert_memory_equal(echo, echo2, 8);                /* the value stays until it is proven */
    EXPECT_OK(respond(f, &again, false));               /* nothing ever goes out under a nonce that may be used */
    assert_int_equal(osp_msg_get(&f->wire, OSP_OPT_OSCORE)->val.n, 2);
    EXPECT_OK(osp_msg_add(&f->plain, OSP_OPT_ECHO, osp_slice_str("wrong123")));
    protect(f);
    EXPECT_ERR(OSP_E_NOT_FRESH, unprotect(f));
    osp_msg_remove(&f->plain, OSP_OPT_ECHO);
    EXPECT_OK(osp_msg_add(&f->plain, OSP_OPT_ECHO, osp_slice(kept, 8)));
    protect(f);
    EXPECT_OK(unprotect(f));
    assert_false(osp_msg_has(&f->got, OSP_OPT_ECHO));   /* ours, so nobody further on gets it [rfc9175#2.3] */
    EXPECT_ERR(OSP_E_REPLAY, unprotect(f));
    request(f);
    protect(f);
    EXPECT_OK(unprotect(f));                            /* normal from here on */
    EXPECT_OK(osp_msg_add(&f->plain, OSP_OPT_ECHO, osp_slice(kept, 8)));
    protect(f);
    EXPECT_OK(unprotect(f));                            /* and the Echo is just an option */
    assert_true(osp_msg_has(&f->got, OSP_OPT_ECHO));
}

/* ---- Observe [rfc8613#4.1.3.5] ---- */

static void
notifications_are_ordered_by_partial_iv(void **state)
{
    struct fix    *f = *state;
    struct osp_msg resp, saved;
    uint8_t        copy[256], opt[8];
    size_t         at = 0;

    osp_msg_init(&f->plain, OSP_GET);
    EXPECT_OK(osp_msg_add(&f->plain, OSP_OPT_OBSERVE, OSP_EMPTY));
    protect(f);
    assert_int_equal(f->wire.code, OSP_FETCH);
    EXPECT_OK(unprotect(f));
    osp_msg_init(&resp, OSP_CODE(2, 5));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_OBSERVE, osp_slice_str("\x05")));
    EXPECT_OK(respond(f, &resp, false));
    assert_int_equal(f->wire.code, OSP_CODE(2, 5));
    EXPECT_OK(receive(f));
    EXPECT_OK(respond(f, &resp, false));
    saved = f->wire;
    assert_true(osp_slice_copy(f->wire.payload, copy, sizeof(copy)));
    saved.payload = osp_slice(copy, f->wire.payload.n);
    while (saved.opts[at].num != OSP_OPT_OSCORE)
        at++;
    assert_true(osp_slice_copy(saved.opts[at].val, opt, sizeof(opt)));
    saved.opts[at].val = osp_slice(opt, saved.opts[at].val.n);
    EXPECT_OK(respond(f, &resp, false));
    EXPECT_OK(receive(f));
    f->wire = saved;                                    /* the one before comes late */
    EXPECT_ERR(OSP_E_REPLAY, receive(f));
}

/* [rfc8613#8.4] */
static void
notification_nobody_asked_for_is_refused(void **state)
{
    struct fix    *f = *state;
    struct osp_msg resp;

    request(f);
    protect(f);
    EXPECT_OK(unprotect(f));
    osp_msg_init(&resp, OSP_CODE(2, 5));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_OBSERVE, osp_slice_str("\x05")));
    EXPECT_OK(respond(f, &resp, false));
    EXPECT_ERR(OSP_E_BAD_RESPONSE, receive(f));
}

static void
response_without_the_layer_is_told_apart(void **state)
{
    struct fix *f = *state;

    request(f);
    protect(f);
    osp_msg_init(&f->wire, OSP_CODE(4, 1));
    EXPECT_ERR(OSP_E_UNPROTECTED, receive(f));
}

/* A response to one request does not verify as the response to another. */
/* [rfc8613#5.4] */
static void
response_is_bound_to_its_request(void **state)
{
    struct fix      *f = *state;
    struct osp_layer first;
    struct osp_msg   resp;
    struct osp_wr    w = osp_wr_to(f->scratch2, sizeof(f->scratch2));

    request(f);
    protect(f);
    EXPECT_OK(unprotect(f));
    first = f->cl;
    f->cl = (struct osp_layer){ 0 };
    protect(f);
    osp_msg_init(&resp, OSP_CODE(2, 5));
    EXPECT_OK(respond(f, &resp, false));
    EXPECT_ERR(OSP_E_DECRYPT, receive(f));
    EXPECT_OK(osp_oscore_unprotect_response(f->cr, &first, &f->wire, &w, &f->got));
    osp_layer_fini(&first);
}

/* ---- nonces, in the long run ---- */

#define RUN 400

/* row S13 */
/* Requests answered late, twice, in any order: no nonce comes twice under the server's key. */
static void
no_nonce_is_used_twice_by_a_server(void **state)
{
    struct fix      *f = *state;
    struct osp_layer open[8] = { { 0 } };
    uint8_t          seen[RUN][6];
    uint32_t         s = 99;
    size_t           count = 0;

    while (count < RUN) {
        struct osp_layer     *l;
        struct osp_msg        resp;
        struct osp_oscore_opt o;
        struct osp_wr         w = osp_wr_to(seen[count], sizeof(seen[count]));
        size_t                i;

        s = s * 1664525u + 1013904223u;
        l = &open[(s >> 16) % 8];
        if (!l->ctx || (s >> 24) % 4 == 0) {
            osp_layer_fini(l);
            request(f);
            protect(f);
            EXPECT_OK(unprotect(f));
            *l = f->sl;
            f->sl = (struct osp_layer){ 0 };
        }
        osp_msg_init(&resp, OSP_CODE(2, 5));
        f->sl = *l;
        EXPECT_OK(respond(f, &resp, (s >> 28) % 5 == 0));
        *l = f->sl;
        f->sl = (struct osp_layer){ 0 };
        EXPECT_OK(osp_oscore_opt_parse(osp_msg_get(&f->wire, OSP_OPT_OSCORE)->val, &o));
        osp_wr_u8(&w, o.piv.n == 0 ? 'c' : 's');        /* whose ID the nonce has, and the number in it */
        osp_wr_uint(&w, 0, 5 - (o.piv.n ? o.piv.n : l->piv_len));
        osp_wr_put(&w, o.piv.n ? o.piv : osp_slice(l->piv, l->piv_len));
        for (i = 0; i < count; i++)
            if (memcmp(seen[i], seen[count], sizeof(seen[i])) == 0)
                fail_msg("responses %zu and %zu under one nonce", i, count);
        count++;
    }
    for (size_t i = 0; i < 8; i++)
        osp_layer_fini(&open[i]);
}

/* A request without a number to use is not made, and a response neither. [rfc8613#B.1.1] */
static void
nothing_is_protected_without_a_number(void **state)
{
    struct fix    *f = *state;
    uint8_t        classes[OSP_MSG_OPTS_MAX];
    struct osp_wr  w = osp_wr_to(f->scratch, sizeof(f->scratch));
    struct osp_msg resp;
    uint64_t       n;

    while (osp_octx_take_ssn(f->server, &n) == OSP_OK)
        ;
    request(f);
    protect(f);
    EXPECT_OK(unprotect(f));
    osp_msg_init(&resp, OSP_CODE(2, 5));
    EXPECT_ERR(OSP_E_NO_LEASE, respond(f, &resp, true));
    assert_false(f->sl.nonce_used);
    EXPECT_OK(respond(f, &resp, false));                /* the request's nonce needs none */
    EXPECT_ERR(OSP_E_NO_LEASE, respond(f, &resp, false));
    while (osp_octx_take_ssn(f->client, &n) == OSP_OK)
        ;
    EXPECT_OK(osp_classes(&to_server, &f->plain, classes));
    osp_layer_fini(&f->cl);
    EXPECT_ERR(OSP_E_NO_LEASE, osp_oscore_protect_request(f->cr, f->client, &f->plain, classes, &w, &f->wire, &f->cl));
    assert_null(f->cl.ctx);
}

/* A damaged message is no reason for a challenge: nobody with the key sent it. */
static void
damaged_request_is_not_challenged(void **state)
{
    struct fix            *f = *state;
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice_str("0123456789abcdef"),
                                 .master_salt = osp_slice_str("salt"), .sender_id = osp_slice_str("s"),
                                 .recipient_id = osp_slice_str("c") };
    uint8_t                copy[256];

    osp_octx_unref(f->server);
    EXPECT_OK(osp_octx_new(&p, &f->server));            /* its window is unknown */
    request(f);
    protect(f);
    assert_true(osp_slice_copy(f->wire.payload, copy, sizeof(copy)));
    copy[3] ^= 4;
    f->wire.payload = osp_slice(copy, f->wire.payload.n);
    EXPECT_ERR(OSP_E_DECRYPT, unprotect(f));
    assert_null(f->sl.ctx);
    copy[3] ^= 4;
    EXPECT_ERR(OSP_E_NOT_FRESH, unprotect(f));
    assert_ptr_equal(f->sl.ctx, f->server);
}

/* [rfc8613#7.4.1] the one without Partial IV is the oldest, so it is not taken after another one */
static void
first_notification_that_comes_late_is_refused(void **state)
{
    struct fix    *f = *state;
    struct osp_msg resp, first;
    uint8_t        copy[64];

    osp_msg_init(&f->plain, OSP_GET);
    EXPECT_OK(osp_msg_add(&f->plain, OSP_OPT_OBSERVE, OSP_EMPTY));
    protect(f);
    EXPECT_OK(unprotect(f));
    osp_msg_init(&resp, OSP_CODE(2, 5));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_OBSERVE, osp_slice_str("\x05")));
    EXPECT_OK(respond(f, &resp, false));
    osp_msg_copy(&first, &f->wire);
    assert_true(osp_slice_copy(f->wire.payload, copy, sizeof(copy)));
    first.payload = osp_slice(copy, f->wire.payload.n);
    EXPECT_OK(respond(f, &resp, false));
    EXPECT_OK(receive(f));
    osp_msg_copy(&f->wire, &first);
    EXPECT_ERR(OSP_E_REPLAY, receive(f));
}

/* [ocp#2.6.1] responses that are no notifications have no order: the one without Partial IV may come second */
static void
first_response_may_come_second(void **state)
{
    struct fix    *f = *state;
    struct osp_msg resp, first;
    uint8_t        copy[64];

    request(f);
    protect(f);
    EXPECT_OK(unprotect(f));
    osp_msg_init(&resp, OSP_CODE(2, 5));
    EXPECT_OK(respond(f, &resp, false));
    osp_msg_copy(&first, &f->wire);
    assert_true(osp_slice_copy(f->wire.payload, copy, sizeof(copy)));
    first.payload = osp_slice(copy, f->wire.payload.n);
    EXPECT_OK(respond(f, &resp, false));
    EXPECT_OK(receive(f));
    osp_msg_copy(&f->wire, &first);
    EXPECT_OK(receive(f));
    EXPECT_ERR(OSP_E_REPLAY, receive(f));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        T(every_algorithm_goes_round),
        T(short_nonces_go_round),
        T(every_flipped_bit_is_refused_and_the_window_stays),
        T(replay_is_refused),
        T(no_request_comes_in_under_a_context_out_of_use),
        cmocka_unit_test(undecodable_options_are_refused),
        cmocka_unit_test(option_goes_round),
        T(request_without_kid_or_piv_or_with_two_options_is_refused),
        T(outer_class_e_options_have_no_effect),
        T(second_response_has_a_partial_iv_of_its_own),
        T(second_response_without_partial_iv_is_not_accepted),
        T(unknown_window_is_recovered_with_echo),
        T(notifications_are_ordered_by_partial_iv),
        T(notification_nobody_asked_for_is_refused),
        T(response_without_the_layer_is_told_apart),
        T(response_is_bound_to_its_request),
        T(no_nonce_is_used_twice_by_a_server),
        T(nothing_is_protected_without_a_number),
        T(damaged_request_is_not_challenged),
        T(first_notification_that_comes_late_is_refused),
        T(first_response_may_come_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
