/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store thread: leases sequence numbers off the workers' path.
 *
 * Leases that are asked for while a commit runs go into the next commit together, so that they share the cost of a sync.
 * Every worker is told of every lease, since requests may wait for it at any of them.
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

/* Starts the thread.  `workers` (mailboxes, `count` of them) are told of leases and outlive it.  OSP_E_NOMEM: no thread. */
OSP_CHECKED enum osp_err osp_leaser_start(struct osp_state *st, struct osp_mailbox *const *workers, size_t count,
                                          struct osp_leaser **out);

/* Asks for a lease for `c`; takes the caller's reference.  May be called from any thread. */
void osp_leaser_ask(struct osp_leaser *l, struct osp_octx *c);

/* Starts a commit for kept contexts though nobody asks for numbers (osp_kept_is_due()).  May be called from any thread. */
void osp_leaser_wake(struct osp_leaser *l);

void osp_leaser_stats(struct osp_leaser *l, struct osp_lease_stats *out);

/* Waits until the thread has ended its commit, and frees everything.  To be called when no worker can ask any more. */
void osp_leaser_stop(struct osp_leaser *l);

#endif
