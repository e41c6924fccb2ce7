/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of EDHOC messages: external authorization data, errors, suites, payloads of CoAP. */
#include "tests/unit/edhoc/edhoc_items.h"

#include "cbor/enc.h"
#include "crypto/pk.h"

/* ---- external authorization data ---- */

/* [rfc9528#3.8] */
static void
ead_arrives_in_every_message(void **state)
{
    static struct edhoc_pair    p;
    struct osp_edhoc_eads got;
    uint8_t               b[128];
    struct osp_wr         w = osp_wr_to(b, sizeof(b));

    (void)state;
    osp_edhoc_ead_put(&w, &(struct osp_edhoc_ead){ .label = 0, .has_value = true, .value = osp_slice_str("padding") });
    osp_edhoc_ead_put(&w, &(struct osp_edhoc_ead){ EDHOC_EAD, true, true, hex("0102") });
    osp_edhoc_ead_put(&w, &(struct osp_edhoc_ead){ .label = 77, .has_value = true, .value = hex("aa") });
    osp_edhoc_ead_put(&w, &(struct osp_edhoc_ead){ .label = EDHOC_EAD });
    EXPECT_BYTES(hex("004770616464696e6724420102184d41aa05"), osp_wr_slice(&w));
    for (uint8_t method = 0; method <= 3; method += 3) {
        edhoc_init(&p, method, 2, EDHOC_KID, EDHOC_KID, true);
        for (int n = 1; n <= 4; n++) {
            EXPECT_OK(edhoc_make(&p, n, osp_wr_slice(&w)));
            memset(&got, 0xff, sizeof(got));
            EXPECT_OK(edhoc_take(&p, n, &got));
            assert_int_equal(got.count, 2);             /* neither the padding nor what is unknown */
            assert_int_equal(got.item[0].label, EDHOC_EAD);
            assert_true(got.item[0].is_critical && got.item[0].has_value);
            EXPECT_BYTES(hex("0102"), got.item[0].value);
            assert_false(got.item[1].is_critical || got.item[1].has_value);
        }
    }
}

/* [rfc9528#3.8] */
static void
critical_ead_that_is_unknown_ends_the_session(void **state)
{
    static struct edhoc_pair p;

    (void)state;
    for (int n = 1; n <= 4; n++) {
        edhoc_init(&p, 0, 0, EDHOC_KID, EDHOC_KID, true);
        edhoc_run(&p, n - 1);
        EXPECT_OK(edhoc_make(&p, n, hex("384c")));       /* -77 */
        EXPECT_ERR(OSP_E_EDHOC_EAD, edhoc_take(&p, n, NULL));
        assert_int_equal(osp_edhoc_state(&edhoc_taker(&p, n)->s), OSP_EDHOC_ABORTED);
        assert_int_equal(error_code(edhoc_taker(&p, n)), 1);
        edhoc_init(&p, 0, 0, EDHOC_KID, EDHOC_KID, true);
        edhoc_run(&p, n - 1);
        EXPECT_OK(edhoc_make(&p, n, hex("184c")));       /* 76 is ignored */
        EXPECT_OK(edhoc_take(&p, n, NULL));
    }
    /* a known one, when nobody asks for it */
    edhoc_init(&p, 0, 0, EDHOC_KID, EDHOC_KID, true);
    EXPECT_OK(edhoc_make(&p, 1, hex("24")));
    EXPECT_ERR(OSP_E_EDHOC_EAD, edhoc_take(&p, 1, NULL));
}

