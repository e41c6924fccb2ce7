/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The objects of all security contexts of one configuration.
 *
 * A set that is made for a reload reuses the objects of the set before it whose keys and IDs are unchanged, and gives every new
 * object a label that no object there has.  Once a set is in force only osp_state_adopt() changes it.
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
    uint8_t           key[OSP_STORE_KEY_LEN];   /* fingerprint by which the next set finds the object; for a base its key */
    bool              is_base;          /* octx is a base (oscore/b2.h): the context derived from it is used and recorded */
    struct osp_key_limits limits;       /* as configured; in force once the set is adopted */
    bool              is_new;           /* its object is not from the set before */
    bool              is_loaded;        /* new, and its numbers and window were read from the store */
    enum osp_err      err;              /* why there is no object, while the set is built */
};

struct osp_ctxset {
    struct osp_ctx_entry *entries;      /* in the order of cfg->contexts */
    size_t                count;
    uint32_t              label_end;    /* all labels are below this */
    uint32_t             *by_label;     /* by label: the place of its entry + 1; 0: no entry has it */
    struct osp_table      by_object, by_key;
};

/*
 * Makes the contexts of `cfg`; reuses objects of `old` (NULL: no set before).  Nothing is durable or visible yet.
 * On an error `why` has one line:
 *   OSP_E_EXISTS   two contexts have equal keys and IDs
 *   OSP_E_NOMEM    and the errors of osp_octx_new()
 */
OSP_CHECKED enum osp_err osp_ctxset_make(const struct osp_ctxset *old, const struct osp_cfg *cfg, struct osp_ctxset **out,
                                         char why[OSP_STORE_WHY_MAX]);
/* Drops its references to the objects.  NULL is fine. */
void osp_ctxset_free(struct osp_ctxset *set);

/* Puts the configured key limits of an entry in force. */
void osp_ctx_entry_set_limits(const struct osp_ctx_entry *e);

/* The entry of `c`, or of the base whose current context `c` is; and the entry with a fingerprint.  NULL: there is no such
   entry, or `set` is NULL. */
struct osp_ctx_entry *osp_ctxset_find(const struct osp_ctxset *set, const struct osp_octx *c);
struct osp_ctx_entry *osp_ctxset_by_key(const struct osp_ctxset *set, const uint8_t *key);

/* The place in the set and in cfg->contexts of `c`, or of the base whose current context `c` is; false: it is in no place. */
bool osp_ctxset_index(const struct osp_ctxset *set, const struct osp_octx *c, size_t *out);

#endif
