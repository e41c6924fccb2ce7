/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The context objects of one configuration.
 *
 * A set made for a reload takes over the objects of the one before that have the same keys, and gives every new object a
 * label that none there has.  Not changed once it is in force but for what adopt sets.
 */
#ifndef OSP_DAEMON_OSPREYD_STATE_CTXSET_H
#define OSP_DAEMON_OSPREYD_STATE_CTXSET_H

#include "base/table.h"
#include "config/config.h"
#include "daemon/ospreyd/store/store.h"
#include "oscore/configured.h"

struct osp_ctx_entry {
    struct osp_octx  *octx;             /* one reference */
    struct osp_node   by_object, by_key;
    uint8_t           key[OSP_STORE_KEY_LEN];   /* fingerprint, by which the next set finds it; of a base: its key */
    bool              is_base;          /* octx is one (oscore/b2.h): what it is derived to has a record, and is used */
    struct osp_key_limits limits;       /* as configured; in force once adopted */
    bool              is_new;           /* was not in the set before */
    bool              is_loaded;        /* new, and has its past */
    enum osp_err      err;              /* why there is no object, while the set is built */
};

struct osp_ctxset {
    struct osp_ctx_entry *entries;      /* in the order of cfg->contexts */
    size_t                count;
    uint32_t              label_end;    /* all labels are below */
    uint32_t             *by_label;     /* place + 1; 0: none has that label */
    struct osp_table      by_object, by_key;
};

/*
 * Makes the contexts of `cfg`, with the objects of `old` (NULL: none) where they are the same.  Nothing is durable or
 * visible yet.  OSP_E_EXISTS: two have the same keys and IDs. OSP_E_NOMEM, and those of osp_octx_new(): `why` has one line.
 */
OSP_CHECKED enum osp_err osp_ctxset_make(const struct osp_ctxset *old, const struct osp_cfg *cfg, struct osp_ctxset **out,
                                         char why[OSP_STORE_WHY_MAX]);
void osp_ctxset_free(struct osp_ctxset *set);   /* drops its references. NULL is fine */

/* The limits of the configuration are in force from now on. */
void osp_ctx_entry_set_limits(const struct osp_ctx_entry *e);

/* The entry of `c`, or of the base whose current context it is; by fingerprint. NULL: none, or no set. */
struct osp_ctx_entry *osp_ctxset_find(const struct osp_ctxset *set, const struct osp_octx *c);
struct osp_ctx_entry *osp_ctxset_by_key(const struct osp_ctxset *set, const uint8_t *key);

/* The place of `c`, or of the base whose current context it is, in the set and in cfg->contexts; false: it is not in it. */
bool osp_ctxset_index(const struct osp_ctxset *set, const struct osp_octx *c, size_t *out);

#endif
