/* SPDX-License-Identifier: BSD-2-Clause */
/* Block-wise bodies of the demo origin: what belongs together, what is forgotten, and that nothing grows. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "daemon/osprey/origin/bodies.h"

#include "tests/prng.h"

static struct osprey_bodies        b;
static struct osprey_block_request br;
static struct osp_msg              req, reply;
static const struct osp_msg       *whole;
static struct osp_time             now;
static uint8_t                     bytes[4096], values[4][4];
static uint64_t                    seed;

static int
setup(void **state)
{
    (void)state;
    memset(&b, 0, sizeof(b));
    b.max_body = 8192;
    b.szx = 6;
    b.blocks = true;
    now.us = OSP_SEC(100);
    seed = 1;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    osprey_bodies_fini(&b);
    return 0;
}

static void
add_block(uint16_t num, uint32_t n, bool more, uint8_t szx, int slot)
{
    struct osp_block block = { n, more, szx };

    EXPECT_OK(osp_msg_add(&req, num, osp_block_make(&block, values[slot])));
}

/* Takes block `n` of 16 << szx bytes (or `len`, when more) of `bytes`. */
static bool
take(const char *who, uint8_t code, uint32_t n, bool more, uint8_t szx, size_t len)
{
    size_t at = (size_t)n << (szx + 4);

    osp_msg_init(&req, code);
    EXPECT_OK(osp_msg_add(&req, OSP_OPT_URI_PATH, osp_slice_str("x")));
    add_block(OSP_OPT_BLOCK1, n, more, szx, 0);
    req.payload = osp_slice_head(osp_slice_tail(osp_slice(bytes, sizeof(bytes)), at), len);
    return osprey_bodies_take(&b, osp_slice_str(who), &req, now, &br, &whole, &reply);
}

static bool
ask_later(const char *who, uint8_t code, uint32_t n, uint8_t szx)
{
    osp_msg_init(&req, code);
    EXPECT_OK(osp_msg_add(&req, OSP_OPT_URI_PATH, osp_slice_str("x")));
    add_block(OSP_OPT_BLOCK2, n, false, szx, 1);
    return osprey_bodies_take(&b, osp_slice_str(who), &req, now, &br, &whole, &reply);
}

static void
answer(size_t n)
{
    osp_msg_init(&reply, OSP_CODE(2, 4));
    reply.payload = osp_slice(bytes, n);
    osprey_bodies_cut(&b, &br, whole, now, &reply);
}

static struct osp_block
block_of(uint16_t num)
{
    struct osp_block block = { 0 };
    bool             has;

    EXPECT_OK(osp_block_get(&reply, num, &has, &block));
    assert_true(has);
    return block;
}

static size_t
places(void)
{
    size_t n = 0;

    for (size_t i = 0; i < OSPREY_BODIES_MAX; i++)
        n += b.items[i].bytes.p != NULL;
    return n;
}

/* [rfc7959#2.5] */
static void
a_body_comes_together(void **state)
{
    (void)state;
    assert_false(take("a", OSP_PUT, 0, true, 2, 64));
    assert_int_equal(OSP_CODE(2, 31), reply.code);
    assert_true(block_of(OSP_OPT_BLOCK1).more);
    assert_false(take("a", OSP_PUT, 1, true, 2, 64));
    assert_true(take("a", OSP_PUT, 2, false, 2, 5));
    EXPECT_BYTES(osp_slice(bytes, 133), whole->payload);
    assert_false(osp_msg_has(whole, OSP_OPT_BLOCK1));
    answer(0);
    assert_int_equal(2, block_of(OSP_OPT_BLOCK1).num);
    assert_false(take("a", OSP_PUT, 3, false, 2, 5)); /* it is gone */
    assert_int_equal(OSP_CODE(4, 8), reply.code);
    assert_int_equal(0, places());
}

/* Half of a body is worth nothing later than any block of it can come. */
static void
what_nobody_goes_on_with_expires(void **state)
{
    (void)state;
    assert_false(take("a", OSP_PUT, 0, true, 2, 64));
    now.us += OSPREY_BODY_LIFETIME_US - 1;
    assert_false(take("a", OSP_PUT, 1, true, 2, 64));
    assert_int_equal(OSP_CODE(2, 31), reply.code);
    now.us += OSPREY_BODY_LIFETIME_US;
    assert_false(take("a", OSP_PUT, 2, true, 2, 64));
    assert_int_equal(OSP_CODE(4, 8), reply.code);
}

/* [rfc7959#2.9.3] */
static void
a_body_beyond_the_limit_is_refused_at_its_block(void **state)
{
    const struct osp_opt *size;
    uint32_t              v = 0;

    (void)state;
    b.max_body = 100;
    assert_false(take("a", OSP_PUT, 0, true, 2, 64));
    assert_int_equal(OSP_CODE(2, 31), reply.code);
    assert_false(take("a", OSP_PUT, 1, true, 2, 64));
    assert_int_equal(OSP_CODE(4, 13), reply.code);
    size = osp_msg_get(&reply, OSP_OPT_SIZE1);
    assert_true(size && osp_opt_uint(size->val, &v));
    assert_int_equal(100, v);
    assert_int_equal(0, places());
}

