/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/timer.h"

#define SLOT_BITS 6
#define SLOT_MASK (OSP_WHEEL_SLOTS - 1u)

void
osp_wheel_init(struct osp_wheel *w, struct osp_time now)
{
    w->tick = now.us / OSP_TICK_US;
    w->count = 0;
    osp_list_init(&w->due);
    for (int l = 0; l < OSP_WHEEL_LEVELS; l++) {
        w->busy[l] = 0;
        for (int s = 0; s < OSP_WHEEL_SLOTS; s++)
            osp_list_init(&w->slots[l][s]);
    }
}

void
osp_timer_init(struct osp_timer *t, uint8_t kind)
{
    osp_list_init(&t->link);
    t->tick = 0;
    t->level = t->slot = 0;
    t->kind = kind;
}

/*
 * Puts `t` into the slot for its tick, as seen from w->tick.  A level holds timers that are due within
 * its span and outside the spans below; the slot in level l is bits 6l..6l+5 of the tick.
 */
static void
place(struct osp_wheel *w, struct osp_timer *t)
{
    uint64_t tick = t->tick;
    uint64_t span = tick > w->tick ? tick - w->tick : 0;
    unsigned l = 0;

    if (span == 0) {
        t->level = OSP_WHEEL_LEVELS;
        osp_list_push(&w->due, &t->link);
        return;
    }
    while (l < OSP_WHEEL_LEVELS - 1 && span >> (SLOT_BITS * (l + 1)) != 0)
        l++;
    if (span >> (SLOT_BITS * OSP_WHEEL_LEVELS) != 0)    /* beyond the wheel: set again after one turn */
        tick = w->tick + ((uint64_t)SLOT_MASK << (SLOT_BITS * (OSP_WHEEL_LEVELS - 1)));
    t->level = (uint8_t)l;
    t->slot = (uint8_t)(tick >> (SLOT_BITS * l) & SLOT_MASK);
    osp_list_push(&w->slots[l][t->slot], &t->link);
    w->busy[l] |= 1ull << t->slot;
}

void
osp_timer_set(struct osp_wheel *w, struct osp_timer *t, struct osp_time due)
{
    osp_timer_stop(w, t);
    t->tick = due.us / OSP_TICK_US + (due.us % OSP_TICK_US != 0);
    w->count++;
    place(w, t);
}

void
osp_timer_stop(struct osp_wheel *w, struct osp_timer *t)
{
    if (!osp_timer_is_set(t))
        return;
    osp_list_remove(&t->link);
    w->count--;
    if (t->level < OSP_WHEEL_LEVELS && osp_list_empty(&w->slots[t->level][t->slot]))
        w->busy[t->level] &= ~(1ull << t->slot);
}

/* Ticks from `tick` to the next busy slot of level `l`, at the slot's start; 0: none is busy. */
static uint64_t
to_next_slot(const struct osp_wheel *w, unsigned l)
{
    unsigned at = (unsigned)(w->tick >> (SLOT_BITS * l) & SLOT_MASK);
    uint64_t ahead, start;
    unsigned steps;

    if (w->busy[l] == 0)
        return 0;
    /* rotate so that bit 0 is the slot after the current one */
    at = (at + 1) & SLOT_MASK;
    ahead = at ? w->busy[l] >> at | w->busy[l] << (OSP_WHEEL_SLOTS - at) : w->busy[l];
    steps = (unsigned)__builtin_ctzll(ahead) + 1;
    start = ((w->tick >> (SLOT_BITS * l)) + steps) << (SLOT_BITS * l);
    return start - w->tick;
}

/* The nearest tick at which a slot has to be handled.  False: no slot is busy. */
static bool
next_stop(const struct osp_wheel *w, uint64_t *out)
{
    uint64_t best = 0;

    for (unsigned l = 0; l < OSP_WHEEL_LEVELS; l++) {
        uint64_t n = to_next_slot(w, l);
        if (n && (best == 0 || n < best))
            best = n;
    }
    *out = w->tick + best;
    return best != 0;
}

/* Moves the slots that begin at w->tick down, or to the due list. */
static void
cascade(struct osp_wheel *w)
{
    for (unsigned l = OSP_WHEEL_LEVELS; l-- > 0;) {
        unsigned         s = (unsigned)(w->tick >> (SLOT_BITS * l) & SLOT_MASK);
        struct osp_list  moved;
        struct osp_list *n;

        if ((w->tick & ((1ull << (SLOT_BITS * l)) - 1)) != 0 || !(w->busy[l] >> s & 1))
            continue;
        w->busy[l] &= ~(1ull << s);
        osp_list_init(&moved);
        while ((n = osp_list_first(&w->slots[l][s])) != NULL) {
            osp_list_remove(n);
            osp_list_push(&moved, n);
        }
        while ((n = osp_list_first(&moved)) != NULL) {
            osp_list_remove(n);
            place(w, OSP_CONTAINER(n, struct osp_timer, link));
        }
    }
}

struct osp_timer *
osp_wheel_pop(struct osp_wheel *w, struct osp_time now)
{
    uint64_t         end = now.us / OSP_TICK_US;
    struct osp_list *n;
    uint64_t         stop;

    while ((n = osp_list_first(&w->due)) == NULL) {
        if (w->tick >= end)
            return NULL;
        if (!next_stop(w, &stop) || stop > end) {
            w->tick = end;
            return NULL;
        }
        w->tick = stop;
        cascade(w);
    }
    osp_list_remove(n);
    w->count--;
    return OSP_CONTAINER(n, struct osp_timer, link);
}

bool
osp_wheel_deadline(const struct osp_wheel *w, struct osp_time *out)
{
    uint64_t stop = w->tick;

    if (w->count == 0)
        return false;
    if (osp_list_empty(&w->due) && !next_stop(w, &stop))
        return false;
    out->us = stop * OSP_TICK_US;
    return true;
}
