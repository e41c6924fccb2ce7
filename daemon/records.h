/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the rows of the store mean: for each security context how far its Sender Sequence Numbers may have been used, how
 * often its keys were used, and its replay window when the last stop was a clean one; contexts that no configuration holds;
 * and what is current in a base.
 *
 * All of it happens in a batch of the store (osp_store_begin()).
 */
#ifndef OSP_DAEMON_RECORDS_H
#define OSP_DAEMON_RECORDS_H

#include "daemon/store.h"
#include "oscore/replay.h"

struct osp_record {
    uint64_t          limit;            /* all numbers below it may have been used */
    uint32_t          used_q, used_v;   /* so often at most the keys were used (osp_octx_usage_ahead()) */
    bool              has_window;
    struct osp_replay window;
};

/* OSP_E_NOT_FOUND: there is no record.  OSP_E_STORE: it cannot be read; give the batch up. */
OSP_CHECKED enum osp_err osp_record_get(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_record *out);

/* OSP_E_NOSPACE: the store is full.  OSP_E_STORE.  Both: give the batch up. */
OSP_CHECKED enum osp_err osp_record_put(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], const struct osp_record *r);

/*
 * Contexts that no configuration holds (EDHOC made them) are kept whole: `value` is what their owner wrote, secrets
 * included, at most OSP_STORE_VALUE_MAX bytes.  OSP_E_INVALID: longer.  Else as osp_record_put().
 */
OSP_CHECKED enum osp_err osp_record_keep(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice value);

/* The next of them after `key` (or the first), borrowed until the next change. OSP_E_NOT_FOUND: no more. OSP_E_STORE. */
OSP_CHECKED enum osp_err osp_record_next_kept(struct osp_store *s, bool first, uint8_t key[OSP_STORE_KEY_LEN],
                                              struct osp_slice *value);

/*
 * The ID Context that is current in a base (oscore/b2.h), by the key of the base.  As osp_record_put() and osp_record_get();
 * what is got is borrowed until the next change.
 */
OSP_CHECKED enum osp_err osp_record_put_id(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice id);
OSP_CHECKED enum osp_err osp_record_get_id(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice *out);

/*
 * Removes the record of a kept context and what was kept of it: its keys are gone, so its numbers can never be used again.
 * OSP_E_STORE, OSP_E_NOSPACE. It is fine if there is none.
 */
OSP_CHECKED enum osp_err osp_record_forget(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN]);

#endif
