/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of addresses that are replaced while others ask. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/addrset.h"

static struct osp_addrset *set;

static int
setup(void **state)
{
    (void)state;
    EXPECT_OK(osp_addrset_new(&set));
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    osp_addrset_free(set);
    return 0;
}

static void
addrset_has_what_it_was_given_last(void **state)
{
    struct osp_ip       a[] = { osp_ip_v4(192, 0, 2, 9), osp_ip_v4(10, 0, 0, 1), osp_ip_v4(192, 0, 2, 9), { { 0x20, 1 } } };
    struct osp_addrview v = { 0 }, none = { 0 };
    size_t              added, removed;

    (void)state;
    assert_false(osp_addrview_has(&none, NULL, &a[0]));
    assert_false(osp_addrview_has(&v, set, &a[0]));
    EXPECT_OK(osp_addrset_replace(set, a, 4, &added, &removed));
    assert_int_equal(added, 3);
    assert_int_equal(removed, 0);
    assert_int_equal(osp_addrset_count(set), 3);
    for (size_t i = 0; i < 4; i++)
        assert_true(osp_addrview_has(&v, set, &a[i]));
    EXPECT_OK(osp_addrset_replace(set, a, 4, &added, &removed));
    assert_int_equal(added + removed, 0);
    EXPECT_OK(osp_addrset_replace(set, &a[1], 1, &added, &removed));
    assert_int_equal(added, 0);
    assert_int_equal(removed, 2);
    assert_false(osp_addrview_has(&v, set, &a[0]));
    assert_true(osp_addrview_has(&v, set, &a[1]));
    EXPECT_OK(osp_addrset_replace(set, NULL, 0, &added, &removed));
    assert_false(osp_addrview_has(&v, set, &a[1]));
    osp_addrview_fini(&v);
    osp_addrview_fini(&none);
}

static atomic_bool over;

/* 10.0.0.1 is always in the set, 10.0.0.0 never; how many there are changes all the time. */
static void *
ask(void *arg)
{
    const struct osp_ip in = osp_ip_v4(10, 0, 0, 1), out = osp_ip_v4(10, 0, 0, 0);
    struct osp_addrview v = { 0 };
    size_t             *wrong = arg;

    while (!atomic_load(&over))
        *wrong += (size_t)(!osp_addrview_has(&v, set, &in) || osp_addrview_has(&v, set, &out));
    osp_addrview_fini(&v);
    return NULL;
}

static void
addrset_is_replaced_while_others_ask(void **state)
{
    struct osp_ip ips[64];
    size_t        added, removed, wrong[2] = { 0 };
    pthread_t     threads[2];

    (void)state;
    for (size_t i = 0; i < 64; i++)
        ips[i] = osp_ip_v4(10, 0, 0, (uint8_t)(i + 1));
    EXPECT_OK(osp_addrset_replace(set, ips, 1, &added, &removed));
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &wrong[i]), 0);
    for (size_t i = 0; i < 5000; i++)
        EXPECT_OK(osp_addrset_replace(set, ips, 1 + i * 7 % 64, &added, &removed));
    atomic_store(&over, true);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(wrong[i], 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(addrset_has_what_it_was_given_last, setup, teardown),
        cmocka_unit_test_setup_teardown(addrset_is_replaced_while_others_ask, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
