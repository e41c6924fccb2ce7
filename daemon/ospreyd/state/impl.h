/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to state.c, load.c and open.c. */
#ifndef OSP_DAEMON_OSPREYD_STATE_IMPL_H
#define OSP_DAEMON_OSPREYD_STATE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/ospreyd/store/mark.h"
#include "daemon/ospreyd/state/records.h"
#include "daemon/ospreyd/state/state.h"

struct osp_state {
    struct osp_store  *store;           /* NULL: no state directory, so no contexts */
    struct osp_mark   *mark;            /* with `store` */
    struct osp_mark_value marked;       /* what the mark says */
    pthread_mutex_t    batch;           /* held during a batch, so that the mark is written in the order of the commits */
    const char        *error;           /* why the last batch failed, if not because of the store; a literal */
    unsigned           block;           /* numbers of one lease */
    atomic_uint_fast64_t numbers;       /* how many numbers were leased in this run */
    bool               tainted;         /* a window could not be saved: the stop must count as unclean */
    bool               running;         /* the store says durably that this run is running */
    bool               dry;             /* made by osp_state_dry(): it can only build sets */
    pthread_mutex_t    lock;            /* guards the two sets against the store thread */
    struct osp_ctxset *set, *next;
    struct osp_kept   *kept;            /* contexts that no configuration holds; NULL before osp_state_use_kept() */
    bool               kept_loaded;
    /* During state_load(): a record of an older version may belong to a key that is loaded now. */
    bool               in_doubt;
    const struct osp_cfg *loading;      /* during load_kept(): the configuration that says which credentials are trusted */
};

/* ---- state.c: batches ---- */

/* Begins a batch; errors as osp_store_begin(). */
OSP_CHECKED enum osp_err state_begin(struct osp_state *st);
/* Commits the batch and then writes the mark; all numbers leased in the batch are below `high`.  Errors as osp_store_commit(). */
OSP_CHECKED enum osp_err state_commit(struct osp_state *st, uint64_t high);
/* Ends the batch without a trace. */
void state_abort(struct osp_state *st);

/* ---- load.c ---- */

/*
 * In a batch: reads numbers and windows of the new contexts of `set`, and writes records for those that have none.
 *   OSP_E_EXISTS   a key of a context had the other role before; `why` has one line
 *   further errors as osp_record_put_sender()
 */
OSP_CHECKED enum osp_err state_load(struct osp_state *st, struct osp_ctxset *set, const struct osp_cfg *cfg,
                                    char why[OSP_STORE_WHY_MAX]);

/* The replay window and the usage of `c` as they go into its record. */
struct osp_recipient_record state_window_of(struct osp_octx *c);

/* ---- open.c ---- */

/* Opens store and mark, and checks that neither is a copy or older than the other.  OSP_E_STORE: it is not opened; `why`. */
OSP_CHECKED enum osp_err state_open_store(struct osp_state *st, const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX]);

#endif
