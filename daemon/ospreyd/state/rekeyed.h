/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The current context of a base (oscore/b2.h) over runs: its ID Context by the key of the base, its records by its own keys.
 * Both change in one batch, so what an earlier run left is either the old context with its records or the new one.
 */
#ifndef OSP_DAEMON_OSPREYD_STATE_REKEYED_H
#define OSP_DAEMON_OSPREYD_STATE_REKEYED_H

#include "daemon/ospreyd/state/records.h"
#include "oscore/b2.h"

/*
 * In a batch: makes current what was so in an earlier run; *out, borrowed from the base, and its records.
 *   OSP_E_NOT_FOUND   nothing was.  OSP_E_STORE and those of osp_b2_restore()
 */
OSP_CHECKED enum osp_err osp_rekeyed_load(struct osp_store *s, struct osp_octx *base, const uint8_t base_key[OSP_STORE_KEY_LEN],
                                          struct osp_octx **out, struct osp_sender_record *sender,
                                          struct osp_recipient_record *recipient);

/*
 * In a batch: after it `c` has records, and is what the next run finds; the one before it is forgotten.
 * All numbers that it may have used so far are in them.  As osp_record_put_sender().
 */
OSP_CHECKED enum osp_err osp_rekeyed_enroll(struct osp_store *s, struct osp_octx *base,
                                            const uint8_t base_key[OSP_STORE_KEY_LEN], struct osp_octx *c);

#endif
