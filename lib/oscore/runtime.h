/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contexts that come and go while the program runs: made by EDHOC [rfc9528#A.1] or by re-keying [rfc8613#B.2].
 *
 * Shared by all workers and policies; every call is safe from any thread.  The table of the configuration (configured.h) is
 * asked first and takes no lock; a look-up in this table holds its lock for one short walk.
 * A context may have a purpose: a string that says which next hop it was made to reach (lib/proxy/edhoc makes these strings).
 * Invariant: no two contexts in it have the same Recipient ID and ID Context, and while a Recipient ID is reserved
 * no context with it can be added by somebody else [rfc9668#4.1.2].
 */
#ifndef OSP_OSCORE_RUNTIME_H
#define OSP_OSCORE_RUNTIME_H

#include "base/hash.h"
#include "oscore/recipe.h"

struct osp_octx_runtime;

/* Makes an empty table with room for `bound` contexts and reserved IDs.  OSP_E_NOMEM: *out is unchanged. */
OSP_CHECKED enum osp_err osp_octx_runtime_new(size_t bound, struct osp_hash_key key, struct osp_octx_runtime **out);
/* Drops the table's references to its contexts and frees it.  NULL is accepted. */
void osp_octx_runtime_free(struct osp_octx_runtime *l);

/*
 * Adds `c`, which has no purpose, and takes a reference to it.
 *   OSP_E_EXISTS     another context in the table has this Recipient ID and ID Context
 *   OSP_E_OVERLOAD   the table is full: remove a context first
 *   OSP_E_NOMEM      nothing was added
 */
OSP_CHECKED enum osp_err osp_octx_runtime_add(struct osp_octx_runtime *l, struct osp_octx *c);

/*
 * Adds `c` with a purpose, and takes a reference to it.  Several contexts may have an equal purpose:
 * osp_octx_runtime_find_for() finds the one that was added last.  An empty `purpose` means none.
 * Errors: see osp_octx_runtime_add().
 */
OSP_CHECKED enum osp_err osp_octx_runtime_add_for(struct osp_octx_runtime *l, struct osp_octx *c, struct osp_slice purpose);
/*
 * Adds a context that we asked for as EDHOC Initiator; its purpose is m->peer.  The peer has not used the context yet, so it
 * must not be stored yet [rfc9528#5.4.2]: the table owns `m` until osp_octx_runtime_confirm() hands it out.
 * The context may use its first `numbers` sequence numbers at once, and asks for no lease.  An unconfirmed context with an
 * equal purpose is removed.
 * Errors: see osp_octx_runtime_add(); after an error the caller still owns `m`.
 */
OSP_CHECKED enum osp_err osp_octx_runtime_add_unconfirmed(struct osp_octx_runtime *l, struct osp_recipe *m, uint64_t numbers);
/*
 * Says that a message of the peer verified under `c`.  The first call returns the recipe of `c`, which the caller owns from
 * then on; whoever stores it calls osp_octx_lease_failed(), after which `c` asks for leases like any other context.
 * NULL: `c` was confirmed before, or needed no confirmation.
 */
struct osp_recipe *osp_octx_runtime_confirm(struct osp_octx_runtime *l, struct osp_octx *c);

/* The newest context with this purpose, with a reference for the caller.  NULL: the table has none. */
struct osp_octx *osp_octx_runtime_find_for(struct osp_octx_runtime *l, struct osp_slice purpose);

/*
 * Removes `c`, marks it as out of use and drops the table's reference.  Exchanges that hold `c` may end with it.
 * False: `c` was not in the table.
 */
bool osp_octx_runtime_remove(struct osp_octx_runtime *l, struct osp_octx *c);

/*
 * The context for an incoming request, with a reference for the caller.  NULL: no context fits.  A request without kid context
 * matches a context without ID Context, or else the only context with that Recipient ID [rfc8613#5.1].
 */
struct osp_octx *osp_octx_runtime_find(struct osp_octx_runtime *l, struct osp_slice kid, bool has_kid_context,
                                       struct osp_slice kid_context);

/*
 * Reserves Recipient ID `kid` for a context that is being agreed on.
 *   OSP_E_EXISTS      the ID is reserved already, or a context in the table has it: choose another ID
 *   OSP_E_OVERLOAD    the table is full
 *   OSP_E_ID_LENGTH   `kid` is longer than OSP_OSCORE_ID_MAX bytes
 *   OSP_E_NOMEM
 */
OSP_CHECKED enum osp_err osp_octx_runtime_reserve(struct osp_octx_runtime *l, struct osp_slice kid);
/* Ends the reservation of `kid`, after its context was added or when there will be none. */
void osp_octx_runtime_release(struct osp_octx_runtime *l, struct osp_slice kid);

size_t osp_octx_runtime_count(struct osp_octx_runtime *l);

#endif