static void
an_answer_is_kept_for_whom_it_was_made(void **state)
{
    struct osp_slice etag;

    (void)state;
    assert_true(take("a", OSP_POST, 0, false, 6, 3));
    answer(2500);
    assert_int_equal(1024, reply.payload.n);
    assert_true(block_of(OSP_OPT_BLOCK2).more);
    etag = osp_msg_get(&reply, OSP_OPT_ETAG)->val;
    assert_int_equal(8, etag.n);
    assert_false(ask_later("a", OSP_POST, 4, 5)); /* smaller blocks of it */
    EXPECT_BYTES(osp_slice(&bytes[2048], 452), reply.payload);
    EXPECT_BYTES(etag, osp_msg_get(&reply, OSP_OPT_ETAG)->val);
    assert_false(ask_later("a", OSP_POST, 5, 5));
    assert_int_equal(OSP_CODE(4, 0), reply.code);
    assert_false(ask_later("b", OSP_POST, 1, 5));
    assert_int_equal(OSP_CODE(4, 8), reply.code);
    assert_false(ask_later("a", OSP_PUT, 1, 5));
    assert_int_equal(OSP_CODE(4, 8), reply.code);
    assert_true(ask_later("a", OSP_GET, 1, 5)); /* made again from the request */
}

/* The answer borrows from the body that came; keeping it takes a place, which must not be that one. */
static void
an_answer_out_of_its_own_request_survives_a_full_table(void **state)
{
    char who[8] = "x00";

    (void)state;
    assert_false(take("last", OSP_POST, 0, true, 6, 1024));
    for (char c = 'a'; c < 'a' + OSPREY_BODIES_MAX - 1; c++) {
        who[0] = c;
        assert_false(take(who, OSP_POST, 0, true, 6, 1024));
    }
    assert_int_equal(OSPREY_BODIES_MAX, places());
    assert_true(take("last", OSP_POST, 1, false, 6, 1024));
    osp_msg_init(&reply, OSP_CODE(2, 4));
    reply.payload = whole->payload;
    osprey_bodies_cut(&b, &br, whole, now, &reply);
    EXPECT_BYTES(osp_slice(bytes, 1024), reply.payload);
    assert_false(ask_later("last", OSP_POST, 1, 6));
    EXPECT_BYTES(osp_slice(&bytes[1024], 1024), reply.payload);
}

/* [rfc7959#2.2] */
static void
bad_values_are_refused(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        uint16_t num = which ? OSP_OPT_BLOCK1 : OSP_OPT_BLOCK2;

        osp_msg_init(&req, OSP_GET);
        EXPECT_OK(osp_msg_add(&req, num, osp_slice("\x07", 1)));
        assert_false(osprey_bodies_take(&b, OSP_EMPTY, &req, now, &br, &whole, &reply));
        assert_int_equal(OSP_CODE(4, 0), reply.code);
        osp_msg_init(&req, OSP_GET);
        EXPECT_OK(osp_msg_add(&req, num, osp_slice("\0\0\0\0", 4)));
        assert_false(osprey_bodies_take(&b, OSP_EMPTY, &req, now, &br, &whole, &reply));
        assert_int_equal(OSP_CODE(4, 2), reply.code);
    }
}

static uint32_t
draw(uint32_t below)
{
    return (uint32_t)(prng_next(&seed) >> 33) % below;
}

/* 10^5 blocks of anything, by many: bounded, and what comes together is what one of them sent. */
static void
whatever_comes_is_bounded(void **state)
{
    size_t done = 0, most = 0;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        char    who[2] = { (char)('a' + draw(20)), '\0' };
        uint8_t szx = (uint8_t)draw(3), code = (uint8_t)(OSP_GET + draw(3));
        size_t  size = (size_t)16 << szx, held = 0;
        bool    more = draw(4) > 0;

        now.us += OSP_MS(draw(2000));
        if (draw(4) == 0) {
            if (ask_later(who, code, draw(3), szx))
                answer(draw(3000));
        } else if (take(who, code, draw(draw(3) ? 3 : 70), more, szx, more ? size : draw((uint32_t)size) + 1)) {
            EXPECT_BYTES(osp_slice(bytes, whole->payload.n), whole->payload);
            done++;
            answer(draw(3000));
        }
        for (size_t k = 0; k < OSPREY_BODIES_MAX; k++)
            held += b.items[k].bytes.cap;
        most = held > most ? held : most;
    }
    assert_true(done > 100);
    assert_true(most <= OSPREY_BODIES_MAX * (2 * b.max_body));
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_body_comes_together),
        CASE(what_nobody_goes_on_with_expires),
        CASE(a_body_beyond_the_limit_is_refused_at_its_block),
        CASE(an_answer_is_kept_for_whom_it_was_made),
        CASE(an_answer_out_of_its_own_request_survives_a_full_table),
        CASE(bad_values_are_refused),
        CASE(whatever_comes_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
