/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to kept.c and kept_store.c: the list of kept contexts. */
#ifndef OSP_DAEMON_OSPREYD_STATE_KEPT_IMPL_H
#define OSP_DAEMON_OSPREYD_STATE_KEPT_IMPL_H

#include <pthread.h>

#include "base/list.h"
#include "base/table.h"
#include "daemon/ospreyd/state/kept.h"

enum kept_work { NOTHING, WRITE, FORGET };

struct kept_entry {
    struct osp_list  link;              /* in `all`, oldest first, unless it is `gone` */
    struct osp_list  guest;             /* in `guests`, oldest first, if its credential is cfg.guests */
    struct osp_list  todo;              /* in `todo` while it has to be written or forgotten */
    struct osp_node  by_object, by_peer;
    struct osp_recipe *recipe;
    enum kept_work   batch;             /* what the present batch does with it */
    bool             gone;
    bool             recorded;          /* it has a row in the store */
    uint64_t         serial;            /* rises with each context */
    uint64_t         made_s, expires_s; /* time of day; expires 0: never */
    struct osp_key_names names;         /* the name of the Sender Key is the key of its row */
};

struct kept_credential { char *name; uint64_t print; };

struct osp_kept {
    struct osp_kept_cfg      cfg;
    struct osp_octx_runtime *runtime;
    pthread_mutex_t          lock;      /* guards what follows */
    struct osp_table         by_object, by_peer;
    struct osp_list          all, guests, todo;
    size_t                   room;      /* contexts that the store has room for */
    struct osp_kept_stats    stats;
    struct kept_credential *creds;      /* by label */
    size_t                cred_count;
};

/* Contexts at most, by the configuration and by the room in the store. */
size_t kept_limit(const struct osp_kept *k);

/* An entry of `m`, in no list yet; `m` is its own from then on.  NULL: out of memory, and `m` is still the caller's. */
struct kept_entry *kept_new_entry(struct osp_recipe *m);
void kept_free_entry(struct kept_entry *e);

/* ---- under the lock ---- */

void kept_insert(struct osp_kept *k, struct kept_entry *e);
/* No new request finds it from here on; the store forgets it with the next batch.  An entry unknown to the store is freed. */
void kept_let_go(struct osp_kept *k, struct kept_entry *e);
/* The oldest guest, or else the oldest of all; NULL: nothing is kept. */
struct kept_entry *kept_first_to_go(struct osp_kept *k);

/* True if a lifetime that ends at `expires_s` (0: never) has ended. */
bool kept_is_over(uint64_t expires_s, uint64_t now_s);

#endif
