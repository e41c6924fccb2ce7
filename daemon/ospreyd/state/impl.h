/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to the state: what state.c, state_load.c and state_open.c share. */
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
    struct osp_mark_value marked;       /* what it says */
    pthread_mutex_t    batch;           /* held from state_begin() on: the mark is written in the order of the commits */
    const char        *error;           /* why the last batch failed, if it was not the store; static */
    unsigned           block;
    atomic_uint_fast64_t numbers;       /* leased in this run */
    bool               tainted;         /* a window could not be saved: the stop must count as unclean */
    bool               running;         /* the run is marked as running, durably */
    bool               dry;             /* only builds sets */
    pthread_mutex_t    lock;            /* guards the two sets against the store thread */
    struct osp_ctxset *set, *next;
    struct osp_kept   *kept;            /* NULL: none */
    bool               kept_loaded;
    bool               in_doubt;        /* during state_load(): records of a version before may be of keys that others claim */
    const struct osp_cfg *loading;      /* the configuration whose credentials are asked, during load_kept() */
};

/* ---- state.c: batches ---- */

/* As osp_store_begin(). */
OSP_CHECKED enum osp_err state_begin(struct osp_state *st);
/* The batch is durable and the mark knows of it: what was leased in it is below `high`. As osp_store_commit(). */
OSP_CHECKED enum osp_err state_commit(struct osp_state *st, uint64_t high);
void state_abort(struct osp_state *st);

/* ---- state_load.c ---- */

/*
 * In a batch: gives the new contexts of `set` their past, and records to those that have none.
 *   OSP_E_EXISTS   a key of a context had the other role before: `why`
 *   as osp_record_put_sender()
 */
OSP_CHECKED enum osp_err state_load(struct osp_state *st, struct osp_ctxset *set, const struct osp_cfg *cfg,
                                    char why[OSP_STORE_WHY_MAX]);

/* The window and usage of `c` for its records. */
struct osp_recipient_record state_window_of(struct osp_octx *c);

/* ---- state_open.c ---- */

/* Opens store and mark, and sees that neither is a copy or older than the other.  OSP_E_STORE: `why`. */
OSP_CHECKED enum osp_err state_open_store(struct osp_state *st, const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX]);

#endif
