/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers on a hierarchical wheel: setting, stopping and expiring cost O(1).
 *
 * Four levels of 64 slots over ticks of 4 ms: 256 ms, 16 s, 17 min, 18 h.  A timer that is due
 * later waits in the last slot and is set again.  A timer fires at its time or up to one tick late,
 * never early.  The struct is embedded in its owner; the wheel allocates nothing.
 */
#ifndef OSP_BASE_TIMER_H
#define OSP_BASE_TIMER_H

#include "base/list.h"
#include "base/time.h"

#define OSP_WHEEL_LEVELS 4
#define OSP_WHEEL_SLOTS 64
#define OSP_TICK_US 4000u

struct osp_timer {
    struct osp_list link;
    uint64_t        tick;       /* when it is due, in ticks */
    uint8_t         level;      /* private */
    uint8_t         slot;       /* private */
    uint8_t         kind;       /* a number of the owner's choice: what to do */
};

struct osp_wheel {              /* private to timer.c */
    uint64_t        tick;       /* all ticks before this one were handled */
    size_t          count;
    struct osp_list due;
    uint64_t        busy[OSP_WHEEL_LEVELS];     /* a bit per slot that may hold timers */
    struct osp_list slots[OSP_WHEEL_LEVELS][OSP_WHEEL_SLOTS];
};

void osp_wheel_init(struct osp_wheel *w, struct osp_time now);

/* A timer that is not set. */
void osp_timer_init(struct osp_timer *t, uint8_t kind);

/* Sets `t` for `due`; a timer that is set already is moved. */
void osp_timer_set(struct osp_wheel *w, struct osp_timer *t, struct osp_time due);

/* Stops `t`; harmless when it is not set. */
void osp_timer_stop(struct osp_wheel *w, struct osp_timer *t);

static inline bool
osp_timer_is_set(const struct osp_timer *t)
{
    return !osp_list_empty(&t->link);
}

/* Stops and returns the next timer that is due by `now`; NULL: no timer is due. */
struct osp_timer *osp_wheel_pop(struct osp_wheel *w, struct osp_time now);

/*
 * When to call osp_wheel_pop() next.  The time is never later than the earliest timer; it may be
 * earlier, and then osp_wheel_pop() returns NULL and this function is asked again.  False: no timer is set.
 */
bool osp_wheel_deadline(const struct osp_wheel *w, struct osp_time *out);

#endif
