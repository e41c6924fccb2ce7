/* SPDX-License-Identifier: BSD-2-Clause */
/* One layer between a client and a server: what is accepted, what is refused, and what a failure leaves behind. */
#include "unit.h"

#include <stdlib.h>

#include "msg/option.h"
#include "oscore/oscore.h"
#include "oscore/table.h"

struct fix {
    struct osp_crypto *cr;
    struct osp_octx   *client, *server;
    struct osp_layer   cl, sl;
    uint8_t            scratch[8192], scratch2[8192];
    struct osp_msg     plain, wire, got;
    uint64_t           rng;
};

static void
fill(void *ctx, uint8_t *dst, size_t n)
{
    struct fix *f = ctx;

    for (size_t i = 0; i < n; i++)
        dst[i] = (uint8_t)(f->rng++ * 37 + 11);
}

static void
pair(struct fix *f, int aead, const char *id_context)
{
    struct osp_octx_params p = { .aead = aead, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice_str("0123456789abcdef"),
                                 .master_salt = osp_slice_str("salt"), .sender_id = osp_slice_str("c"),
                                 .recipient_id = osp_slice_str("s"), .has_id_context = id_context != NULL,
                                 .id_context = osp_slice_str(id_context) };

    EXPECT_OK(osp_octx_new(&p, &f->client));
    p.sender_id = osp_slice_str("s");
    p.recipient_id = osp_slice_str("c");
    EXPECT_OK(osp_octx_new(&p, &f->server));
    osp_octx_grant(f->client, 0, 1000);
    osp_octx_grant(f->server, 0, 1000);
    osp_octx_set_window(f->server, &(struct osp_replay){ 0 });
}

static int
setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    if (osp_crypto_new(&f->cr) != OSP_OK)
        return -1;
    pair(f, 10, NULL);
    *state = f;
    return 0;
}

static void
drop_pair(struct fix *f)
{
    osp_layer_fini(&f->cl);
    osp_layer_fini(&f->sl);
    osp_octx_unref(f->client);
    osp_octx_unref(f->server);
}

static int
teardown(void **state)
{
    struct fix *f = *state;

    drop_pair(f);
    osp_crypto_free(f->cr);
    free(f);
    return 0;
}

static const struct osp_leg to_server = { OSP_LEG_TO_SERVER, true, false };

static void
protect(struct fix *f)
{
    uint8_t       classes[OSP_MSG_OPTS_MAX];
    struct osp_wr w = osp_wr_to(f->scratch, sizeof(f->scratch));

    osp_layer_fini(&f->cl);
    EXPECT_OK(osp_classes(&to_server, &f->plain, classes));
    EXPECT_OK(osp_oscore_protect_request(f->cr, f->client, &f->plain, classes, &w, &f->wire, &f->cl));
}

static enum osp_err
unprotect(struct fix *f)
{
    struct osp_wr    w = osp_wr_to(f->scratch2, sizeof(f->scratch2));
    struct osp_layer l;
    enum osp_err     e = osp_oscore_unprotect_request(f->cr, f->server, &f->wire, &w, &f->got, &l);

    if (e == OSP_OK || e == OSP_E_NOT_FRESH) {
        osp_layer_fini(&f->sl);
        f->sl = l;
    }
    return e;
}

static void
request(struct fix *f)
{
    osp_msg_init(&f->plain, OSP_PUT);
    EXPECT_OK(osp_msg_add(&f->plain, OSP_OPT_URI_HOST, osp_slice_str("h")));
    EXPECT_OK(osp_msg_add(&f->plain, OSP_OPT_URI_PATH, osp_slice_str("path")));
    EXPECT_OK(osp_msg_add(&f->plain, 65000, osp_slice_str("unknown")));
    f->plain.payload = osp_slice_str("body");
}

static enum osp_err
respond(struct fix *f, struct osp_msg *resp, bool own)
{
    uint8_t       classes[OSP_MSG_OPTS_MAX];
    struct osp_wr w = osp_wr_to(f->scratch, sizeof(f->scratch));

    EXPECT_OK(osp_classes(&to_server, resp, classes));
    return osp_oscore_protect_response(f->cr, &f->sl, resp, classes, own, &w, &f->wire);
}

