/* SPDX-License-Identifier: BSD-2-Clause */
/* The timer wheel against a plain array of due times, over days of virtual time. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "base/timer.h"

#include "tests/prng.h"

#define TIMERS 300

static struct osp_wheel wheel;
static struct osp_timer timers[TIMERS];
static uint64_t         due[TIMERS];            /* the model; UINT64_MAX: not set */
static struct osp_time  now;
static uint64_t         rng = 1;

static uint64_t
next_random(void)
{
    return prng_xorshift64(&rng);
}

static void
start(uint64_t seed, uint64_t at_us)
{
    rng = seed;
    now.us = at_us;
    osp_wheel_init(&wheel, now);
    for (int i = 0; i < TIMERS; i++) {
        osp_timer_init(&timers[i], (uint8_t)i);
        due[i] = UINT64_MAX;
    }
}

/* From the past to two days ahead, every scale equally often. */
static uint64_t
random_delay(void)
{
    static const uint64_t scales[] = { 1, OSP_TICK_US, OSP_MS(256), OSP_SEC(17), OSP_SEC(1050), OSP_SEC(3600 * 19),
                                       OSP_SEC(3600 * 48) };

    return next_random() % (scales[next_random() % 7] + 1);
}

static void
set(int i, uint64_t at_us)
{
    struct osp_time t = { at_us };

    osp_timer_set(&wheel, &timers[i], t);
    due[i] = at_us;
    assert_true(osp_timer_is_set(&timers[i]));
}

/* The tick a due time falls into: the latest time it may fire. */
static uint64_t
latest(uint64_t us)
{
    return (us + OSP_TICK_US - 1) / OSP_TICK_US * OSP_TICK_US;
}

static uint64_t
earliest_needed(void)
{
    uint64_t min = UINT64_MAX;

    for (int i = 0; i < TIMERS; i++)
        if (due[i] != UINT64_MAX && latest(due[i]) < min)
            min = latest(due[i]);
    return min;
}

static size_t
model_count(void)
{
    size_t n = 0;

    for (int i = 0; i < TIMERS; i++) {
        assert_int_equal(osp_timer_is_set(&timers[i]), due[i] != UINT64_MAX);
        n += due[i] != UINT64_MAX;
    }
    return n;
}

/* Pops all that is due: each once, none early, none forgotten.  Returns how many. */
static int
drain(void)
{
    struct osp_timer *t;
    struct osp_time   next;
    int               n = 0;

    while ((t = osp_wheel_pop(&wheel, now)) != NULL) {
        size_t i = (size_t)(t - timers);

        assert_true(due[i] != UINT64_MAX);
        assert_true(due[i] <= now.us);
        assert_false(osp_timer_is_set(t));
        due[i] = UINT64_MAX;
        n++;
    }
    assert_true(earliest_needed() > now.us);
    assert_int_equal(wheel.count, model_count());
    if (model_count() == 0) {
        assert_false(osp_wheel_deadline(&wheel, &next));
    } else {
        assert_true(osp_wheel_deadline(&wheel, &next));
        assert_true(next.us > now.us);                  /* else the caller would spin */
        assert_true(next.us <= earliest_needed());
    }
    return n;
}

static void
touch(int i)
{
    switch (next_random() % 4) {
    case 0:
        osp_timer_stop(&wheel, &timers[i]);
        due[i] = UINT64_MAX;
        break;
    case 1:
        set(i, now.us > 1000000 ? now.us - next_random() % 1000000 : 0);
        break;
    default:
        set(i, now.us + random_delay());
        break;
    }
}

static void
wheel_agrees_with_a_sorted_list_at_random_times(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        start(seed, seed % 2 ? next_random() % OSP_SEC(100000) : (seed << 44) - 1);
        for (int turn = 0; turn < 1500; turn++) {
            for (uint64_t k = next_random() % 6; k > 0; k--)
                touch((int)(next_random() % TIMERS));
            now.us += random_delay();
            drain();
        }
        now.us += OSP_SEC(3600 * 100);
        drain();
        assert_int_equal(model_count(), 0);
    }
}

/* As the daemon does it: sleep until the deadline, never look in between. */
static void
wheel_fires_in_time_when_woken_by_its_deadline(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct osp_time next;
        int             wakes = 0, fired = 0, armed = 0;

        start(seed * 77, next_random() % OSP_SEC(1000));
        for (int i = 0; i < TIMERS; i++, armed++)
            set(i, now.us + random_delay());
        fired = drain();
        while (osp_wheel_deadline(&wheel, &next)) {
            assert_true(next.us <= earliest_needed());
            now = next;
            fired += drain();
            wakes++;
            if (armed < 3000 && next_random() % 2) {
                int i = (int)(next_random() % TIMERS);

                armed += due[i] == UINT64_MAX;
                set(i, now.us + random_delay());
                fired += drain();
            }
        }
        assert_int_equal(fired, armed);
        assert_true(wakes <= armed * 12);       /* a timer is looked at once a level, more beyond the wheel */
    }
}

static void
timer_fires_within_one_tick_and_never_early(void **state)
{
    (void)state;
    for (uint64_t delay = 1; delay < OSP_SEC(3600 * 40); delay = delay * 5 / 4 + 1) {
        start(1, 12345678901);
        set(0, now.us + delay);
        now.us = due[0] - 1;
        assert_null(osp_wheel_pop(&wheel, now));
        now.us = latest(due[0]);
        assert_ptr_equal(osp_wheel_pop(&wheel, now), &timers[0]);
        assert_null(osp_wheel_pop(&wheel, now));
    }
}

static void
what_is_due_already_fires_at_once_and_can_be_stopped(void **state)
{
    (void)state;
    start(1, OSP_SEC(50));
    set(0, OSP_SEC(49));
    set(1, 0);
    set(2, now.us);
    osp_timer_stop(&wheel, &timers[1]);
    osp_timer_stop(&wheel, &timers[1]);
    due[1] = UINT64_MAX;
    assert_int_equal(wheel.count, 2);
    assert_int_equal(drain(), 2);
    set(3, UINT64_MAX - 1);                     /* practically never */
    now.us += OSP_SEC(3600 * 1000);
    assert_null(osp_wheel_pop(&wheel, now));
    assert_true(osp_timer_is_set(&timers[3]));
    osp_timer_stop(&wheel, &timers[3]);
    due[3] = UINT64_MAX;
    assert_int_equal(drain(), 0);
}

/* Else the daemon would wake up for nothing at each retransmission that was stopped in time. */
static void
a_stopped_timer_wakes_nobody(void **state)
{
    struct osp_time next;

    (void)state;
    start(1, OSP_SEC(50));
    for (uint64_t delay = OSP_MS(8); delay < OSP_SEC(3600); delay *= 3) {
        set(0, now.us + OSP_SEC(3600 * 17));
        set(1, now.us + delay);
        osp_timer_stop(&wheel, &timers[1]);
        assert_true(osp_wheel_deadline(&wheel, &next));
        assert_true(next.us > now.us + OSP_SEC(3600 * 8));
        osp_timer_stop(&wheel, &timers[0]);
        assert_false(osp_wheel_deadline(&wheel, &next));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wheel_agrees_with_a_sorted_list_at_random_times),
        cmocka_unit_test(wheel_fires_in_time_when_woken_by_its_deadline),
        cmocka_unit_test(timer_fires_within_one_tick_and_never_early),
        cmocka_unit_test(what_is_due_already_fires_at_once_and_can_be_stopped),
        cmocka_unit_test(a_stopped_timer_wakes_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