/* A Claims Set as long as it may be, sent by value, beside an EAD field as long as that may be. */
static void
the_longest_credentials_and_ead_fit(void **state)
{
    static struct edhoc_pair p;
    static uint8_t           big[2][OSP_EDHOC_ID_CRED_MAX], padding[OSP_EDHOC_EAD_MAX];
    static char              sub[OSP_EDHOC_CRED_MAX];
    struct osp_edhoc_cred    c;
    struct osp_wr            w = osp_wr_to(padding, sizeof(padding)), wi, wc;

    (void)state;
    osp_edhoc_pad(&w, big[0], sizeof(padding));
    for (size_t over = 0; over < 2; over++)
        for (uint8_t method = 0; method <= 3; method += 3) {
            edhoc_init(&p, method, 2, EDHOC_KID, EDHOC_KID, true);
            wi = osp_wr_to(big[0], sizeof(big[0]));
            wc = osp_wr_to(big[1], sizeof(big[1]));
            memset(sub, 'x', sizeof(sub));
            sub[OSP_EDHOC_CRED_MAX - 83 + over] = 0;            /* 83 bytes are the rest of it */
            osp_edhoc_ccs_put(&wc, sub, OSP_EMPTY, &p.i.own.cred.key);
            osp_edhoc_id_kccs_put(&wi, osp_wr_slice(&wc));
            assert_int_equal(wc.n, OSP_EDHOC_CRED_MAX + over);
            EXPECT_ERR(over ? OSP_E_INVALID : OSP_OK, osp_edhoc_cred_init(&c, osp_wr_slice(&wi), osp_wr_slice(&wc)));
            if (over)
                continue;
            p.i.own.cred = p.r.peer.cred = c;
            for (int n = 1; n <= 4; n++) {
                EXPECT_OK(edhoc_make(&p, n, osp_wr_slice(&w)));
                EXPECT_OK(edhoc_take(&p, n, NULL));
            }
        }
}

static void
what_is_no_ead_is_neither_sent_nor_taken(void **state)
{
    static const char *const bad[] = { "f5", "40", "004000f5", "1800", "0041", "a0", "000000000000000000" };
    static struct edhoc_pair       p;
    static uint8_t           big[OSP_EDHOC_EAD_MAX + 1], zeroes[OSP_EDHOC_EAD_MAX];
    struct osp_edhoc_eads    got;
    struct osp_wr            w = osp_wr_to(big, sizeof(big));

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        enum osp_err want = i == 6 ? OSP_E_TOO_LARGE : OSP_E_FORMAT;

        EXPECT_ERR(want, osp_edhoc_ead_read(hex(bad[i]), NULL, 0, &got));
        for (int n = 1; n <= 4; n++) {
            edhoc_init(&p, 0, 0, EDHOC_KID, EDHOC_KID, true);
            edhoc_run(&p, n - 1);
            EXPECT_ERR(want, edhoc_make(&p, n, hex(bad[i])));
        }
    }
    osp_edhoc_ead_put(&w, &(struct osp_edhoc_ead){ .has_value = true, .value = osp_slice(zeroes, OSP_EDHOC_EAD_MAX - 3) });
    assert_int_equal(w.n, OSP_EDHOC_EAD_MAX + 1);
    EXPECT_ERR(OSP_E_TOO_LARGE, osp_edhoc_ead_read(osp_wr_slice(&w), NULL, 0, &got));
}

/* [rfc9528#3.8.1] */
static void
padding_of_any_length_can_be_made_and_is_dropped(void **state)
{
    uint8_t               b[600], random[600];
    struct osp_edhoc_eads got;

    (void)state;
    memset(random, 0xe9, sizeof(random));
    for (size_t n = 0; n <= 600; n++) {
        struct osp_wr w = osp_wr_to(b, sizeof(b));

        osp_edhoc_pad(&w, random, n);
        assert_false(osp_wr_bad(&w));
        assert_int_equal(w.n, n);
        EXPECT_OK(osp_edhoc_ead_read(osp_wr_slice(&w), NULL, 0, &got));
        assert_int_equal(got.count, 0);
    }
    struct osp_wr w = osp_wr_to(b, 9);
    osp_edhoc_pad(&w, random, 3);
    EXPECT_BYTES(hex("0041e9"), osp_wr_slice(&w));
    osp_edhoc_pad(&w, random, 300);
    assert_true(osp_wr_bad(&w));
}

/* ---- suites ---- */

static enum osp_err
judge(struct osp_edhoc_suites supported, struct osp_edhoc_suites suites_i)
{
    return osp_edhoc_suites_judge(&supported, &suites_i);
}

#define LIST(...) ((struct osp_edhoc_suites){ { __VA_ARGS__ }, sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t) })

