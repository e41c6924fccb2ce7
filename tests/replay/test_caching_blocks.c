/* SPDX-License-Identifier: BSD-2-Clause */
/* Representations of several blocks and the cache, in virtual time [rfc7959#2.10]. */
#include "caching_world.h"

#include "msg/block.h"

/* ---- [rfc7959#2.10] large representations ---- */

#define LARGE 300

static uint8_t large[LARGE];

/* The origin has `large` (from byte `from`) under `etag` (NULL: none) and answers with this block of it. */
static void
origin_has(const char *etag, size_t from, uint32_t num, uint8_t szx, int age)
{
    static uint8_t   value[3];
    struct osp_block at = { num, false, szx }, b;
    struct osp_slice piece;

    for (size_t i = 0; i < LARGE; i++)
        large[i] = (uint8_t)(i * 7 + from);
    origin_says(OSP_CODE(2, 5), "", age);
    EXPECT_OK(osp_block_cut(osp_slice(large, LARGE), &at, &b, &piece));
    if (etag)
        add(&reply, OSP_OPT_ETAG, etag);
    EXPECT_OK(osp_msg_add(&reply, OSP_OPT_BLOCK2, osp_block_make(&b, value)));
    reply.payload = piece;
}

static struct osp_msg *
get_block(uint8_t host, uint32_t num, uint8_t szx, struct osp_msg *a)
{
    struct osp_block b = { num, false, szx };
    uint8_t          value[3];
    struct osp_msg   m;

    cacheable(&m, OSP_GET, "large");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_BLOCK2, osp_block_make(&b, value)));
    return exchange_from(host, &m, a);
}

/* All of it, through the proxy, in blocks of `szx`, if need be from an origin whose ETag is `etag`. */
static void
get_all(uint8_t host, const char *etag, uint8_t szx, int age)
{
    uint8_t          got[LARGE + 64];
    struct osp_wr    w_got = osp_wr_to(got, sizeof(got));
    struct osp_block b = { 0 };
    bool             has = false;
    struct osp_msg   a;

    for (uint32_t n = 0;; n++) {
        origin_has(etag, 1, n, szx, age);
        get_block(host, n, szx, &a);
        assert_int_equal(a.code, OSP_CODE(2, 5));
        EXPECT_OK(osp_block_get(&a, OSP_OPT_BLOCK2, &has, &b));
        assert_true(has);
        assert_int_equal(b.num, n);
        assert_int_equal(b.szx, szx);
        EXPECT_OK(osp_body_add(&w_got, &b, a.payload));
        if (!b.more)
            break;
    }
    EXPECT_BYTES(osp_slice(large, LARGE), osp_wr_slice(&w_got));
}

/* row B06 */
static void
blocks_that_pass_by_become_one_entry(void **state)
{
    struct osp_msg   m, a;
    struct osp_block b = { 0 };
    uint32_t         v = 0;
    bool             has = false;

    (void)state;
    get_all(1, "v1", 2, -1);
    assert_int_equal(asked, 5);
    for (uint8_t szx = 0; szx <= 6; szx++)
        get_all((uint8_t)(2 + szx), "v9", szx, -1);
    assert_int_equal(asked, 5);
    exchange(cacheable(&m, OSP_GET, "large"), &a);        /* who names no size gets the origin's */
    EXPECT_OK(osp_block_get(&a, OSP_OPT_BLOCK2, &has, &b));
    assert_true(has && b.num == 0 && b.more && b.szx == 2);
    EXPECT_BYTES(osp_slice(large, 64), a.payload);
    EXPECT_BYTES(osp_slice_str("v1"), osp_msg_get(&a, OSP_OPT_ETAG)->val);
    assert_true(osp_opt_uint(osp_msg_get(&a, OSP_OPT_SIZE2)->val, &v));
    assert_int_equal(v, LARGE);
    get_block(2, 5, 2, &a);                 /* behind its end */
    assert_int_equal(a.code, OSP_CODE(4, 0));
    cacheable(&m, OSP_GET, "large");
    add(&m, OSP_OPT_ETAG, "v1");
    exchange(&m, &a);
    assert_int_equal(a.code, OSP_CODE(2, 3));
    assert_int_equal(asked, 5);
}