static enum osp_err
receive(struct fix *f)
{
    struct osp_wr w = osp_wr_to(f->scratch2, sizeof(f->scratch2));
    return osp_oscore_unprotect_response(f->cr, &f->cl, &f->wire, &w, &f->got);
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

/* row S05 */
/* [rfc8613#3.2.2] [rfc8613#7.4] */
static void
window_accepts_older_unseen_and_refuses_too_old(void **state)
{
    struct osp_replay w = { 0 };

    (void)state;
    EXPECT_OK(osp_replay_commit(&w, 40));
    EXPECT_OK(osp_replay_commit(&w, 20));
    EXPECT_OK(osp_replay_commit(&w, 39));
    EXPECT_ERR(OSP_E_REPLAY, osp_replay_commit(&w, 5));
    EXPECT_OK(osp_replay_commit(&w, 9));
    EXPECT_ERR(OSP_E_REPLAY, osp_replay_commit(&w, 8));
    EXPECT_ERR(OSP_E_REPLAY, osp_replay_commit(&w, 40));
    EXPECT_OK(osp_replay_commit(&w, OSP_PIV_MAX));
    EXPECT_ERR(OSP_E_REPLAY, osp_replay_commit(&w, 41));
    osp_replay_start_at(&w, 100);
    EXPECT_ERR(OSP_E_REPLAY, osp_replay_commit(&w, 100));
    EXPECT_ERR(OSP_E_REPLAY, osp_replay_commit(&w, 99));
    EXPECT_OK(osp_replay_commit(&w, 101));
}

/* Against a set that remembers everything: what the window accepts is never accepted twice. */
static void
window_agrees_with_a_set(void **state)
{
    static bool       seen[4096];
    struct osp_replay w = { 0 };
    uint32_t          s = 7, top = 0;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint32_t piv;
        bool     want;

        s = s * 1664525u + 1013904223u;
        piv = (top + (s >> 16) % 60) % 4096;
        piv = piv > 45 ? piv - 45 : 0;
        want = !seen[piv] && (piv > top || i == 0 || top - piv < OSP_REPLAY_SIZE);
        assert_int_equal(osp_replay_is_fresh(&w, piv), want);
        if (want) {
            EXPECT_OK(osp_replay_commit(&w, piv));
            seen[piv] = true;
            top = piv > top ? piv : top;
        }
        if (top > 4000)
            break;
    }
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

/* row S10 */
/* [rfc8613#7.2.1] [rfc8613#B.1.1] */
static void
numbers_end_at_the_lease_and_at_two_to_the_forty(void **state)
{
    struct fix *f = *state;
    uint64_t    n = 0;

    osp_octx_grant(f->client, OSP_PIV_MAX - 1, OSP_PIV_MAX - 1);
    EXPECT_ERR(OSP_E_NO_LEASE, osp_octx_take_ssn(f->client, &n));
    assert_true(osp_octx_wants_lease(f->client, 10));
    assert_false(osp_octx_wants_lease(f->client, 10));
    osp_octx_grant(f->client, 0, UINT64_MAX);
    EXPECT_OK(osp_octx_take_ssn(f->client, &n));
    assert_int_equal(n, OSP_PIV_MAX - 1);
    EXPECT_OK(osp_octx_take_ssn(f->client, &n));
    assert_int_equal(n, OSP_PIV_MAX);
    EXPECT_ERR(OSP_E_SSN_EXHAUSTED, osp_octx_take_ssn(f->client, &n));
    assert_false(osp_octx_wants_lease(f->client, 10));
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
    struct osp_msg resp;
    struct osp_msg saved;
    uint8_t        copy[256];

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
    uint8_t opt[8];
    size_t  at = 0;
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

/* ---- contexts ---- */

/* [rfc8613#3.3] */
static void
bad_parameters_are_refused(void **state)
{
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice_str("0123456789abcdef"),
                                 .sender_id = osp_slice_str("12345678"), .recipient_id = osp_slice_str("c") };
    struct osp_octx       *c;

    (void)state;
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_octx_new(&p, &c));
    p.sender_id = osp_slice_str("c");
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_octx_new(&p, &c));
    p.sender_id = osp_slice_str("ab");
    p.aead = 12;                /* nonce of 7 bytes */
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_octx_new(&p, &c));
    p.aead = 99;
    EXPECT_ERR(OSP_E_ALGORITHM, osp_octx_new(&p, &c));
    p.aead = 10;
    p.hkdf = 5;
    EXPECT_ERR(OSP_E_ALGORITHM, osp_octx_new(&p, &c));
}

