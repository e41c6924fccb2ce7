/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Echo challenges of a context whose replay window is unknown [rfc8613#B.1.2], made so that an attacker cannot make them costly.
 *
 * A request that was recorded before the window was lost verifies, however often it is sent again, and each challenge needs a
 * sequence number of ours and one encryption.  So each Partial IV of the peer gets one number: its challenge is always the same
 * bytes while this file remembers the number, and nothing after that.  A budget limits how many Partial IVs get a number.  Within
 * bounds it is 1/Q_PART of the limit of the Sender Key, and it refills by one a second.
 *
 * When the budget is used up, whoever comes first gets the next number.  The real peer wins that race against recorded requests:
 * its Partial IVs are higher than all recorded ones, and a Partial IV far below the highest one seen gets nothing.
 */
#include <stdlib.h>

#include "oscore/impl.h"

#define REMEMBERED 8            /* challenges that can be repeated */
#define BEHIND 64               /* how far below the highest Partial IV a request may be, since requests overtake each other */
#define Q_PART 64               /* the budget is the limit of the Sender Key divided by this */
#define BUDGET_MIN 16u
#define BUDGET_MAX 4096u
#define REFILL_US OSP_SEC(1)

struct octx_challenges {
    uint64_t        next;       /* 1 + the highest Partial IV seen */
    uint64_t        given;      /* bit i: Partial IV next-1-i got its number */
    uint32_t        budget;     /* Partial IVs that may get a number now */
    struct osp_time refilled;
    struct { uint64_t piv, ssn; } last[REMEMBERED];
    uint32_t        count;      /* numbers given; the newest is last[(count - 1) % REMEMBERED] */
};

static uint32_t
budget_max(const struct osp_octx *c)
{
    uint32_t n = c->limits.q ? c->limits.q / Q_PART : BUDGET_MAX;

    return n < BUDGET_MIN ? BUDGET_MIN : n > BUDGET_MAX ? BUDGET_MAX : n;
}

static void
refill(struct octx_challenges *h, uint32_t max, struct osp_time now)
{
    uint64_t more = osp_time_between(h->refilled, now) / REFILL_US;

    h->refilled = osp_time_after(h->refilled, more * REFILL_US);
    h->budget = more > max || h->budget + more > max ? max : h->budget + (uint32_t)more;
}

static bool
remembers(const struct octx_challenges *h, uint64_t piv, uint64_t *ssn)
{
    for (uint32_t i = 0; i < REMEMBERED && i < h->count; i++) {
        if (h->last[i].piv != piv)
            continue;
        *ssn = h->last[i].ssn;
        return true;
    }
    return false;
}

/* Records `piv`, and whether it is the highest so far.  False: it got a number before, or is too far behind to tell. */
static bool
is_new(struct octx_challenges *h, uint64_t piv)
{
    uint64_t behind;

    if (piv >= h->next) {
        uint64_t ahead = piv + 1 - h->next;

        h->given = ahead < BEHIND ? h->given << ahead : 0;
        h->next = piv + 1;
        return true;
    }
    behind = h->next - 1 - piv;
    return behind < BEHIND && !(h->given >> behind & 1);
}

static void
note(struct octx_challenges *h, uint64_t piv, uint64_t ssn)
{
    h->given |= 1ull << (h->next - 1 - piv);
    h->last[h->count % REMEMBERED].piv = piv;
    h->last[h->count % REMEMBERED].ssn = ssn;
    h->count++;
    h->budget--;
}

/* Chooses the number for `piv`; the caller holds the lock. */
static enum osp_err
choose(struct osp_octx *c, uint64_t piv, struct osp_time now, uint64_t *ssn, bool *repeated)
{
    struct octx_challenges *h = c->challenges;
    enum osp_err            e;

    *repeated = remembers(h, piv, ssn);
    if (*repeated)
        return OSP_OK;
    refill(h, budget_max(c), now);
    if (!is_new(h, piv) || h->budget == 0)
        return OSP_E_WITHHELD;
    e = octx_next_ssn(c, ssn);
    if (e == OSP_OK)
        note(h, piv, *ssn);
    return e;
}

enum osp_err
octx_challenge(struct osp_octx *c, uint64_t piv, struct osp_time now, const uint8_t drawn[OSP_ECHO_LEN],
               uint8_t echo[OSP_ECHO_LEN], uint64_t *ssn, bool *repeated)
{
    struct octx_challenges *fresh = NULL;
    enum osp_err            e = OSP_E_REPLAY;
    bool                    missing;

    osp_lock_take(&c->lock);
    missing = !c->challenges;
    osp_lock_release(&c->lock);
    if (missing) {
        fresh = calloc(1, sizeof(*fresh));
        if (!fresh)
            return OSP_E_NOMEM;
    }
    osp_lock_take(&c->lock);
    if (!c->challenges && !c->window_known && fresh) {
        c->challenges = fresh;
        fresh->budget = budget_max(c);
        fresh->refilled = now;
        fresh = NULL;
    }
    if (c->challenges) {
        if (!c->echo_set)
            memcpy(c->echo, drawn, OSP_ECHO_LEN);
        c->echo_set = true;
        memcpy(echo, c->echo, OSP_ECHO_LEN);
        e = choose(c, piv, now, ssn, repeated);
    }
    osp_lock_release(&c->lock);
    free(fresh);
    return e;
}
