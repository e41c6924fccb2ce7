/* SPDX-License-Identifier: BSD-2-Clause */
/* CBOR: the examples of RFC 8949 appendix A out of the writer and into the reader, and what the reader refuses. */
#include "tests/unit/unit.h"

#include "cbor/enc.h"
#include "cbor/rd.h"

static struct osp_slice
bytes(const char *hex, uint8_t *buf, size_t cap)
{
    size_t n = 0;

    assert_true(osp_hex_decode(osp_slice_str(hex), buf, cap, &n));
    return osp_slice(buf, n);
}

/* [rfc8949#4.2.1] */
static void
integers_take_their_shortest_form_and_come_back(void **state)
{
    static const struct { int64_t v; const char *hex; } cases[] = {
        { 0, "00" }, { 1, "01" }, { 10, "0a" }, { 23, "17" }, { 24, "1818" }, { 25, "1819" }, { 100, "1864" }, { 255, "18ff" },
        { 256, "190100" }, { 1000, "1903e8" }, { 65535, "19ffff" }, { 65536, "1a00010000" }, { 1000000, "1a000f4240" },
        { 4294967295, "1affffffff" }, { 4294967296, "1b0000000100000000" }, { 1000000000000, "1b000000e8d4a51000" },
        { INT64_MAX, "1b7fffffffffffffff" }, { -1, "20" }, { -10, "29" }, { -24, "37" }, { -25, "3818" }, { -100, "3863" },
        { -256, "38ff" }, { -257, "390100" }, { -1000, "3903e7" }, { -65537, "3a00010000" }, { INT64_MIN, "3b7fffffffffffffff" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t         a[16], b[16];
        struct osp_wr   w = osp_wr_to(a, sizeof(a));
        struct osp_cbor c;

        osp_cbor_put_int(&w, cases[i].v);
        EXPECT_BYTES(bytes(cases[i].hex, b, sizeof(b)), osp_wr_slice(&w));
        c = osp_cbor_from(osp_wr_slice(&w));
        assert_int_equal(osp_cbor_peek(&c), cases[i].v < 0 ? OSP_CBOR_NINT : OSP_CBOR_UINT);
        assert_true(osp_cbor_int(&c) == cases[i].v);
        assert_true(osp_cbor_done(&c));
    }
}

static void
items_of_every_kind_come_back(void **state)
{
    uint8_t         long_text[300], a[1024], b[1024];
    struct osp_wr   w = osp_wr_to(a, sizeof(a));
    struct osp_cbor c;

    (void)state;
    memset(long_text, 'x', sizeof(long_text));
    osp_cbor_put_array(&w, 7);
    osp_cbor_put_bstr(&w, OSP_EMPTY);
    osp_cbor_put_bstr(&w, osp_slice("\x01\x02\x03\x04", 4));
    osp_cbor_put_tstr(&w, "IETF");
    osp_cbor_put_bool(&w, true);
    osp_cbor_put_bool(&w, false);
    osp_cbor_put_null(&w);
    osp_cbor_put_map(&w, 1);
    osp_cbor_put_int(&w, 1);
    osp_cbor_put_bstr(&w, osp_slice(long_text, sizeof(long_text)));
    assert_false(osp_wr_bad(&w));
    EXPECT_BYTES(bytes("874044010203046449455446f5f4f6a10159012c", b, sizeof(b)), osp_slice_head(osp_wr_slice(&w), 20));
    c = osp_cbor_from(osp_wr_slice(&w));
    assert_int_equal(osp_cbor_array(&c, 7), 7);
    EXPECT_BYTES(OSP_EMPTY, osp_cbor_bstr(&c));
    EXPECT_BYTES(osp_slice("\x01\x02\x03\x04", 4), osp_cbor_bstr(&c));
    EXPECT_BYTES(osp_slice_str("IETF"), osp_cbor_tstr(&c));
    assert_true(osp_cbor_bool(&c));
    assert_false(osp_cbor_bool(&c));
    osp_cbor_null(&c);
    assert_int_equal(osp_cbor_peek(&c), OSP_CBOR_MAP);
    assert_int_equal(osp_cbor_map(&c, 1), 1);
    assert_int_equal(osp_cbor_int(&c), 1);
    EXPECT_BYTES(osp_slice(long_text, sizeof(long_text)), osp_cbor_bstr(&c));
    assert_true(osp_cbor_done(&c));
    assert_int_equal(osp_cbor_peek(&c), OSP_CBOR_END);
}

/* The writer says that it is full, whatever is cut off. */
static void
writer_latches_when_something_does_not_fit(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < 24; cap++) {
        uint8_t       a[24];
        struct osp_wr w = osp_wr_to(a, cap);

        osp_cbor_put_array(&w, 3);
        osp_cbor_put_tstr(&w, "Encrypt0");
        osp_cbor_put_bstr(&w, osp_slice_str("0123456789"));
        osp_cbor_put_int(&w, -65537);
        assert_int_equal(osp_wr_bad(&w), cap < 1 + 9 + 11 + 5);
    }
}