/* row S14 */
/* [rfc8613#5.1] */
static void
equal_kids_are_told_apart_by_kid_context(void **state)
{
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice_str("0123456789abcdef"),
                                 .sender_id = osp_slice_str("s"), .recipient_id = osp_slice_str("c") };
    struct osp_octx_table *t;
    struct osp_octx       *a, *b, *c;
    struct osp_slice       kid = osp_slice_str("c");

    (void)state;
    EXPECT_OK(osp_octx_table_new(4, (struct osp_hash_key){ 1, 2 }, &t));
    EXPECT_OK(osp_octx_new(&p, &a));
    p.has_id_context = true;
    p.id_context = osp_slice_str("one");
    EXPECT_OK(osp_octx_new(&p, &b));
    EXPECT_OK(osp_octx_table_add(t, b));
    EXPECT_ERR(OSP_E_EXISTS, osp_octx_table_add(t, b));
    assert_ptr_equal(osp_octx_table_find(t, kid, false, OSP_EMPTY), b); /* the only one with that kid */
    EXPECT_OK(osp_octx_table_add(t, a));
    p.id_context = osp_slice_str("two");
    EXPECT_OK(osp_octx_new(&p, &c));
    EXPECT_OK(osp_octx_table_add(t, c));
    assert_ptr_equal(osp_octx_table_find(t, kid, false, OSP_EMPTY), a);
    assert_ptr_equal(osp_octx_table_find(t, kid, true, osp_slice_str("one")), b);
    assert_ptr_equal(osp_octx_table_find(t, kid, true, osp_slice_str("two")), c);
    assert_null(osp_octx_table_find(t, kid, true, osp_slice_str("three")));
    assert_null(osp_octx_table_find(t, kid, true, OSP_EMPTY));
    assert_null(osp_octx_table_find(t, osp_slice_str("d"), false, OSP_EMPTY));
    osp_octx_unref(a);
    osp_octx_unref(b);
    osp_octx_unref(c);
    osp_octx_table_free(t);
}

static void
fingerprint_covers_every_parameter(void **state)
{
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice_str("0123456789abcdef"),
                                 .master_salt = osp_slice_str("s"), .sender_id = osp_slice_str("a"),
                                 .recipient_id = osp_slice_str("b") };
    uint8_t                prints[8][32];
    size_t                 n = 0;

    (void)state;
    EXPECT_OK(osp_octx_fingerprint(&p, prints[n++]));
    p.aead = 11;
    EXPECT_OK(osp_octx_fingerprint(&p, prints[n++]));
    p.hkdf = OSP_HKDF_SHA512;
    EXPECT_OK(osp_octx_fingerprint(&p, prints[n++]));
    p.sender_id = osp_slice_str("ab");
    p.recipient_id = osp_slice_str("");
    EXPECT_OK(osp_octx_fingerprint(&p, prints[n++]));
    p.has_id_context = true;
    EXPECT_OK(osp_octx_fingerprint(&p, prints[n++]));
    p.master_salt = OSP_EMPTY;
    EXPECT_OK(osp_octx_fingerprint(&p, prints[n++]));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(prints[i], prints[k], 32);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_algorithm_goes_round),
        T(short_nonces_go_round),
        T(every_flipped_bit_is_refused_and_the_window_stays),
        T(replay_is_refused),
        cmocka_unit_test(window_accepts_older_unseen_and_refuses_too_old),
        cmocka_unit_test(window_agrees_with_a_set),
        cmocka_unit_test(undecodable_options_are_refused),
        cmocka_unit_test(option_goes_round),
        T(request_without_kid_or_piv_or_with_two_options_is_refused),
        T(outer_class_e_options_have_no_effect),
        T(second_response_has_a_partial_iv_of_its_own),
        T(second_response_without_partial_iv_is_not_accepted),
        T(numbers_end_at_the_lease_and_at_two_to_the_forty),
        T(unknown_window_is_recovered_with_echo),
        T(notifications_are_ordered_by_partial_iv),
        T(notification_nobody_asked_for_is_refused),
        T(response_without_the_layer_is_told_apart),
        T(response_is_bound_to_its_request),
        cmocka_unit_test(bad_parameters_are_refused),
        cmocka_unit_test(equal_kids_are_told_apart_by_kid_context),
        cmocka_unit_test(fingerprint_covers_every_parameter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
