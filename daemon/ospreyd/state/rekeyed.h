/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps the current context of a base (oscore/b2.h) from one run to the next: its ID Context is filed under the key of the base,
 * its records under its own keys.  Both change in one batch, so a run finds either the old context with its records, or the
 * new one with its own.
 */
#ifndef OSP_DAEMON_OSPREYD_STATE_REKEYED_H
#define OSP_DAEMON_OSPREYD_STATE_REKEYED_H

#include "daemon/ospreyd/state/records.h"
#include "oscore/b2.h"

/*
 * In a batch: makes the context current that was so in an earlier run.  *out is borrowed from the base; *sender and *recipient
 * are its records.
 *   OSP_E_NOT_FOUND   no earlier run had one
 *   OSP_E_STORE, and the errors of osp_b2_restore()
 */
OSP_CHECKED enum osp_err osp_rekeyed_load(struct osp_store *s, struct osp_octx *base, const uint8_t base_key[OSP_STORE_KEY_LEN],
                                          struct osp_octx **out, struct osp_sender_record *sender,
                                          struct osp_recipient_record *recipient);

/*
 * In a batch: writes records of `c`, which cover all numbers that it may have used so far, and makes it the context that the next
 * run finds.  The context that was filed before is forgotten.  Errors as osp_record_put_sender().
 */
OSP_CHECKED enum osp_err osp_rekeyed_enroll(struct osp_store *s, struct osp_octx *base,
                                            const uint8_t base_key[OSP_STORE_KEY_LEN], struct osp_octx *c);

#endif
