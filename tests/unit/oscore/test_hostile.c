/* SPDX-License-Identifier: BSD-2-Clause */
/* Damaged, forged and oversized messages against one layer: refused, and without a trace. */
#include "tests/unit/oscore/oscore_pair.h"

/* ---- damage, everywhere ---- */

/* The server as the wire sees it: a datagram comes in, the option finds the context. */
static enum osp_err
arrive(struct fix *f, const struct osp_octx_configured *t, struct osp_slice datagram)
{
    struct osp_wr         w = osp_wr_to(f->scratch2, sizeof(f->scratch2));
    struct osp_oscore_opt o;
    const struct osp_opt *opt;
    struct osp_octx      *c;
    struct osp_layer      l;
    struct osp_msg        in;
    bool                  header;
    enum osp_err          e = osp_msg_decode_udp(datagram, &in, &header);

    if (e != OSP_OK)
        return e;
    opt = osp_msg_get(&in, OSP_OPT_OSCORE);
    if (!opt)
        return OSP_E_NO_CONTEXT;
    e = osp_oscore_opt_parse(opt->val, &o);
    if (e != OSP_OK)
        return e;
    c = osp_octx_configured_find(t, o.kid, o.has_kid_context, o.kid_context);
    if (!c)
        return OSP_E_NO_CONTEXT;
    e = osp_oscore_unprotect_request(f->cr, c, &in, &w, &f->got, &l);
    if (e == OSP_OK)
        osp_layer_fini(&l);
    return e;
}

static bool
window_is(struct fix *f, const struct osp_replay *w)
{
    struct osp_replay now;

    osp_octx_get_window(f->server, &now);
    return now.next == w->next && now.seen == w->seen;
}

/* Byte by byte of the whole datagram; only what OSCORE does not protect (header, token, Uri-Host) may pass. */
static void
datagram_survives_no_flip_and_no_cut(struct fix *f, const char *id_context)
{
    struct osp_octx_configured *t;
    struct osp_replay           before;
    uint8_t                     wire[256];
    struct osp_wr          w = osp_wr_to(wire, sizeof(wire));
    size_t                 open_to = 4 + 2 + 2;         /* header, token of two, Uri-Host with its head */

    drop_pair(f);
    pair(f, 10, id_context);
    EXPECT_OK(osp_octx_configured_new(1, (struct osp_hash_key){ 3, 4 }, &t));
    EXPECT_OK(osp_octx_configured_add(t, f->server));
    request(f);
    f->plain.token = osp_slice_str("tk");
    protect(f);
    EXPECT_OK(osp_msg_encode_udp(&f->wire, &w));
    osp_octx_get_window(f->server, &before);
    for (size_t i = open_to; i < w.n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            wire[i] = (uint8_t)(wire[i] ^ 1u << bit);
            if (arrive(f, t, osp_wr_slice(&w)) == OSP_OK || !window_is(f, &before))
                fail_msg("byte %zu bit %d", i, bit);
            wire[i] = (uint8_t)(wire[i] ^ 1u << bit);
        }
    }
    for (size_t n = 0; n < w.n; n++)
        if (arrive(f, t, osp_slice(wire, n)) == OSP_OK || !window_is(f, &before))
            fail_msg("cut to %zu bytes", n);
    EXPECT_OK(arrive(f, t, osp_wr_slice(&w)));
    EXPECT_ERR(OSP_E_REPLAY, arrive(f, t, osp_wr_slice(&w)));
    osp_octx_configured_free(t);
}

/* row S03 */
static void
no_flipped_bit_and_no_cut_of_a_datagram_is_accepted(void **state)
{
    datagram_survives_no_flip_and_no_cut(*state, NULL);
    datagram_survives_no_flip_and_no_cut(*state, "id-context");
}

