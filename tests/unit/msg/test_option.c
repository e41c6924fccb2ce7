/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include "msg/msg.h"
#include "msg/option.h"

static struct osp_msg m;

static struct osp_slice
str(const char *s)
{
    return osp_slice_str(s);
}

static void
add(uint16_t num, const char *val)
{
    EXPECT_OK(osp_msg_add(&m, num, str(val)));
}

/* The rows as the specifications give them, written down a second time. */
static const struct {
    uint16_t    num;
    const char *name;
    char        format;         /* e u s o */
    uint16_t    least, most;
    bool        repeatable;
    const char *oscore, *purpose, *cache;
    bool        varies, alone;          /* of a block-wise operation; of an observation */
} expected[] = {
    { 1, "If-Match", 'o', 0, 8, true, "E", "endpoints", "key", false, true },
    { 3, "Uri-Host", 's', 1, 255, false, "U", "server", "key", false, false },
    { 4, "ETag", 'o', 1, 8, true, "E", "endpoints", "rules", true, false },
    { 5, "If-None-Match", 'e', 0, 0, false, "E", "endpoints", "key", false, true },
    { 6, "Observe", 'u', 0, 3, false, "EU", "endpoints", "rules", true, false },
    { 7, "Uri-Port", 'u', 0, 2, false, "U", "server", "key", false, false },
    { 8, "Location-Path", 's', 0, 255, true, "E", "endpoints", "key", false, false },
    { 9, "OSCORE", 'o', 0, 255, false, "U", "layer", "key", false, true },
    { 11, "Uri-Path", 's', 0, 255, true, "E", "resource", "uri", false, false },
    { 12, "Content-Format", 'u', 0, 2, false, "E", "endpoints", "key", false, false },
    { 13, "Uri-Path-Abbrev", 'u', 0, 4, false, "E", "resource", "key", false, false },
    { 14, "Max-Age", 'u', 0, 4, false, "EU", "endpoints", "key", false, false },
    { 15, "Uri-Query", 's', 0, 255, true, "E", "resource", "uri", false, false },
    { 16, "Hop-Limit", 'u', 0, 65535, false, "U", "hops", "rules", true, false },
    { 17, "Accept", 'u', 0, 2, false, "E", "endpoints", "key", false, false },
    { 20, "Location-Query", 's', 0, 255, true, "E", "endpoints", "key", false, false },
    { 21, "EDHOC", 'e', 0, 65535, false, "U", "opening", "key", false, false },
    { 23, "Block2", 'u', 0, 3, false, "EU", "endpoints", "rules", true, true },
    { 27, "Block1", 'u', 0, 3, false, "EU", "endpoints", "rules", true, true },
    { 28, "Size2", 'u', 0, 4, false, "EU", "endpoints", "no", true, false },
    { 35, "Proxy-Uri", 's', 1, 1034, false, "U", "proxy", "key", false, false },
    { 39, "Proxy-Scheme", 's', 1, 255, false, "U", "proxy", "key", false, false },
    { 60, "Size1", 'u', 0, 4, false, "EU", "endpoints", "no", true, false },
    { 235, "Proxy-Cri", 'o', 1, 1023, false, "U", "proxy", "key", false, false },
    { 239, "Proxy-Scheme-Number", 'u', 0, 3, false, "U", "proxy", "key", false, false },
    { 252, "Echo", 'o', 1, 40, false, "EU", "endpoints", "no", true, true },
    { 258, "No-Response", 'u', 0, 1, false, "EU", "endpoints", "rules", true, true },
    { 292, "Request-Tag", 'o', 0, 8, true, "EU", "endpoints", "rules", false, false },
    { 548, "Request-Hash", 'o', 0, 65535, false, "U", "opening", "key", false, false },
};

#define EXPECTED (sizeof(expected) / sizeof(expected[0]))

/* [rfc8613#4.1] [ocp#3] */
static void
table_has_the_rows_of_the_specifications(void **state)
{
    static const char formats[] = { [OSP_FMT_EMPTY] = 'e', [OSP_FMT_UINT] = 'u', [OSP_FMT_STRING] = 's',
                                    [OSP_FMT_OPAQUE] = 'o' };
    static const char *const classes[] = { [OSP_OPT_CLASS_E] = "E", [OSP_OPT_CLASS_U] = "U", [OSP_OPT_CLASS_I] = "I",
                                           [OSP_OPT_CLASS_E_AND_U] = "EU" };

    (void)state;
    for (size_t i = 0; i < EXPECTED; i++) {
        const struct osp_opt_def *d = osp_opt_def(expected[i].num);

        assert_non_null(d);
        assert_int_equal(d->number, expected[i].num);
        assert_string_equal(d->name, expected[i].name);
        assert_int_equal(formats[d->format], expected[i].format);
        assert_int_equal(d->min_len, expected[i].least);
        assert_int_equal(d->max_len, expected[i].most);
        assert_int_equal(d->repeatable, expected[i].repeatable);
        assert_string_equal(classes[d->oscore], expected[i].oscore);
    }
}

