/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include "msg/stored.h"

static struct osp_pool pool;

static void
keeps_a_message_without_its_token(void **state)
{
    struct osp_stored s = { 0 };
    struct osp_msg    m, out;

    (void)state;
    osp_msg_init(&m, OSP_POST);
    m.mid = 77;
    m.token = osp_slice_str("token");
    m.payload = osp_slice_str("body");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice_str("a")));
    assert_false(osp_stored_has(&s) || osp_stored_get(&s, &out));
    assert_true(osp_stored_keep(&s, &pool, &m));
    assert_true(osp_stored_has(&s) && osp_stored_get(&s, &out));
    assert_int_equal(out.code, OSP_POST);
    assert_int_equal(out.mid, 77);
    assert_int_equal(out.token.n, 0);
    assert_int_equal(out.opt_count, 1);
    EXPECT_BYTES(osp_slice_str("body"), out.payload);
    osp_stored_release(&s, &pool);
    assert_false(osp_stored_has(&s) || osp_stored_get(&s, &out));
    osp_stored_release(&s, &pool);
}

/* The message that is kept may borrow from the one that is kept so far. */
static void
replaces_what_the_new_message_borrows_from(void **state)
{
    struct osp_stored s = { 0 };
    struct osp_msg    m, out;

    (void)state;
    osp_msg_init(&m, OSP_CODE(2, 5));
    m.payload = osp_slice_str("seven");
    assert_true(osp_stored_keep(&s, &pool, &m));
    for (int i = 0; i < 100; i++) {
        assert_true(osp_stored_get(&s, &out));
        EXPECT_OK(osp_msg_add(&out, OSP_OPT_ETAG, osp_slice_str("e")));
        assert_true(osp_stored_keep(&s, &pool, &out));
    }
    assert_true(osp_stored_get(&s, &out));
    assert_int_equal(osp_msg_count(&out, OSP_OPT_ETAG), 100);
    EXPECT_BYTES(osp_slice_str("seven"), out.payload);
    osp_stored_release(&s, &pool);
}

static void
keeps_what_it_has_when_a_message_is_too_long(void **state)
{
    static const uint8_t long_one[OSP_POOL_BLOCK_MAX];
    struct osp_stored    s = { 0 };
    struct osp_msg       m, out;

    (void)state;
    osp_msg_init(&m, OSP_CODE(2, 5));
    m.payload = osp_slice_str("short");
    assert_true(osp_stored_keep(&s, &pool, &m));
    m.payload = osp_slice(long_one, sizeof(long_one));
    assert_false(osp_stored_keep(&s, &pool, &m));
    assert_true(osp_stored_get(&s, &out));
    EXPECT_BYTES(osp_slice_str("short"), out.payload);
    osp_stored_release(&s, &pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_a_message_without_its_token),
        cmocka_unit_test(replaces_what_the_new_message_borrows_from),
        cmocka_unit_test(keeps_what_it_has_when_a_message_is_too_long),
    };
    int failed;

    osp_pool_init(&pool, 1 << 20);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    osp_pool_fini(&pool);
    return failed;
}