/* [rfc8613#8.4] and after all that the right one is still welcome */
static void
no_flipped_bit_and_no_cut_of_a_response_is_accepted(void **state)
{
    struct fix      *f = *state;
    struct osp_msg   resp;
    struct osp_layer before;
    uint8_t          copy[64], opt[8];
    size_t           n, optn;

    for (int own = 0; own < 2; own++) {
        request(f);
        protect(f);
        EXPECT_OK(unprotect(f));
        osp_msg_init(&resp, OSP_CODE(2, 5));
        resp.payload = osp_slice_str("answer");
        EXPECT_OK(respond(f, &resp, own));
        n = f->wire.payload.n;
        assert_true(osp_slice_copy(f->wire.payload, copy, sizeof(copy)));
        f->wire.payload = osp_slice(copy, n);
        optn = f->wire.opts[0].val.n;
        assert_true(osp_slice_copy(f->wire.opts[0].val, opt, sizeof(opt)));
        f->wire.opts[0].val = osp_slice(opt, optn);
        before = f->cl;
        for (size_t i = 0; i < 8 * n; i++) {
            copy[i / 8] = (uint8_t)(copy[i / 8] ^ 1u << i % 8);
            EXPECT_ERR(OSP_E_DECRYPT, receive(f));
            copy[i / 8] = (uint8_t)(copy[i / 8] ^ 1u << i % 8);
        }
        for (size_t i = 0; i < 8 * optn; i++) {
            if (i == 3)                 /* says that a kid follows, of no byte: nothing a response is judged by */
                continue;
            opt[i / 8] = (uint8_t)(opt[i / 8] ^ 1u << i % 8);
            assert_int_not_equal(receive(f), OSP_OK);
            opt[i / 8] = (uint8_t)(opt[i / 8] ^ 1u << i % 8);
        }
        for (size_t i = 0; i < n; i++) {
            f->wire.payload = osp_slice(copy, i);
            EXPECT_ERR(i ? OSP_E_DECRYPT : OSP_E_OSCORE_OPTION, receive(f));
        }
        f->wire.payload = osp_slice(copy, n);
        assert_memory_equal(&before, &f->cl, sizeof(before));
        EXPECT_OK(receive(f));
        EXPECT_ERR(OSP_E_REPLAY, receive(f));
    }
}

/* Valid under the key, but no CoAP message. */
static void
plaintext_that_is_no_message_is_refused_and_the_window_stays(void **state)
{
    static const struct { const char *hex; enum osp_err want; } bad[] = {
        { "", OSP_E_DECRYPT },                  /* not even a code */
        { "01ff", OSP_E_FORMAT },               /* marker without payload */
        { "01f0", OSP_E_FORMAT }, { "010f", OSP_E_FORMAT }, { "01d1", OSP_E_FORMAT }, { "01b4746573", OSP_E_FORMAT },
        { "01e0ffff", OSP_E_FORMAT },           /* option number over 65535 */
    };
    struct fix           *f = *state;
    struct osp_octx_keys  k = osp_octx_keys(f->client);
    struct osp_replay     before;

    osp_octx_get_window(f->server, &before);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t       plain[16], sealed[32], nonce[13], aad[64];
        size_t        n = 0;
        struct osp_wr a = osp_wr_to(aad, sizeof(aad));

        request(f);
        protect(f);
        assert_true(osp_hex_decode(osp_slice_str(bad[i].hex), plain, sizeof(plain), &n));
        osp_oscore_nonce(osp_slice_str("c"), osp_slice(f->cl.piv, f->cl.piv_len), k.common_iv.p, 13, nonce);
        EXPECT_OK(osp_oscore_aad(10, osp_slice_str("c"), osp_slice(f->cl.piv, f->cl.piv_len), &a));
        EXPECT_OK(osp_aead_seal(f->cr, 10, k.sender_key.p, nonce, osp_wr_slice(&a), osp_slice(plain, n), sealed));
        f->wire.payload = osp_slice(sealed, n + 8);
        EXPECT_ERR(bad[i].want, unprotect(f));
        assert_true(window_is(f, &before));
    }
}