/* row X02 (partly: the library) */
/* [rfc9528#6.3.1] [rfc9528#6.3.2] examples 1 and 2 with their notes */
static void
suites_are_negotiated_as_in_the_examples(void **state)
{
    struct osp_edhoc_suites own = LIST(5, 6, 7, 8, 9);
    int64_t                 next = 0;

    (void)state;
    EXPECT_ERR(OSP_E_EDHOC_SUITE, judge(LIST(6), LIST(5)));
    EXPECT_OK(osp_edhoc_suite_choose(&own, &LIST(6), &next));
    assert_int_equal(next, 6);
    EXPECT_OK(judge(LIST(6), LIST(5, 6)));
    EXPECT_ERR(OSP_E_EDHOC_SUITE, judge(LIST(8, 9), LIST(5, 6)));
    EXPECT_OK(osp_edhoc_suite_choose(&own, &LIST(9, 8), &next));
    assert_int_equal(next, 8);
    EXPECT_OK(judge(LIST(9, 8), LIST(5, 6, 7, 8)));
    EXPECT_ERR(OSP_E_EDHOC_SUITE, judge(LIST(5, 6), LIST(5, 6)));       /* 5 would have been preferred */
    EXPECT_ERR(OSP_E_EDHOC_SUITE, osp_edhoc_suite_choose(&own, &LIST(1, 2), &next));
    assert_int_equal(next, 8);
}

/* row X02 (partly: the library) */
/* [rfc9528#5.2.2] [rfc9528#6.3] over the wire: preferred suites are listed, and all supported ones are told */
static void
a_refused_suite_leads_to_the_next_message_1(void **state)
{
    static struct edhoc_pair         p;
    struct osp_edhoc_message_1 m;
    struct osp_edhoc_error     error;
    uint8_t                    b[64];
    struct osp_wr              w = osp_wr_to(b, sizeof(b));
    struct osp_edhoc_own       own[2];

    (void)state;
    edhoc_init(&p, 0, 2, EDHOC_KID, EDHOC_KID, false);     /* method 0: Ed25519 for suite 0, P-256 for the others */
    own[0] = p.i.own;
    edhoc_ccs(&p.i, OSP_ED25519, 5, 5, false, false);
    own[1] = p.i.own;
    p.i.own = own[0];
    p.i.profile.own = own;
    p.i.profile.own_count = 2;
    p.i.profile.suites = LIST(0, 6, 3, 2);
    p.r.profile.suites = LIST(1, 2, 3);                 /* 1 wants an Ed25519 key, which it has not */
    p.suite = 0;
    EXPECT_OK(edhoc_make(&p, 1, OSP_EMPTY));
    EXPECT_ERR(OSP_E_EDHOC_SUITE, edhoc_take(&p, 1, NULL));
    EXPECT_OK(osp_edhoc_make_error(&p.r.s, &w));
    EXPECT_BYTES(hex("02820203"), osp_wr_slice(&w));
    EXPECT_OK(osp_edhoc_take_error(&p.i.s, osp_wr_slice(&w), &error));
    EXPECT_OK(osp_edhoc_suite_choose(&p.i.profile.suites, &error.suites_r, &p.suite));
    assert_int_equal(p.suite, 3);
    edhoc_begin(&p);
    EXPECT_OK(edhoc_make(&p, 1, OSP_EMPTY));
    EXPECT_OK(osp_edhoc_peek_message_1(osp_wr_slice(&p.i.out), &m));
    assert_int_equal(m.suites_i.count, 3);              /* 0, 6 and 3 */
    assert_int_equal(m.suites_i.value[2], 3);
    assert_int_equal(m.method, 0);
    EXPECT_BYTES(hex("21"), m.c_i);
    EXPECT_OK(edhoc_take(&p, 1, NULL));
    edhoc_begin(&p);
    p.suite = 1;                                        /* not one of ours */
    EXPECT_ERR(OSP_E_EDHOC_SUITE, edhoc_make(&p, 1, OSP_EMPTY));
}

/* [rfc9528#5.2.1] */
static void
lists_of_suites_have_one_form(void **state)
{
    static const char *const bad[] = { "80", "8102", "f5", "820203ff", "9f0203ff", "820141ff", "4102", "8202", "", "1802" };
    struct osp_edhoc_suites  s;
    uint8_t                  b[64];
    struct osp_wr            w = osp_wr_to(b, sizeof(b));

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (osp_edhoc_suites_read(hex(bad[i]), &s) != OSP_E_FORMAT)
            fail_msg("%s is taken for suites", bad[i]);
    osp_cbor_put_array(&w, OSP_EDHOC_SUITES_MAX + 1);
    for (int i = 0; i <= OSP_EDHOC_SUITES_MAX; i++)
        osp_cbor_put_int(&w, 2);
    EXPECT_ERR(OSP_E_FORMAT, osp_edhoc_suites_read(osp_wr_slice(&w), &s));
    EXPECT_OK(osp_edhoc_suites_read(hex("8237391000"), &s));            /* private and unknown values are numbers too */
    assert_true(s.value[0] == -24 && s.value[1] == -4097);
    assert_null(osp_edhoc_suite(24));
    assert_null(osp_edhoc_suite(7));
    assert_null(osp_edhoc_suite(256));
}