/* [ocp#2.2] [rfc7252#5.6] [rfc9175#3.3] */
static void
table_says_who_reads_an_option_and_what_it_tells_apart(void **state)
{
    static const char *const purposes[] = {
        [OSP_OPT_FOR_ENDPOINTS] = "endpoints", [OSP_OPT_FOR_SERVER] = "server", [OSP_OPT_FOR_RESOURCE] = "resource",
        [OSP_OPT_FOR_PROXY] = "proxy", [OSP_OPT_FOR_HOPS] = "hops", [OSP_OPT_FOR_OPENING] = "opening",
        [OSP_OPT_FOR_LAYER] = "layer",
    };
    static const char *const caches[] = { [OSP_OPT_CACHE_URI] = "uri", [OSP_OPT_CACHE_KEY] = "key",
                                          [OSP_OPT_CACHE_RULES] = "rules", [OSP_OPT_CACHE_NO_KEY] = "no" };

    (void)state;
    for (size_t i = 0; i < EXPECTED; i++) {
        uint16_t n = expected[i].num;

        assert_string_equal(purposes[osp_opt_purpose(n)], expected[i].purpose);
        assert_string_equal(caches[osp_opt_cache(n)], expected[i].cache);
        assert_int_equal(osp_opt_varies(n), expected[i].varies);
        assert_int_equal(osp_opt_is_alone(n), expected[i].alone);
    }
}

/* What the table says in words is what the numbers say. [rfc7252#5.4.6] [rfc9175#3.3] */
static void
table_agrees_with_the_numbers(void **state)
{
    (void)state;
    for (uint32_t i = 0; i <= UINT16_MAX; i++) {
        uint16_t n = (uint16_t)i;

        assert_int_equal(osp_opt_cache(n) == OSP_OPT_CACHE_NO_KEY, osp_opt_is_no_cache_key(n));
        if (osp_opt_is_no_cache_key(n))
            assert_true(osp_opt_varies(n));
        if (osp_opt_def(n))
            continue;
        assert_int_equal(osp_opt_purpose(n), OSP_OPT_FOR_ENDPOINTS);
        assert_int_equal(osp_opt_varies(n), osp_opt_is_no_cache_key(n));
        assert_int_equal(osp_opt_cache(n) == OSP_OPT_CACHE_KEY, !osp_opt_is_no_cache_key(n));
        assert_false(osp_opt_is_alone(n));
    }
}

/* [rfc7252#5.7.1] */
static void
table_has_no_other_row(void **state)
{
    size_t next = 0;

    (void)state;
    for (uint32_t n = 0; n <= UINT16_MAX; n++) {
        if (next < EXPECTED && expected[next].num == n)
            next++;
        else
            assert_null(osp_opt_def((uint16_t)n));
    }
    assert_int_equal(next, EXPECTED);
}

static void
names_are_found_in_any_case_and_only_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < EXPECTED; i++)
        assert_ptr_equal(osp_opt_by_name(str(expected[i].name)), osp_opt_def(expected[i].num));
    assert_int_equal(osp_opt_by_name(str("uRI-pATH"))->number, 11);
    assert_null(osp_opt_by_name(str("Uri-Pat")));
    assert_null(osp_opt_by_name(str("Uri-Paths")));
    assert_null(osp_opt_by_name(str("Q-Block1")));
    assert_null(osp_opt_by_name(str("")));
    assert_null(osp_opt_by_name(OSP_EMPTY));
}

/* [rfc7252#5.4.6] */
static void
properties_follow_from_the_number(void **state)
{
    static const uint16_t no_cache_key[] = { 28, 60, 252, 65020, 65021 };

    (void)state;
    assert_true(osp_opt_is_critical(1) && osp_opt_is_critical(35) && osp_opt_is_critical(65001));
    assert_false(osp_opt_is_critical(4) || osp_opt_is_critical(258));
    assert_true(osp_opt_is_unsafe(3) && osp_opt_is_unsafe(6) && osp_opt_is_unsafe(258) && osp_opt_is_unsafe(19));
    assert_false(osp_opt_is_unsafe(9) || osp_opt_is_unsafe(21) || osp_opt_is_unsafe(292));
    for (size_t i = 0; i < sizeof(no_cache_key) / sizeof(no_cache_key[0]); i++)
        assert_true(osp_opt_is_no_cache_key(no_cache_key[i]));
    assert_false(osp_opt_is_no_cache_key(4) || osp_opt_is_no_cache_key(292) || osp_opt_is_no_cache_key(12));
    assert_false(osp_opt_is_no_cache_key(30) || osp_opt_is_no_cache_key(548));
}