static void
request_under_another_secret_or_for_another_kid_is_refused(void **state)
{
    struct fix            *f = *state;
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice_str("another secret.."),
                                 .master_salt = osp_slice_str("salt"), .sender_id = osp_slice_str("s"),
                                 .recipient_id = osp_slice_str("c") };
    struct osp_octx       *right = f->server;
    uint8_t                kid[200] = { 0x08 | 1, 0 };

    request(f);
    protect(f);
    EXPECT_OK(osp_octx_new(&p, &f->server));
    osp_octx_set_window(f->server, &(struct osp_replay){ 0 });
    EXPECT_ERR(OSP_E_DECRYPT, unprotect(f));
    osp_octx_unref(f->server);
    f->server = f->client;                              /* sent back to where it came from */
    osp_octx_set_window(f->server, &(struct osp_replay){ 0 });
    EXPECT_ERR(OSP_E_DECRYPT, unprotect(f));
    f->server = right;
    osp_msg_remove(&f->wire, OSP_OPT_OSCORE);           /* a kid longer than a nonce */
    EXPECT_OK(osp_msg_add(&f->wire, OSP_OPT_OSCORE, osp_slice(kid, sizeof(kid))));
    EXPECT_ERR(OSP_E_DECRYPT, unprotect(f));
}

/* ---- merging [rfc8613#8.2] ---- */

/* [rfc8613#4.1.3.5] [rfc8613#4.1.3.6] what is specified as inner and outer counts only when inner */
static void
outer_instances_of_special_options_have_no_effect(void **state)
{
    static const uint16_t nums[] = { OSP_OPT_OBSERVE, OSP_OPT_MAX_AGE, OSP_OPT_BLOCK1, OSP_OPT_BLOCK2, OSP_OPT_SIZE1,
                                     OSP_OPT_SIZE2, OSP_OPT_ECHO, OSP_OPT_NO_RESPONSE, OSP_OPT_REQUEST_TAG };
    struct fix           *f = *state;

    request(f);
    EXPECT_OK(osp_msg_add(&f->plain, OSP_OPT_NO_RESPONSE, osp_slice_str("\x02")));
    protect(f);
    assert_false(osp_msg_has(&f->wire, OSP_OPT_NO_RESPONSE));
    for (size_t i = 0; i < sizeof(nums) / sizeof(nums[0]); i++)
        EXPECT_OK(osp_msg_add(&f->wire, nums[i], osp_slice_str("\x1a")));
    EXPECT_OK(unprotect(f));
    for (size_t i = 0; i < sizeof(nums) / sizeof(nums[0]); i++)
        assert_int_equal(osp_msg_has(&f->got, nums[i]), nums[i] == OSP_OPT_NO_RESPONSE);
    EXPECT_BYTES(osp_slice_str("\x02"), osp_msg_get(&f->got, OSP_OPT_NO_RESPONSE)->val);
    assert_false(f->sl.observe);
}

/*
 * An outer option without an inner one stays; with one, the protected instance counts.  Uri-Host and Uri-Port are
 * Class E beside a Proxy-Scheme, so an outer Uri-Port does not complete the authority inside.  [ocp#2.2]
 */
