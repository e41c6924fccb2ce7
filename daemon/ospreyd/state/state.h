/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The security contexts of the daemon and what must outlive it: sequence numbers and replay windows.
 *
 * A context set holds the contexts of one configuration.  A reload builds a new set, which reuses the
 * context objects of the old one (same keys, same object), so that counters and windows go on.
 * How often keys were used is written ahead of use with each lease, so that it is never less than the truth but for
 * the moment between the first use in a run and the lease that it asks for.
 * Order of a reload: build, prepare (durable before a worker sees a context), switch the workers,
 * adopt.  The main thread builds and switches; the store thread leases in between.
 *
 * Invariants: a number is granted only after a limit above it is durable, and known to the mark (mark.h) [rfc8613#B.1.1]; a
 * window is taken over only if it was saved by a clean stop and the key was not used since.  Numbers and windows are those of
 * keys, not of contexts: a context with other IDs, algorithms or name goes on with what is known of its keys.
 */
#ifndef OSP_DAEMON_OSPREYD_STATE_STATE_H
#define OSP_DAEMON_OSPREYD_STATE_STATE_H

#include <stdio.h>

#include "config/config.h"
#include "daemon/ospreyd/state/ctxset.h"
#include "daemon/ospreyd/state/kept.h"
#include "daemon/ospreyd/store/store.h"

struct osp_state;

/*
 * Opens the store of `cfg` and its mark; never makes them.  Without `state` in `cfg` there is no store, and then no contexts can
 * be configured: numbers that nobody remembers would be used twice.  On an error `why` has one line:
 *   OSP_E_STORE   the state is missing, damaged, in use, copied, or older than its mark
 *   OSP_E_NOMEM
 */
OSP_CHECKED enum osp_err osp_state_open(const struct osp_cfg *cfg, struct osp_state **out, char why[OSP_STORE_WHY_MAX]);
void osp_state_close(struct osp_state *st);

/* From now on kept contexts are in `k`, which outlives the state.  To be called before the first osp_state_prepare(). */
void osp_state_use_kept(struct osp_state *st, struct osp_kept *k);

/* Makes a state that can only build sets, to judge a configuration.  OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_state_dry(struct osp_state **out);

/* Makes the contexts of `cfg`.  Nothing is durable or visible yet.  On an error `why` has one line:
   OSP_E_INVALID: contexts without a store; and the errors of osp_ctxset_make(). */
OSP_CHECKED enum osp_err osp_state_build(struct osp_state *st, const struct osp_cfg *cfg, struct osp_ctxset **out,
                                         char why[OSP_STORE_WHY_MAX]);

/*
 * Loads the records of the contexts that are new in `set`, makes records for those without one and marks
 * the run as running; from here numbers can be leased for them.  On an error all is as before: `why`.
 */
OSP_CHECKED enum osp_err osp_state_prepare(struct osp_state *st, struct osp_ctxset *set, const struct osp_cfg *cfg,
                                           char why[OSP_STORE_WHY_MAX]);

/* No worker uses the old set for new requests any more: saves the windows of contexts that are gone. Takes `set`. */
void osp_state_adopt(struct osp_state *st, struct osp_ctxset *set);

/* A worker may go on with the old set: no window saved from now on is to be relied on. */
void osp_state_distrust(struct osp_state *st);

/* Gives a prepared set up. Frees it. */
void osp_state_discard(struct osp_state *st, struct osp_ctxset *set);

/* The set in force, borrowed until the next adopt; NULL before the first. */
const struct osp_ctxset *osp_state_set(const struct osp_state *st);

/*
 * Writes down in one commit how much the keys of `ctxs` were used, leases a block of numbers for those of them that did
 * not ask for just that or have less than half a block left, and grants it; what is to be written of the kept contexts
 * goes into the same commit.
 * Store thread.
 * OSP_E_STORE, OSP_E_NOSPACE: none got any.  Contexts that are gone or at their end get none.
 * Without a store only kept contexts get some: their keys end with the process.
 */
OSP_CHECKED enum osp_err osp_state_lease(struct osp_state *st, struct osp_octx *const *ctxs, size_t count);

/*
 * Sees to it that the store has forgotten the kept contexts that went (osp_kept_revoke()).  Main thread.
 *   OSP_E_STORE, OSP_E_NOSPACE  some of them may come back at the next start (osp_kept_unforgotten()), or all of them with a
 *                               copy of the store, which the mark does not tell from this one
 */
OSP_CHECKED enum osp_err osp_state_forget_kept(struct osp_state *st);

/* The sequence numbers that leases have taken in this run.  Any thread. */
uint64_t osp_state_numbers_leased(const struct osp_state *st);

/* The clean stop: saves exact numbers and windows.  No other thread may run.  OSP_E_STORE: the stop will count as unclean. */
OSP_CHECKED enum osp_err osp_state_save(struct osp_state *st);

/* The store, borrowed; NULL: there is no state directory. */
struct osp_store *osp_state_store(struct osp_state *st);
/* Why the last batch failed, for the log; a literal. */
const char *osp_state_error(const struct osp_state *st);

/* ---- commands; no daemon runs with the state ---- */

/*
 * Makes the state and its mark, and the directories where they are absent: for keys that were never used.  What was done is
 * written to `say`.
 *   OSP_E_EXISTS     there is state, or a mark of some that was lost: `why`.  OSP_E_INVALID: no `state` in `cfg`. OSP_E_STORE
 */
OSP_CHECKED enum osp_err osp_state_init(const struct osp_cfg *cfg, FILE *say, char why[OSP_STORE_WHY_MAX]);

/*
 * Makes state that is lost, copied, or older than it was usable again: every key goes on above all numbers that may have been
 * used, and all windows are unknown.  Nothing else may still run with the keys.  What was done is written to `say`.
 *   OSP_E_SSN_EXHAUSTED   the numbers do not suffice: only new keys help.  OSP_E_INVALID, OSP_E_STORE: `why`
 */
OSP_CHECKED enum osp_err osp_state_recover(const struct osp_cfg *cfg, FILE *say, char why[OSP_STORE_WHY_MAX]);

#endif