/* ---- errors ---- */

/* [rfc9528#6] */
static void
error_messages_are_read(void **state)
{
    static const char *const bad[] = { "00f5",     "0000", "0102", "01",       "02", "0261",
                                       "02810203", "03f4", "0301", "01616101", "40", "" };
    struct osp_edhoc_error   e;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (osp_edhoc_read_error(hex(bad[i]), &e) != OSP_E_FORMAT)
            fail_msg("%s is taken for an error", bad[i]);
    EXPECT_OK(osp_edhoc_read_error(hex("01626e6f"), &e));
    EXPECT_BYTES(osp_slice_str("no"), e.text);
    EXPECT_OK(osp_edhoc_read_error(hex("03f5"), &e));
    assert_int_equal(e.code, OSP_EDHOC_ERR_CREDENTIAL);
    EXPECT_OK(osp_edhoc_read_error(hex("02820809"), &e));
    assert_true(e.suites_r.count == 2 && e.suites_r.value[1] == 9);
    EXPECT_OK(osp_edhoc_read_error(hex("18c8a10102"), &e));             /* one registered later */
    assert_int_equal(e.code, 200);
    assert_true(osp_edhoc_is_error(hex("03f5")) && osp_edhoc_is_error(hex("20f5")));
    assert_false(osp_edhoc_is_error(hex("41ff")) || osp_edhoc_is_error(OSP_EMPTY));
}

/* row X04 (partly: the library) */
/* [rfc9528#6] */
static void
an_error_is_sent_once_and_never_in_answer_to_one(void **state)
{
    static struct edhoc_pair p;
    uint8_t            b[64];
    struct osp_wr      w = osp_wr_to(b, sizeof(b)), small = osp_wr_to(b, 3);

    (void)state;
    edhoc_init(&p, 3, 2, EDHOC_KID, EDHOC_KID, true);
    EXPECT_ERR(OSP_E_EDHOC_STATE, osp_edhoc_make_error(&p.r.s, &w));
    edhoc_run(&p, 1);
    EXPECT_ERR(OSP_E_EDHOC_STATE, osp_edhoc_make_error(&p.r.s, &w));
    EXPECT_OK(edhoc_make(&p, 2, OSP_EMPTY));
    p.r.message[p.r.out.n - 1] ^= 1;
    EXPECT_ERR(OSP_E_EDHOC_AUTH, edhoc_take(&p, 2, NULL));
    EXPECT_ERR(OSP_E_NOSPACE, osp_edhoc_make_error(&p.i.s, &small));
    assert_int_equal(small.n, 0);
    EXPECT_OK(osp_edhoc_make_error(&p.i.s, &w));
    EXPECT_BYTES(hex("017561757468656e7469636174696f6e206661696c6564"), osp_wr_slice(&w));
    EXPECT_ERR(OSP_E_EDHOC_STATE, osp_edhoc_make_error(&p.i.s, &w));
    EXPECT_OK(osp_edhoc_take_error(&p.r.s, osp_wr_slice(&w), NULL));
    EXPECT_ERR(OSP_E_EDHOC_STATE, osp_edhoc_make_error(&p.r.s, &w));
    /* nor to one that is malformed, or has the reserved code 0 [rfc9528#6.1] */
    edhoc_begin(&p);
    EXPECT_OK(edhoc_make(&p, 1, OSP_EMPTY));
    EXPECT_ERR(OSP_E_FORMAT, osp_edhoc_take_error(&p.i.s, hex("00f5"), NULL));
    assert_int_equal(osp_edhoc_state(&p.i.s), OSP_EDHOC_ABORTED);
    assert_int_equal(error_code(&p.i), 0);
    /* nor when no message of the peer was the reason */
    edhoc_begin(&p);
    EXPECT_ERR(OSP_E_FORMAT, edhoc_make(&p, 1, hex("f5")));
    assert_int_equal(error_code(&p.i), 0);
    edhoc_begin(&p);
    edhoc_run(&p, 4);
    EXPECT_ERR(OSP_E_EDHOC_STATE, osp_edhoc_take_error(&p.i.s, hex("03f5"), NULL));
    assert_int_equal(osp_edhoc_state(&p.i.s), OSP_EDHOC_COMPLETED);
    assert_int_equal(error_code(&p.i), 0);
}