static void
inner_instance_replaces_the_outer_one(void **state)
{
    struct fix   *f = *state;
    uint8_t       classes[OSP_MSG_OPTS_MAX] = { OSP_OPT_CLASS_E, OSP_OPT_CLASS_E };
    struct osp_wr w = osp_wr_to(f->scratch, sizeof(f->scratch));

    osp_msg_init(&f->plain, OSP_GET);
    EXPECT_OK(osp_msg_add(&f->plain, OSP_OPT_URI_HOST, osp_slice_str("inner")));
    EXPECT_OK(osp_msg_add(&f->plain, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
    EXPECT_OK(osp_oscore_protect_request(f->cr, f->client, &f->plain, classes, &w, &f->wire, &f->cl));
    EXPECT_OK(osp_msg_add(&f->wire, OSP_OPT_URI_HOST, osp_slice_str("outer")));
    EXPECT_OK(osp_msg_add(&f->wire, OSP_OPT_URI_PORT, osp_slice_str("\x16\x33")));
    EXPECT_OK(osp_msg_add(&f->wire, OSP_OPT_HOP_LIMIT, osp_slice_str("\x05")));
    EXPECT_OK(osp_msg_add(&f->wire, OSP_OPT_PROXY_SCHEME, osp_slice_str("coaps")));
    EXPECT_OK(unprotect(f));
    assert_int_equal(f->got.opt_count, 3);
    EXPECT_BYTES(osp_slice_str("inner"), osp_msg_get(&f->got, OSP_OPT_URI_HOST)->val);
    EXPECT_BYTES(osp_slice_str("\x05"), osp_msg_get(&f->got, OSP_OPT_HOP_LIMIT)->val);
    EXPECT_BYTES(osp_slice_str("coap"), osp_msg_get(&f->got, OSP_OPT_PROXY_SCHEME)->val);
}

/* The outer OSCORE option is ours and goes; one inside is just an option [ocp#2.4]. */
static void
inner_oscore_option_is_an_option_of_the_result(void **state)
{
    struct fix   *f = *state;
    uint8_t       classes[OSP_MSG_OPTS_MAX] = { OSP_OPT_CLASS_E };
    struct osp_wr w = osp_wr_to(f->scratch, sizeof(f->scratch));

    osp_msg_init(&f->plain, OSP_POST);
    EXPECT_OK(osp_msg_add(&f->plain, OSP_OPT_OSCORE, osp_slice_str("\x09\x14o")));
    f->plain.payload = osp_slice_str("ciphertext for another");
    EXPECT_OK(osp_oscore_protect_request(f->cr, f->client, &f->plain, classes, &w, &f->wire, &f->cl));
    assert_int_equal(f->wire.opt_count, 1);
    EXPECT_OK(unprotect(f));
    assert_int_equal(f->got.opt_count, 1);
    EXPECT_BYTES(osp_slice_str("\x09\x14o"), osp_msg_get(&f->got, OSP_OPT_OSCORE)->val);
    EXPECT_BYTES(f->plain.payload, f->got.payload);
}

static void
outer_class_e_options_of_a_response_have_no_effect(void **state)
{
    struct fix    *f = *state;
    struct osp_msg resp;

    request(f);
    protect(f);
    EXPECT_OK(unprotect(f));
    osp_msg_init(&resp, OSP_CODE(2, 5));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_MAX_AGE, osp_slice_str("\x05")));
    EXPECT_OK(respond(f, &resp, false));
    assert_int_equal(f->wire.opt_count, 1);
    EXPECT_OK(osp_msg_add(&f->wire, OSP_OPT_ETAG, osp_slice_str("forged")));
    EXPECT_OK(osp_msg_add(&f->wire, OSP_OPT_MAX_AGE, osp_slice_str("\xff")));
    EXPECT_OK(osp_msg_add(&f->wire, OSP_OPT_OBSERVE, osp_slice_str("\x07")));
    EXPECT_OK(osp_msg_add(&f->wire, 65000, osp_slice_str("forged")));
    EXPECT_OK(receive(f));
    assert_int_equal(f->got.opt_count, 1);
    EXPECT_BYTES(osp_slice_str("\x05"), osp_msg_get(&f->got, OSP_OPT_MAX_AGE)->val);
}

/* ---- limits ---- */