/* What a 2.03 to it would be about is not what the client asked for. */
static void
later_block_of_a_stale_entry_is_not_validated(void **state)
{
    struct osp_msg a;

    (void)state;
    get_all(1, "v1", 2, 10);
    world_run(&w, OSP_SEC(20));
    origin_has("v1", 1, 3, 2, 10);
    get_block(2, 3, 2, &a);
    assert_false(osp_msg_has(&at_origin, OSP_OPT_ETAG));
    origin_has("v1", 1, 0, 2, 10);
    get_block(2, 0, 2, &a);
    assert_true(osp_msg_has(&at_origin, OSP_OPT_ETAG));
}

/* A part is no answer to others, and they are none to it. */
static void
blocks_wait_for_nobody(void **state)
{
    struct osp_msg   m, a;
    struct osp_block b = { 0, false, 2 };
    uint8_t          value[3];

    (void)state;
    w.policy.single_flight = true;
    for (int stale = 0; stale < 2; stale++) {
        for (uint8_t i = 0; i < 3; i++) {
            cacheable(&m, OSP_GET, "large");
            if (i > 0)
                EXPECT_OK(osp_msg_add(&m, OSP_OPT_BLOCK2, osp_block_make(&b, value)));
            send_bytes(&m, (uint8_t)(10 * stale + i + 1));
            assert_int_equal(0, take_next(&a).to.sock);
        }
        world_run(&w, OSP_SEC(300));
        w.out_count = 0;
        origin_has("v1", 1, 0, 6, 10);
        osp_msg_remove(&reply, OSP_OPT_BLOCK2);
        exchange(cacheable(&m, OSP_GET, "large"), &a);
        world_run(&w, OSP_SEC(20));
    }
}

/* row B06 */
/* [rfc7959#2.4] */
static void
blocks_of_two_versions_are_no_entry(void **state)
{
    static const char *const etags[][5] = {
        { "v1", "v2", "v2", "v2", "v2" }, { "v1", "v1", "v1", "v1", "v2" }, { "v1", "v1", NULL, "v1", "v1" },
    };
    struct osp_msg a;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint64_t before;

        for (uint32_t n = 0; n < 5; n++) {
            origin_has(etags[i][n], 1, n, 2, -1);
            get_block(1, n, 2, &a);
        }
        before = asked;
        origin_has("v3", 1, 0, 2, 0);
        get_block(2, 0, 2, &a);
        assert_int_equal(asked, before + 1);
        EXPECT_BYTES(osp_slice_str("v3"), osp_msg_get(&a, OSP_OPT_ETAG)->val);
    }
}

static void
blocks_out_of_order_or_without_an_etag_are_no_entry(void **state)
{
    struct osp_msg a;
    uint64_t       before;

    (void)state;
    get_all(1, NULL, 2, -1);
    get_all(1, NULL, 2, -1);
    assert_int_equal(asked, 10);
    origin_has("v1", 1, 0, 2, -1);
    get_block(1, 0, 2, &a);
    for (uint32_t n = 2; n < 5; n++) {      /* block 1 is missing */
        origin_has("v1", 1, n, 2, -1);
        get_block(1, n, 2, &a);
    }
    before = asked;
    origin_has("v1", 1, 4, 2, -1);
    get_block(2, 4, 2, &a);
    assert_int_equal(asked, before + 1);
}

static void
error_about_a_block_is_no_entry(void **state)
{
    struct osp_msg a;

    (void)state;
    origin_says(OSP_CODE(4, 0), "no such block", -1);
    get_block(1, 9, 2, &a);
    assert_int_equal(a.code, OSP_CODE(4, 0));
    get_all(2, "v1", 2, -1);
    assert_int_equal(asked, 6);
}

