/* SPDX-License-Identifier: BSD-2-Clause */
/* State belongs to keys: no edit of the configuration leads back to a number or an empty window. */
#include "tests/unit/daemon/ospreyd/two_contexts.h"

/* How a configuration that was edited comes into force: by a reload, a clean stop or a crash. */
enum { RELOAD, STOP, CRASH, WAYS };

static struct osp_state *
change(struct osp_state *st, int way)
{
    if (way == RELOAD) {
        load(st);
        return st;
    }
    if (way == STOP)
        unit_stop(st);
    else
        osp_state_close(st);
    return start();
}

/* ---- edits ---- */

/* row S08 [rfc8613#7.2.1] */
static void
numbers_go_on_under_another_recipient_id(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        struct osp_state *st = start();
        uint64_t          last = 0;

        for (int i = 0; i < 3; i++)
            last = take(st, ctx(st, 0));
        set_ids(0, 0, 4u + (unsigned)way);
        st = change(st, way);
        assert_true(take(st, ctx(st, 0)) > last);
        unit_stop(st);
    }
}

/* row S09 [rfc8613#7.4] `fresh` stays in the file, and says nothing about a key that was used */
static void
window_goes_on_under_another_sender_id(void **state)
{
    struct osp_replay w = { .next = 9, .seen = 5 };

    (void)state;
    for (int way = 0; way < WAYS; way++) {
        struct osp_state *st = start();
        struct osp_replay now;

        osp_octx_set_window(ctx(st, 0), &w);
        set_ids(0, 4u + (unsigned)way, 1);
        st = change(st, way);
        if (way == STOP)
            assert_true(is_known(ctx(st, 0), &now) && now.next == 9 && now.seen == 5);
        else
            assert_false(is_known(ctx(st, 0), &now));
        unit_stop(st);
    }
}

/* The record of a window is older than the window of a context in use: it must not come back by a second reload. */
static void
window_of_the_last_stop_is_void_once_it_was_loaded(void **state)
{
    struct osp_state *st = start();
    struct osp_replay w = { .next = 9, .seen = 5 }, now;

    (void)state;
    osp_octx_set_window(ctx(st, 0), &w);
    unit_stop(st);
    st = start();
    assert_true(is_known(ctx(st, 0), &now));
    w.next = 20;
    osp_octx_set_window(ctx(st, 0), &w);        /* as if requests had come in since */
    set_ids(0, 4, 1);
    load(st);
    assert_false(is_known(ctx(st, 0), &now));
    set_ids(0, 5, 1);
    load(st);
    assert_false(is_known(ctx(st, 0), &now));
    set_ids(0, 0, 1);           /* back to the first: its window was saved, but others were in use since */
    load(st);
    assert_false(is_known(ctx(st, 0), &now));
    unit_stop(st);
}

/* Two objects of one Sender Key, one of them in exchanges that are not over. */
static void
old_and_new_object_of_a_sender_key_share_no_number(void **state)
{
    struct osp_state *st = start();
    struct osp_octx  *old = ctx(st, 0);
    bool              seen[200] = { false };

    (void)state;
    osp_octx_ref(old);
    for (int i = 0; i < 3; i++)
        seen[take(st, old)] = true;
    set_ids(0, 0, 4);
    load(st);
    for (int i = 0; i < 30; i++) {
        uint64_t n = take(st, ctx(st, 0));

        assert_true(n < 200 && !seen[n]);
        seen[n] = true;
    }
    for (int i = 3; i < BLOCK; i++) {
        uint64_t n = take(st, old);     /* what it had leased is its own */

        assert_true(n < BLOCK && !seen[n]);
        seen[n] = true;
    }
    osp_octx_unref(old);
    unit_stop(st);
    st = start();
    assert_true(take(st, ctx(st, 0)) >= 40);
    unit_stop(st);
}

/* The old object may lease until the workers have switched, when the new one has its first numbers already. */
static void
old_object_that_leases_during_a_reload_shares_no_number(void **state)
{
    struct osp_state  *st = start();
    struct osp_octx   *old = ctx(st, 0), *new;
    struct osp_ctxset *set = NULL;
    bool               seen[200] = { false };

    (void)state;
    osp_octx_ref(old);
    (void)take(st, old);
    set_ids(0, 0, 4);
    EXPECT_OK(osp_state_build(st, &cfg, &set, why));
    EXPECT_OK(osp_state_prepare(st, set, &cfg, why));
    new = set->entries[0].octx;
    for (int i = 1; i < 25; i++) {
        seen[take(st, old)] = true;
        if (i % 8 == 0) {
            uint64_t n = take(st, new);

            assert_true(n < 200 && !seen[n]);
            seen[n] = true;
        }
    }
    osp_state_adopt(st, set);
    for (int i = 0; i < 30; i++) {
        uint64_t n = take(st, new);

        assert_true(n < 200 && !seen[n]);
        seen[n] = true;
    }
    osp_octx_unref(old);
    unit_stop(st);
}

/* row S08 whoever sends under the peer's key repeats the peer's numbers */
static void
swapped_ids_are_refused_now_and_later(void **state)
{
    struct osp_state *st = start();

    (void)state;
    (void)take(st, ctx(st, 0));
    set_ids(0, 1, 0);
    EXPECT_ERR(OSP_E_EXISTS, try_load(st));
    assert_non_null(strstr(why, "context a: its Sender Key was used as a Recipient Key"));
    set_ids(0, 4, 0);
    EXPECT_ERR(OSP_E_EXISTS, try_load(st));
    assert_non_null(strstr(why, "context a: its Recipient Key was used as a Sender Key"));
    set_ids(0, 4, 5);           /* the context is gone for a while */
    load(st);
    unit_stop(st);
    st = start();
    set_ids(0, 1, 4);
    EXPECT_ERR(OSP_E_EXISTS, try_load(st));
    set_ids(0, 0, 1);           /* put right: nothing of what was refused is remembered */
    load(st);
    assert_true(take(st, ctx(st, 0)) >= 1);
    unit_stop(st);
}

static void
keys_of_two_contexts_the_other_way_round_are_refused(void **state)
{
    struct osp_state *st = NULL;

    (void)state;
    set_ids(1, 1, 4);
    cfg.context_count = 2;
    EXPECT_OK(osp_state_open(&cfg, &st, why));
    EXPECT_ERR(OSP_E_EXISTS, try_load(st));
    osp_state_close(st);
}

/* row S09 */
static void
fresh_counts_once_for_each_key(void **state)
{
    struct osp_state *st = start();
    struct osp_replay w;

    (void)state;
    assert_true(is_known(ctx(st, 0), &w));
    set_ids(0, 0, 4);
    load(st);
    assert_true(is_known(ctx(st, 0), &w));      /* another Recipient Key, never used */
    set_ids(0, 0, 1);
    osp_state_close(st);
    st = start();
    assert_false(is_known(ctx(st, 0), &w));
    unit_stop(st);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(numbers_go_on_under_another_recipient_id),
        T(window_goes_on_under_another_sender_id),
        T(window_of_the_last_stop_is_void_once_it_was_loaded),
        T(old_and_new_object_of_a_sender_key_share_no_number),
        T(old_object_that_leases_during_a_reload_shares_no_number),
        T(swapped_ids_are_refused_now_and_later),
        T(keys_of_two_contexts_the_other_way_round_are_refused),
        T(fresh_counts_once_for_each_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