/* ---- CoAP payloads ---- */

/* [rfc9528#A.2.1] */
static void
requests_are_split_into_correlation_and_message(void **state)
{
    static const char *const bad[] = { "", "f5", "f400", "f6", "01", "4101", "410158", "41", "a0ff", "1818ff" };
    struct osp_edhoc_request r;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (osp_edhoc_split_request(hex(bad[i]), &r) != OSP_E_FORMAT)
            fail_msg("%s is taken for a request", bad[i]);
    EXPECT_OK(osp_edhoc_split_request(hex("f50302"), &r));
    assert_true(r.is_message_1);
    EXPECT_BYTES(hex("0302"), r.message);
    EXPECT_OK(osp_edhoc_split_request(hex("2741ff"), &r));
    assert_false(r.is_message_1);
    EXPECT_BYTES(hex("27"), r.c_r);
    EXPECT_BYTES(hex("41ff"), r.message);
    EXPECT_OK(osp_edhoc_split_request(hex("4118417f"), &r));
    EXPECT_BYTES(hex("18"), r.c_r);
}

/* row X06, X07 (partly: the payload) */
/* [rfc9668#3.2.1] [rfc9668#3.3.1] the example of RFC 9668, 3.4 */
static void
a_combined_payload_is_split(void **state)
{
    static const char *const bad[] = { "", "40", "41ff", "4200", "01ff", "f5ff", "5801ffff" };
    struct osp_slice         m3, c;

    (void)state;
    EXPECT_OK(osp_edhoc_split_combined(hex("52d5535f3147e85f1cfacd9e78abf9e0a81bbf612f1092f1776f1c1668b3825e"), &m3, &c));
    EXPECT_BYTES(hex("52d5535f3147e85f1cfacd9e78abf9e0a81bbf"), m3);
    EXPECT_BYTES(hex("612f1092f1776f1c1668b3825e"), c);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (osp_edhoc_split_combined(hex(bad[i]), &m3, &c) != OSP_E_FORMAT)
            fail_msg("%s is taken for a combined payload", bad[i]);
}

/* [rfc9668#3.3.1] step 4 */
static void
a_combined_request_excludes_message_4(void **state)
{
    static struct edhoc_pair p;

    (void)state;
    for (int m4 = 0; m4 < 2; m4++) {
        edhoc_init(&p, 3, 2, EDHOC_KID, EDHOC_KID, m4 != 0);
        edhoc_run(&p, 2);
        EXPECT_OK(edhoc_make(&p, 3, OSP_EMPTY));
        EXPECT_ERR(m4 ? OSP_E_BAD_REQUEST : OSP_OK, osp_edhoc_take_combined(&p.r.s, osp_wr_slice(&p.i.out), NULL));
        assert_int_equal(osp_edhoc_state(&p.r.s), m4 ? OSP_EDHOC_ABORTED : OSP_EDHOC_COMPLETED);
        assert_int_equal(error_code(&p.r), m4 ? 1 : 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ead_arrives_in_every_message),
        cmocka_unit_test(critical_ead_that_is_unknown_ends_the_session),
        cmocka_unit_test(the_longest_credentials_and_ead_fit),
        cmocka_unit_test(what_is_no_ead_is_neither_sent_nor_taken),
        cmocka_unit_test(padding_of_any_length_can_be_made_and_is_dropped),
        cmocka_unit_test(suites_are_negotiated_as_in_the_examples),
        cmocka_unit_test(a_refused_suite_leads_to_the_next_message_1),
        cmocka_unit_test(lists_of_suites_have_one_form),
        cmocka_unit_test(error_messages_are_read),
        cmocka_unit_test(an_error_is_sent_once_and_never_in_answer_to_one),
        cmocka_unit_test(requests_are_split_into_correlation_and_message),
        cmocka_unit_test(a_combined_payload_is_split),
        cmocka_unit_test(a_combined_request_excludes_message_4),
    };

    return cmocka_run_group_tests(tests, edhoc_setup, edhoc_teardown);
}