static void
too_little_room_is_said_and_harms_nothing(void **state)
{
    struct fix      *f = *state;
    uint8_t          classes[OSP_MSG_OPTS_MAX];
    struct osp_wr    w;
    struct osp_layer l = { 0 };
    struct osp_msg   out;
    size_t           need, cap;

    request(f);
    protect(f);
    need = f->wire.payload.n + osp_msg_get(&f->wire, OSP_OPT_OSCORE)->val.n;
    EXPECT_OK(osp_classes(&to_server, &f->plain, classes));
    for (cap = 0; cap < need; cap++) {
        w = osp_wr_to(f->scratch, cap);
        EXPECT_ERR(OSP_E_NOSPACE, osp_oscore_protect_request(f->cr, f->client, &f->plain, classes, &w, &out, &l));
        assert_null(l.ctx);
    }
    protect(f);
    for (cap = 0; cap + 8 < f->wire.payload.n; cap++) {
        w = osp_wr_to(f->scratch2, cap);
        EXPECT_ERR(OSP_E_NOSPACE, osp_oscore_unprotect_request(f->cr, f->server, &f->wire, &w, &out, &l));
        assert_null(l.ctx);
    }
    EXPECT_OK(unprotect(f));
}

static void
more_options_than_a_message_can_have_are_refused(void **state)
{
    struct fix       *f = *state;
    struct osp_replay before;

    osp_msg_init(&f->plain, OSP_GET);
    for (size_t i = 0; i < OSP_MSG_OPTS_MAX; i++)
        EXPECT_OK(osp_msg_add(&f->plain, OSP_OPT_URI_PATH, OSP_EMPTY));
    protect(f);
    osp_octx_get_window(f->server, &before);
    EXPECT_OK(osp_msg_add(&f->wire, OSP_OPT_URI_HOST, osp_slice_str("h")));    /* one outer option on top */
    EXPECT_ERR(OSP_E_OPTION_COUNT, unprotect(f));
    assert_true(window_is(f, &before));
    osp_msg_remove(&f->wire, OSP_OPT_URI_HOST);
    EXPECT_OK(unprotect(f));
    assert_int_equal(f->got.opt_count, OSP_MSG_OPTS_MAX);
}

/* [rfc8613#4.1.3.3] */
static void
whole_uri_is_not_sent_in_the_clear(void **state)
{
    static const uint16_t nums[] = { OSP_OPT_PROXY_URI, OSP_OPT_PROXY_CRI };
    struct fix           *f = *state;

    for (size_t i = 0; i < 2; i++) {
        struct osp_layer_ends behind = { OSP_LAYER_TO_SERVER, false, false }, to_proxy = { OSP_LAYER_TO_PROXY, true, false };
        uint8_t               classes[OSP_MSG_OPTS_MAX];
        struct osp_wr  w = osp_wr_to(f->scratch, sizeof(f->scratch));
        uint64_t       next = osp_octx_ssn(f->client).next;

        osp_msg_init(&f->plain, OSP_GET);
        EXPECT_OK(osp_msg_add(&f->plain, nums[i], osp_slice_str("coap://h/secret")));
        EXPECT_OK(osp_classes(&behind, &f->plain, classes));
        EXPECT_ERR(OSP_E_INVALID, osp_oscore_protect_request(f->cr, f->client, &f->plain, classes, &w, &f->wire, &f->cl));
        assert_int_equal(osp_octx_ssn(f->client).next, next);
        EXPECT_OK(osp_classes(&to_proxy, &f->plain, classes));
        EXPECT_OK(osp_oscore_protect_request(f->cr, f->client, &f->plain, classes, &w, &f->wire, &f->cl));
        assert_false(osp_msg_has(&f->wire, nums[i]));
        osp_layer_fini(&f->cl);
    }
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        T(no_flipped_bit_and_no_cut_of_a_datagram_is_accepted),
        T(no_flipped_bit_and_no_cut_of_a_response_is_accepted),
        T(plaintext_that_is_no_message_is_refused_and_the_window_stays),
        T(request_under_another_secret_or_for_another_kid_is_refused),
        T(outer_instances_of_special_options_have_no_effect),
        T(inner_instance_replaces_the_outer_one),
        T(inner_oscore_option_is_an_option_of_the_result),
        T(outer_class_e_options_of_a_response_have_no_effect),
        T(too_little_room_is_said_and_harms_nothing),
        T(more_options_than_a_message_can_have_are_refused),
        T(whole_uri_is_not_sent_in_the_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
