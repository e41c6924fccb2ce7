/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include "msg/block.h"

static uint8_t body[3000];

static int
setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (uint8_t)(i * 7 + i / 256);
    return 0;
}

/* [rfc7959#2.2] */
static void
value_is_read_and_written_in_its_shortest_form(void **state)
{
    static const struct { uint8_t value[3]; size_t n; struct osp_block b; } v[] = {
        { { 0 }, 0, { 0, false, 0 } },
        { { 0x06 }, 1, { 0, false, 6 } },
        { { 0x0e }, 1, { 0, true, 6 } },
        { { 0x1a }, 1, { 1, true, 2 } },
        { { 0xf8 }, 1, { 15, true, 0 } },
        { { 0x01, 0x06 }, 2, { 16, false, 6 } },
        { { 0xff, 0xfe }, 2, { 4095, true, 6 } },
        { { 0x01, 0x00, 0x05 }, 3, { 4096, false, 5 } },
        { { 0xff, 0xff, 0xfe }, 3, { OSP_BLOCK_NUM_MAX, true, 6 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        struct osp_slice value = osp_slice(v[i].value, v[i].n);
        struct osp_block b = { 99, true, 5 };
        uint8_t          out[3];

        EXPECT_OK(osp_block_parse(value, &b));
        assert_int_equal(b.num, v[i].b.num);
        assert_int_equal(b.more, v[i].b.more);
        assert_int_equal(b.szx, v[i].b.szx);
        EXPECT_BYTES(value, osp_block_make(&b, out));
    }
}

/* row B02 */
static void
szx_7_and_four_bytes_are_refused(void **state)
{
    struct osp_block b = { 99, true, 5 };

    (void)state;
    EXPECT_ERR(OSP_E_BAD_REQUEST, osp_block_parse(osp_slice("\x07", 1), &b));
    EXPECT_ERR(OSP_E_BAD_REQUEST, osp_block_parse(osp_slice("\xff\xff\xff", 3), &b));
    EXPECT_ERR(OSP_E_UNKNOWN_OPTION, osp_block_parse(osp_slice("\0\0\0\x06", 4), &b));
    assert_int_equal(b.num, 99);
    EXPECT_OK(osp_block_parse(osp_slice("\0\0\x06", 3), &b));       /* leading zeroes are fine */
    assert_int_equal(b.szx, 6);
}

static void
message_has_one_block_option_or_none(void **state)
{
    static struct osp_msg m;
    struct osp_block      b = { 99, true, 5 };
    bool                  has = true;

    (void)state;
    osp_msg_init(&m, OSP_PUT);
    EXPECT_OK(osp_block_get(&m, OSP_OPT_BLOCK1, &has, &b));
    assert_false(has);
    assert_int_equal(b.num, 99);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_BLOCK1, osp_slice("\x1a", 1)));
    EXPECT_OK(osp_block_get(&m, OSP_OPT_BLOCK1, &has, &b));
    assert_true(has);
    assert_int_equal(b.num, 1);
    EXPECT_OK(osp_block_get(&m, OSP_OPT_BLOCK2, &has, &b));
    assert_false(has);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_BLOCK1, osp_slice("\x1a", 1)));
    EXPECT_ERR(OSP_E_UNKNOWN_OPTION, osp_block_get(&m, OSP_OPT_BLOCK1, &has, &b));
}

static void
sizes_and_offsets(void **state)
{
    struct osp_block b = { OSP_BLOCK_NUM_MAX, false, 6 }, next;

    (void)state;
    assert_int_equal(osp_block_offset(&b), (size_t)OSP_BLOCK_NUM_MAX * 1024);
    assert_false(osp_block_next(&b, 6, &next));
    assert_int_equal(osp_block_szx_for(0), 0);
    assert_int_equal(osp_block_szx_for(16), 0);
    assert_int_equal(osp_block_szx_for(63), 1);
    assert_int_equal(osp_block_szx_for(64), 2);
    assert_int_equal(osp_block_szx_for(1023), 5);
    assert_int_equal(osp_block_szx_for(70000), 6);
    b = (struct osp_block){ 2, true, 6 };
    assert_true(osp_block_next(&b, 6, &next));
    assert_int_equal(next.num, 3);
    /* [rfc7959#2.4] smaller from now on: 3072 is block 48 of 64 bytes */
    assert_true(osp_block_next(&b, 2, &next));
    assert_int_equal(next.num, 48);
    assert_int_equal(osp_block_offset(&next), 3072);
    b.szx = 2;
    assert_false(osp_block_next(&b, 6, &next));
}

