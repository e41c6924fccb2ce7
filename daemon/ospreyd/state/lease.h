/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store thread: leases sequence numbers off the workers' path.
 *
 * What is asked for while a commit runs goes into the next one together, so the cost of a sync is
 * shared.  Every worker is told of every lease, since a request may wait at any of them.
 */
#ifndef OSP_DAEMON_OSPREYD_STATE_LEASE_H
#define OSP_DAEMON_OSPREYD_STATE_LEASE_H

#include "daemon/ospreyd/worker/mailbox.h"
#include "daemon/ospreyd/state/state.h"

struct osp_leaser;

struct osp_lease_stats {
    uint64_t asked, granted, failed, commits, commit_us_sum, commit_us_max;
    uint64_t numbers;           /* sequence numbers that the leases have taken */
};

/* Starts the thread; `workers` are told, they outlive it. OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_leaser_start(struct osp_state *st, struct osp_mailbox *const *workers, size_t count,
                                          struct osp_leaser **out);

/* Asks for a lease for `c`; takes the caller's reference. Any thread. */
void osp_leaser_ask(struct osp_leaser *l, struct osp_octx *c);

/* There is something to be written though nobody asks for numbers (osp_kept_is_due()). Any thread. */
void osp_leaser_wake(struct osp_leaser *l);

void osp_leaser_stats(struct osp_leaser *l, struct osp_lease_stats *out);

/* Lets the thread end what it has begun and frees it. No worker may ask any more. */
void osp_leaser_stop(struct osp_leaser *l);

#endif
