/* SPDX-License-Identifier: BSD-2-Clause */
/* What the fuzz targets of the whole proxy share. */
#ifndef OSP_TESTS_FUZZ_PROXY_RUN_H
#define OSP_TESTS_FUZZ_PROXY_RUN_H

#include "tests/udp_proxy.h"

struct run;                     /* of one input; the target's */

/* The policy is the target's too: nothing to free. */
static inline void
released(struct osp_policy *p)
{
    (void)p;
}

/* Moves the clock by `us`, doing what is due on the way; `after` sees to what the proxy asks for each time. */
static inline void
pass_time(struct osp_proxy *px, struct osp_txq *tx, struct osp_time *now, uint64_t us, void (*after)(struct run *), struct run *r)
{
    struct osp_time end = osp_time_after(*now, us), due;

    while (osp_proxy_deadline(px, &due) && due.us <= end.us) {
        now->us = due.us > now->us ? due.us : now->us + 1000;
        while (osp_proxy_expire(px, *now))
            osp_txq_reset(tx);
        after(r);
    }
    *now = end;
}

#endif