/* Cuts the first `len` bytes with each size and puts them together again. */
static void
check_round_trip(size_t len)
{
    for (uint8_t szx = 0; szx <= OSP_BLOCK_SZX_MAX; szx++) {
        uint8_t          got[sizeof(body)];
        struct osp_wr    w = osp_wr_to(got, sizeof(got));
        struct osp_block at = { 0, false, szx }, b;
        struct osp_slice piece;

        do {
            EXPECT_OK(osp_block_cut(osp_slice(body, len), &at, &b, &piece));
            EXPECT_OK(osp_body_add(&w, &b, piece));
        } while (b.more && osp_block_next(&b, szx, &at));
        EXPECT_BYTES(osp_slice(body, len), osp_wr_slice(&w));
        if (len > 0) {
            assert_true(osp_block_next(&b, szx, &at));
            EXPECT_ERR(OSP_E_BAD_REQUEST, osp_block_cut(osp_slice(body, len), &at, &b, &piece));
        }
    }
}

static void
what_is_cut_goes_together_again(void **state)
{
    static const size_t lens[] = { 0, 1, 15, 16, 17, 1023, 1024, 1025, 2048, 3000 };

    (void)state;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
        check_round_trip(lens[i]);
}

static void
cut_refuses_what_is_behind_the_end(void **state)
{
    struct osp_block b = { OSP_BLOCK_NUM_MAX, true, 6 }, cut = { 9, true, 1 };
    struct osp_slice piece;

    (void)state;
    EXPECT_ERR(OSP_E_BAD_REQUEST, osp_block_cut(osp_slice(body, 3000), &b, &cut, &piece));
    assert_int_equal(cut.num, 9);
    b.num = 1;
    EXPECT_ERR(OSP_E_BAD_REQUEST, osp_block_cut(OSP_EMPTY, &b, &cut, &piece));
}

/* row B05 (partly: the assembler) */
static void
body_has_no_gaps_and_no_second_opinion(void **state)
{
    uint8_t          got[100];
    struct osp_wr    w = osp_wr_to(got, sizeof(got));
    struct osp_block b = { 1, true, 1 };

    (void)state;
    EXPECT_ERR(OSP_E_BODY_GAP, osp_body_add(&w, &b, osp_slice(body, 32)));
    b.num = 0;
    EXPECT_OK(osp_body_add(&w, &b, osp_slice(body, 32)));
    EXPECT_OK(osp_body_add(&w, &b, osp_slice(body, 32)));           /* again */
    assert_int_equal(w.n, 32);
    EXPECT_ERR(OSP_E_BODY_GAP, osp_body_add(&w, &b, osp_slice(&body[1], 32)));
    b.num = 2;
    EXPECT_ERR(OSP_E_BODY_GAP, osp_body_add(&w, &b, osp_slice(&body[64], 32)));
    b.num = 1;
    EXPECT_ERR(OSP_E_BAD_REQUEST, osp_body_add(&w, &b, osp_slice(&body[32], 31)));
    EXPECT_ERR(OSP_E_BAD_REQUEST, osp_body_add(&w, &b, osp_slice(&body[32], 33)));
    b = (struct osp_block){ 2, true, 0 };                           /* smaller blocks from here on */
    EXPECT_OK(osp_body_add(&w, &b, osp_slice(&body[32], 16)));
    b = (struct osp_block){ 3, false, 0 };
    EXPECT_OK(osp_body_add(&w, &b, osp_slice(&body[48], 2)));
    EXPECT_BYTES(osp_slice(body, 50), osp_wr_slice(&w));
    EXPECT_ERR(OSP_E_BODY_GAP, osp_body_add(&w, &b, osp_slice(&body[48], 9)));     /* longer than it was */
}

static void
body_that_is_full_stays_as_it_was(void **state)
{
    uint8_t          got[40];
    struct osp_wr    w = osp_wr_to(got, sizeof(got));
    struct osp_block b = { 0, true, 1 };

    (void)state;
    EXPECT_OK(osp_body_add(&w, &b, osp_slice(body, 32)));
    b.num = 1;
    EXPECT_ERR(OSP_E_NOSPACE, osp_body_add(&w, &b, osp_slice(&body[32], 32)));
    assert_int_equal(w.n, 32);
    assert_false(osp_wr_bad(&w));
    b.more = false;
    EXPECT_OK(osp_body_add(&w, &b, osp_slice(&body[32], 8)));
    EXPECT_BYTES(osp_slice(body, 40), osp_wr_slice(&w));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_is_read_and_written_in_its_shortest_form),
        cmocka_unit_test(szx_7_and_four_bytes_are_refused),
        cmocka_unit_test(message_has_one_block_option_or_none),
        cmocka_unit_test(sizes_and_offsets),
        cmocka_unit_test(what_is_cut_goes_together_again),
        cmocka_unit_test(cut_refuses_what_is_behind_the_end),
        cmocka_unit_test(body_has_no_gaps_and_no_second_opinion),
        cmocka_unit_test(body_that_is_full_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