/* ---- uint ---- */

/* [rfc7252#3.2] */
static void
uint_takes_leading_zeroes_and_refuses_five_bytes(void **state)
{
    uint32_t v = 7;

    (void)state;
    assert_true(osp_opt_uint(OSP_EMPTY, &v));
    assert_int_equal(v, 0);
    assert_true(osp_opt_uint(osp_slice("\0\x33", 2), &v));
    assert_int_equal(v, 0x33);
    assert_true(osp_opt_uint(osp_slice("\xff\xff\xff\xff", 4), &v));
    assert_true(v == UINT32_MAX);
    v = 7;
    assert_false(osp_opt_uint(osp_slice("\0\0\0\0\1", 5), &v));
    assert_int_equal(v, 7);
}

/* [rfc7252#3.2] */
static void
uint_is_made_in_its_shortest_form(void **state)
{
    static const struct { uint32_t v; size_t n; } cases[] = {
        { 0, 0 }, { 1, 1 }, { 255, 1 }, { 256, 2 }, { 65535, 2 }, { 65536, 3 }, { 0xffffff, 3 }, { 0x1000000, 4 },
        { UINT32_MAX, 4 },
    };
    uint8_t  buf[4];
    uint32_t v;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct osp_slice s = osp_opt_uint_make(cases[i].v, buf);

        assert_int_equal(s.n, cases[i].n);
        assert_true(osp_opt_uint(s, &v));
        assert_true(v == cases[i].v);
    }
}

/* ---- order of notifications ---- */

