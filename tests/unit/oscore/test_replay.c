/* SPDX-License-Identifier: BSD-2-Clause */
/* The replay window by itself: what it accepts, refuses, and never accepts again. */
#include "tests/unit/unit.h"

#include "oscore/context.h"
#include "oscore/replay.h"

static bool
same(const struct osp_replay *a, const struct osp_replay *b)
{
    return a->next == b->next && a->seen == b->seen;
}

/* Asks and commits, and checks that both agree and that a refusal leaves the window as it was. */
static bool
offer(struct osp_replay *w, uint64_t piv)
{
    struct osp_replay before = *w;
    bool              fresh = osp_replay_is_fresh(w, piv);

    assert_true(same(&before, w));
    EXPECT_ERR(fresh ? OSP_OK : OSP_E_REPLAY, osp_replay_commit(w, piv));
    if (!fresh)
        assert_true(same(&before, w));
    else
        assert_false(osp_replay_is_fresh(w, piv));
    return fresh;
}

/* row S05 */
/* [rfc8613#3.2.2] [rfc8613#7.4] */
static void
replay_accepts_older_unseen_and_refuses_too_old(void **state)
{
    struct osp_replay w = { 0 };

    (void)state;
    assert_true(offer(&w, 40));
    assert_true(offer(&w, 20));
    assert_true(offer(&w, 39));
    assert_false(offer(&w, 5));
    assert_true(offer(&w, 9));          /* the last one inside */
    assert_false(offer(&w, 8));
    assert_false(offer(&w, 40));
    assert_false(offer(&w, 20));
}

static void
replay_refuses_a_piv_twice(void **state)
{
    static const uint64_t pivs[] = { 0, 1, 31, 32, 33, 63, 64, 65, 1000, OSP_PIV_MAX - 1, OSP_PIV_MAX };

    (void)state;
    for (size_t i = 0; i < sizeof(pivs) / sizeof(pivs[0]); i++) {
        struct osp_replay w = { 0 };

        assert_true(offer(&w, pivs[i]));
        assert_false(offer(&w, pivs[i]));
    }
}

static void
replay_zero_can_come_first_or_late(void **state)
{
    struct osp_replay w = { 0 };

    (void)state;
    assert_true(offer(&w, 0));
    assert_true(offer(&w, 1));
    assert_false(offer(&w, 0));
    w = (struct osp_replay){ 0 };
    assert_true(offer(&w, OSP_REPLAY_SIZE - 1));
    assert_true(offer(&w, 0));
    w = (struct osp_replay){ 0 };
    assert_true(offer(&w, OSP_REPLAY_SIZE));
    assert_false(offer(&w, 0));
}

/* A shift by the width of the word or more must neither keep nor invent a bit. */
static void
replay_jumps_of_every_width_forget_exactly_what_left_the_window(void **state)
{
    (void)state;
    for (uint64_t jump = 1; jump < 70; jump++) {
        struct osp_replay w = { 0 };
        uint64_t          top = 100 + jump;

        for (uint64_t piv = 69; piv <= 100; piv += 2)           /* every other one */
            assert_true(offer(&w, piv));
        if (w.next != 100)                                      /* 69, 71 .. 99 */
            fail_msg("the window ends at %d", (int)w.next);
        assert_true(offer(&w, top));
        for (uint64_t piv = 60; piv < top; piv++) {
            bool inside = top - piv < OSP_REPLAY_SIZE;
            bool seen = piv >= 69 && piv <= 99 && piv % 2 == 1;

            assert_int_equal(osp_replay_is_fresh(&w, piv), inside && !seen);
        }
    }
}

static void
replay_jump_to_the_end_of_the_numbers_works(void **state)
{
    struct osp_replay w = { 0 };

    (void)state;
    assert_true(offer(&w, 0));
    assert_true(offer(&w, OSP_PIV_MAX));
    assert_false(offer(&w, 0));
    assert_false(offer(&w, OSP_PIV_MAX - OSP_REPLAY_SIZE));
    assert_true(offer(&w, OSP_PIV_MAX - OSP_REPLAY_SIZE + 1));
    assert_true(offer(&w, OSP_PIV_MAX - 1));
    assert_false(offer(&w, OSP_PIV_MAX));
}

/* [rfc8613#B.1.2] */
static void
replay_started_at_a_piv_refuses_it_and_all_before(void **state)
{
    static const uint64_t starts[] = { 0, 1, 21, 31, 32, 100, OSP_PIV_MAX - 1 };

    (void)state;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        struct osp_replay w = { 7, 0x55 };

        osp_replay_start_at(&w, starts[i]);
        for (uint64_t back = 0; back < 70 && back <= starts[i]; back++)
            assert_false(offer(&w, starts[i] - back));
        assert_true(offer(&w, starts[i] + 1));
        for (uint64_t back = 0; back < 70 && back <= starts[i]; back++)
            assert_false(offer(&w, starts[i] - back));
    }
}

/* A window that is saved and loaded keeps its promises. */
static void
replay_copy_refuses_what_the_original_saw(void **state)
{
    struct osp_replay w = { 0 }, copy;
    uint32_t          s = 3;

    (void)state;
    for (int i = 0; i < 200; i++) {
        s = s * 1664525u + 1013904223u;
        (void)offer(&w, (uint64_t)i + (s >> 16) % 20);
    }
    copy = w;
    for (uint64_t piv = 0; piv < w.next + 40; piv++)
        assert_int_equal(osp_replay_is_fresh(&w, piv), osp_replay_is_fresh(&copy, piv));
}

/* Against a set that remembers everything: what the window accepts is never accepted twice. */
static void
replay_agrees_with_a_set(void **state)
{
    enum { N = 4096 };
    static bool       seen[N];
    struct osp_replay w = { 0 };
    uint32_t          s = 7, top = 0;
    bool              any = false;

    (void)state;
    while (top < N - 100) {
        uint32_t piv, reach;
        bool     want;

        s = s * 1664525u + 1013904223u;
        reach = (s >> 8 & 63) == 0 ? 90 : 50;                   /* now and then beyond the window */
        piv = top + (s >> 16) % reach;
        piv = piv > 45 ? piv - 45 : 0;
        want = !seen[piv] && (!any || piv > top || top - piv < OSP_REPLAY_SIZE);
        assert_int_equal(offer(&w, piv), want);
        if (want) {
            seen[piv] = any = true;
            top = piv > top ? piv : top;
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay_accepts_older_unseen_and_refuses_too_old),
        cmocka_unit_test(replay_refuses_a_piv_twice),
        cmocka_unit_test(replay_zero_can_come_first_or_late),
        cmocka_unit_test(replay_jumps_of_every_width_forget_exactly_what_left_the_window),
        cmocka_unit_test(replay_jump_to_the_end_of_the_numbers_works),
        cmocka_unit_test(replay_started_at_a_piv_refuses_it_and_all_before),
        cmocka_unit_test(replay_copy_refuses_what_the_original_saw),
        cmocka_unit_test(replay_agrees_with_a_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