static void
entry_in_blocks_is_as_fresh_as_the_shortest_of_them(void **state)
{
    struct osp_msg a;

    (void)state;
    for (uint32_t n = 0; n < 5; n++) {
        origin_has("v1", 1, n, 2, n == 2 ? 10 : 100);
        get_block(1, n, 2, &a);
        world_run(&w, OSP_SEC(1));
    }
    get_block(2, 0, 2, &a);                 /* its tenth second ends 7 s from now */
    assert_int_equal(asked, 5);
    assert_int_equal(max_age(&a), 7);
    world_run(&w, OSP_SEC(8));
    origin_says(OSP_CODE(2, 3), "", 50);    /* stale: validated, and given out in blocks again */
    add(&reply, OSP_OPT_ETAG, "v1");
    get_block(3, 0, 2, &a);
    assert_int_equal(a.code, OSP_CODE(2, 5));
    EXPECT_BYTES(osp_slice(large, 64), a.payload);
    EXPECT_BYTES(osp_slice_str("v1"), osp_msg_get(&at_origin, OSP_OPT_ETAG)->val);
    get_block(3, 1, 2, &a);
    EXPECT_BYTES(osp_slice(&large[64], 64), a.payload);
    assert_int_equal(asked, 6);
}

/* An entry that came whole is given out in blocks to those who ask, if its ETag says that they belong together. */
static void
whole_entry_is_given_out_in_blocks(void **state)
{
    struct osp_msg m, a;

    (void)state;
    origin_has("v1", 1, 0, 6, -1);
    osp_msg_remove(&reply, OSP_OPT_BLOCK2);
    exchange(cacheable(&m, OSP_GET, "large"), &a);
    assert_int_equal(a.payload.n, LARGE);
    get_all(2, "v9", 1, -1);
    exchange(cacheable(&m, OSP_GET, "large"), &a);
    assert_int_equal(a.payload.n, LARGE);
    assert_int_equal(asked, 1);
    world_run(&w, OSP_SEC(4000));
    origin_has(NULL, 1, 0, 6, -1);
    osp_msg_remove(&reply, OSP_OPT_BLOCK2);
    exchange(cacheable(&m, OSP_GET, "large"), &a);
    origin_has(NULL, 1, 0, 1, -1);
    get_block(2, 0, 1, &a);
    assert_int_equal(asked, 3);
}

/* row B10 */
/* A notification in blocks makes what the cache has stale: its later blocks are not taken from an older version. */
static void
later_blocks_of_a_notification_are_its_own(void **state)
{
    struct osp_msg m, a;
    uint64_t       before;

    (void)state;
    get_all(1, "v1", 2, 1000);
    cacheable(&m, OSP_GET, "large");
    add(&m, OSP_OPT_OBSERVE, "");
    origin_has("v2", 2, 0, 2, 1000);
    add(&reply, OSP_OPT_OBSERVE, "\x05");
    exchange_from(2, &m, &a);
    EXPECT_BYTES(osp_slice_str("v2"), osp_msg_get(&a, OSP_OPT_ETAG)->val);
    before = asked;
    for (uint32_t n = 1; n < 5; n++) {
        origin_has("v2", 2, n, 2, 1000);
        get_block(2, n, 2, &a);
        EXPECT_BYTES(osp_slice_str("v2"), osp_msg_get(&a, OSP_OPT_ETAG)->val);
        assert_false(osp_msg_has(&at_origin, OSP_OPT_OBSERVE));
    }
    assert_int_equal(asked, before + 4);
    get_block(3, 2, 2, &a);                 /* and they became the new entry */
    assert_int_equal(asked, before + 4);
    cacheable(&m, OSP_GET, "large");
    add(&m, OSP_OPT_OBSERVE, "\x01");
    exchange_from(2, &m, &a);
    w.out_count = 0;
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, caching_setup, caching_teardown)
    const struct CMUnitTest tests[] = {
        T(blocks_that_pass_by_become_one_entry),
        T(later_block_of_a_stale_entry_is_not_validated),
        T(blocks_wait_for_nobody),
        T(blocks_of_two_versions_are_no_entry),
        T(blocks_out_of_order_or_without_an_etag_are_no_entry),
        T(error_about_a_block_is_no_entry),
        T(entry_in_blocks_is_as_fresh_as_the_shortest_of_them),
        T(whole_entry_is_given_out_in_blocks),
        T(later_blocks_of_a_notification_are_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
