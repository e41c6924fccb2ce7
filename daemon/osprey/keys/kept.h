/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contexts that EDHOC made, kept by the client from one call to the next: one record with its keys in the state directory for
 * each peer, beside the record of the context's sequence numbers (keys/state.h), which stays when the keys are removed.
 */
#ifndef OSP_DAEMON_OSPREY_KEYS_KEPT_H
#define OSP_DAEMON_OSPREY_KEYS_KEPT_H

#include "daemon/osprey/keys/state.h"
#include "oscore/recipe.h"

#define OSPREY_KEPT_KEY 32      /* bytes of what names a record: a digest of peer and credentials */

/*
 * Reads the context kept under `key`; the caller frees it.
 *   OSP_E_NOT_FOUND   there is no such context, or it cannot be used
 *   OSP_E_STORE, OSP_E_NOMEM
 */
OSP_CHECKED enum osp_err osprey_kept_get(struct osprey_state *s, const uint8_t key[OSPREY_KEPT_KEY], struct osp_recipe **out);

/* Keeps `m`, instead of the context kept before.  OSP_E_STORE: it was not written. */
OSP_CHECKED enum osp_err osprey_kept_put(struct osprey_state *s, const uint8_t key[OSPREY_KEPT_KEY], const struct osp_recipe *m);

/* True if one of those kept has this Recipient ID [rfc9668#4.1.1], or when that cannot be told. */
bool osprey_kept_has_id(struct osprey_state *s, struct osp_slice recipient_id);

#endif