static bool
bad_int(struct osp_cbor *c)
{
    return osp_cbor_int(c) == 0;
}

static bool
bad_bstr(struct osp_cbor *c)
{
    return osp_cbor_bstr(c).n == 0;
}

static bool
bad_tstr(struct osp_cbor *c)
{
    return osp_cbor_tstr(c).n == 0;
}

static bool
bad_array(struct osp_cbor *c)
{
    return osp_cbor_array(c, 10) == 0;
}

static bool
bad_map(struct osp_cbor *c)
{
    return osp_cbor_map(c, 10) == 0;
}

static bool
bad_bool(struct osp_cbor *c)
{
    (void)osp_cbor_bool(c);
    return true;
}

static bool
bad_null(struct osp_cbor *c)
{
    osp_cbor_null(c);
    return true;
}

static bool
bad_skip(struct osp_cbor *c)
{
    return osp_cbor_skip(c, 4).n == 0;
}

static void
reader_refuses_what_it_was_not_asked_for(void **state)
{
    static const struct { bool (*read)(struct osp_cbor *); const char *hex; } cases[] = {
        { bad_int, "" }, { bad_int, "18" }, { bad_int, "1817" }, { bad_int, "1900ff" }, { bad_int, "1a0000ffff" },
        { bad_int, "1b00000000ffffffff" }, { bad_int, "1b8000000000000000" }, { bad_int, "3b8000000000000000" },
        { bad_int, "1bffffffffffffffff" }, { bad_int, "1c" }, { bad_int, "1f" }, { bad_int, "40" }, { bad_int, "f4" },
        { bad_bstr, "" }, { bad_bstr, "41" }, { bad_bstr, "5801" "aa" }, { bad_bstr, "5f41aaff" }, { bad_bstr, "6161" },
        { bad_bstr, "5bffffffffffffffff" }, { bad_bstr, "5affffffff" }, { bad_bstr, "00" },
        { bad_tstr, "61" }, { bad_tstr, "4161" }, { bad_tstr, "7f6161ff" },
        { bad_array, "8b" }, { bad_array, "9f" }, { bad_array, "9bffffffffffffffff" }, { bad_array, "a0" },
        { bad_map, "ab" }, { bad_map, "bf" }, { bad_map, "80" },
        { bad_bool, "" }, { bad_bool, "f6" }, { bad_bool, "f814" }, { bad_bool, "01" }, { bad_bool, "f7" },
        { bad_bool, "f90014" }, { bad_bool, "fa00000015" }, { bad_bool, "fb0000000000000014" },      /* floats */
        { bad_null, "" }, { bad_null, "f4" }, { bad_null, "f90016" }, { bad_null, "f816" }, { bad_null, "00" },
        { bad_skip, "" }, { bad_skip, "82" "00" }, { bad_skip, "a1" "00" }, { bad_skip, "a1" }, { bad_skip, "c0" },
        { bad_skip, "8181818181" "00" }, { bad_skip, "bbffffffffffffffff00" }, { bad_skip, "9b8000000000000000" },
        { bad_skip, "bb8000000000000000" }, { bad_skip, "ff" }, { bad_skip, "42aa" }, { bad_skip, "c1c1c1c1c100" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t         b[16];
        struct osp_cbor c = osp_cbor_from(bytes(cases[i].hex, b, sizeof(b)));

        if (!cases[i].read(&c) || !osp_cbor_bad(&c) || osp_cbor_done(&c))
            fail_msg("case %zu: %s", i, cases[i].hex);
        assert_int_equal(osp_cbor_peek(&c), OSP_CBOR_END);      /* latched */
        assert_true(osp_cbor_int(&c) == 0);
        assert_int_equal(osp_cbor_bstr(&c).n, 0);
    }
}

static void
skip_takes_exactly_one_item(void **state)
{
    static const char *const items[] = {
        "00", "3903e7", "40", "4401020304", "6161", "80", "83010203", "a10102", "a2016161028101", "c11a514b67b0", "f4", "f6",
        "f8ff", "f93c00", "fa47c35000", "fb3ff199999999999a", "8181818100", "d818456449455446",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        uint8_t          b[32];
        struct osp_slice s = bytes(items[i], b, sizeof(b) - 1), got;
        struct osp_cbor  c;

        b[s.n] = 0x07;
        c = osp_cbor_from(osp_slice(b, s.n + 1));
        got = osp_cbor_skip(&c, 4);
        EXPECT_BYTES(s, got);
        assert_int_equal(osp_cbor_int(&c), 7);
        assert_true(osp_cbor_done(&c));
        for (size_t n = 0; n < s.n; n++) {
            c = osp_cbor_from(osp_slice(b, n));
            assert_int_equal(osp_cbor_skip(&c, 4).n, 0);
            assert_true(osp_cbor_bad(&c));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_take_their_shortest_form_and_come_back),
        cmocka_unit_test(items_of_every_kind_come_back),
        cmocka_unit_test(writer_latches_when_something_does_not_fit),
        cmocka_unit_test(reader_refuses_what_it_was_not_asked_for),
        cmocka_unit_test(skip_takes_exactly_one_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