/* [rfc7641#3.4] */
static void
observe_values_are_ordered_around_their_end_and_for_128_seconds(void **state)
{
    static const struct { uint32_t last, v; bool newer; } cases[] = {
        { 5, 6, true }, { 6, 5, false }, { 5, 5, false }, { 0, 0x7fffff, true }, { 0, 0x800000, false },
        { 0x800000, 0, false }, { 0x800001, 0, true }, { 0xffffff, 0, true }, { 0, 0xffffff, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(osp_observe_is_newer(cases[i].last, cases[i].v, 0), cases[i].newer);
        assert_int_equal(osp_observe_is_newer(cases[i].last, cases[i].v, 128000000), cases[i].newer);
        assert_true(osp_observe_is_newer(cases[i].last, cases[i].v, 128000001));
    }
}

/* ---- sanitize ---- */

/* row P13 (partly: the rule) */
/* [rfc7252#5.4.3] */
static void
sanitize_judges_every_length_of_every_row(void **state)
{
    static const uint8_t zeroes[1100];
    uint16_t             which;

    (void)state;
    for (size_t i = 0; i < EXPECTED; i++) {
        for (size_t n = 0; n <= sizeof(zeroes); n++) {
            bool fits = n >= expected[i].least && n <= expected[i].most;
            bool critical = expected[i].num & 1;

            osp_msg_init(&m, OSP_GET);
            EXPECT_OK(osp_msg_add(&m, expected[i].num, osp_slice(zeroes, n)));
            which = 0;
            EXPECT_ERR(!fits && critical ? OSP_E_UNKNOWN_OPTION : OSP_OK, osp_msg_sanitize(&m, &which));
            assert_int_equal(m.opt_count, fits || critical ? 1 : 0);
            assert_int_equal(which, !fits && critical ? expected[i].num : 0);
        }
    }
}

/* row P12 (partly: the rule) */
/* [rfc7252#5.4.5] */
static void
sanitize_keeps_the_first_of_what_may_not_come_twice(void **state)
{
    uint16_t which;

    (void)state;
    for (size_t i = 0; i < EXPECTED; i++) {
        bool critical = expected[i].num & 1;
        char one[2] = { expected[i].most == 0 ? '\0' : '1', '\0' };

        osp_msg_init(&m, OSP_GET);
        add(expected[i].num, one);
        add(expected[i].num, one[0] ? "2" : "");
        add(expected[i].num, one);
        if (expected[i].repeatable) {
            EXPECT_OK(osp_msg_sanitize(&m, &which));
            assert_int_equal(m.opt_count, 3);
        } else if (critical) {
            EXPECT_ERR(OSP_E_UNKNOWN_OPTION, osp_msg_sanitize(&m, &which));
            assert_int_equal(which, expected[i].num);
        } else {
            EXPECT_OK(osp_msg_sanitize(&m, &which));
            assert_int_equal(m.opt_count, 1);
            EXPECT_BYTES(str(one), m.opts[0].val);
        }
    }
}

/* [rfc7252#5.4.5] */
static void
sanitize_counts_an_occurrence_it_refused(void **state)
{
    uint16_t which;

    (void)state;
    osp_msg_init(&m, OSP_GET);
    add(OSP_OPT_CONTENT_FORMAT, "333");     /* too long */
    add(OSP_OPT_CONTENT_FORMAT, "2");       /* supernumerary, though well-formed */
    add(OSP_OPT_SIZE1, "1");
    EXPECT_OK(osp_msg_sanitize(&m, &which));
    assert_int_equal(m.opt_count, 1);
    assert_int_equal(m.opts[0].num, OSP_OPT_SIZE1);
}

static void
sanitize_removes_in_the_middle_and_keeps_the_order(void **state)
{
    uint16_t which;

    (void)state;
    osp_msg_init(&m, OSP_GET);
    add(OSP_OPT_ETAG, "");
    add(OSP_OPT_ETAG, "a");
    add(OSP_OPT_ETAG, "");
    add(OSP_OPT_ETAG, "b");
    add(OSP_OPT_URI_PATH, "p");
    add(OSP_OPT_SIZE2, "12345");
    add(65000, "x");
    EXPECT_OK(osp_msg_sanitize(&m, &which));
    assert_int_equal(m.opt_count, 4);
    EXPECT_BYTES(str("a"), m.opts[0].val);
    EXPECT_BYTES(str("b"), m.opts[1].val);
    EXPECT_BYTES(str("p"), m.opts[2].val);
    EXPECT_BYTES(str("x"), m.opts[3].val);
}

static void
sanitize_changes_nothing_when_it_refuses(void **state)
{
    uint16_t which = 0;

    (void)state;
    osp_msg_init(&m, OSP_GET);
    add(OSP_OPT_ETAG, "123456789");
    add(OSP_OPT_URI_PORT, "123");
    add(OSP_OPT_ACCEPT, "123");
    EXPECT_ERR(OSP_E_UNKNOWN_OPTION, osp_msg_sanitize(&m, &which));
    assert_int_equal(which, OSP_OPT_URI_PORT);
    assert_int_equal(m.opt_count, 3);
    assert_int_equal(m.opts[0].num, OSP_OPT_ETAG);
}

static void
sanitize_leaves_unknown_options_alone(void **state)
{
    uint16_t which = 0;

    (void)state;
    osp_msg_init(&m, OSP_GET);
    add(OSP_OPT_Q_BLOCK1, "1234567890");
    add(65001, "");
    add(65001, "");
    add(65003, "x");
    EXPECT_OK(osp_msg_sanitize(&m, &which));
    assert_int_equal(m.opt_count, 4);
}

/* row H03 (partly: a bad Hop-Limit survives to be answered) */
/* [rfc8768#3] [rfc9668#3.1] */
static void
sanitize_leaves_hop_limit_and_edhoc_to_their_own_rules(void **state)
{
    uint16_t which = 0;

    (void)state;
    osp_msg_init(&m, OSP_GET);
    add(OSP_OPT_HOP_LIMIT, "\x01\x01");
    add(OSP_OPT_EDHOC, "ignored");
    EXPECT_OK(osp_msg_sanitize(&m, &which));
    assert_int_equal(m.opt_count, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_has_the_rows_of_the_specifications),
        cmocka_unit_test(table_says_who_reads_an_option_and_what_it_tells_apart),
        cmocka_unit_test(table_agrees_with_the_numbers),
        cmocka_unit_test(table_has_no_other_row),
        cmocka_unit_test(names_are_found_in_any_case_and_only_whole),
        cmocka_unit_test(properties_follow_from_the_number),
        cmocka_unit_test(uint_takes_leading_zeroes_and_refuses_five_bytes),
        cmocka_unit_test(uint_is_made_in_its_shortest_form),
        cmocka_unit_test(observe_values_are_ordered_around_their_end_and_for_128_seconds),
        cmocka_unit_test(sanitize_judges_every_length_of_every_row),
        cmocka_unit_test(sanitize_keeps_the_first_of_what_may_not_come_twice),
        cmocka_unit_test(sanitize_counts_an_occurrence_it_refused),
        cmocka_unit_test(sanitize_removes_in_the_middle_and_keeps_the_order),
        cmocka_unit_test(sanitize_changes_nothing_when_it_refuses),
        cmocka_unit_test(sanitize_leaves_unknown_options_alone),
        cmocka_unit_test(sanitize_leaves_hop_limit_and_edhoc_to_their_own_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
