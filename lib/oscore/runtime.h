/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contexts that come and go while the program runs: made by EDHOC [rfc9528#A.1] or by re-keying [rfc8613#B.2].
 *
 * Shared by all workers and policies; every call is safe from any thread.  The table of the configuration (configured.h) is
 * asked first and takes no lock; this one holds its lock for one short walk.
 * Invariant: no two contexts in it have the same Recipient ID and ID Context, and while a Recipient ID is reserved
 * no context with it can be added by somebody else [rfc9668#4.1.2].
 */
#ifndef OSP_OSCORE_RUNTIME_H
#define OSP_OSCORE_RUNTIME_H

#include "base/hash.h"
#include "oscore/recipe.h"

struct osp_octx_runtime;

/* Room for `bound` contexts and reserved IDs. OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_octx_runtime_new(size_t bound, struct osp_hash_key key, struct osp_octx_runtime **out);
/* Drops its references. NULL is fine. */
void osp_octx_runtime_free(struct osp_octx_runtime *l);

/*
 * Adds and references `c`.
 *   OSP_E_EXISTS     another one has its Recipient ID and ID Context
 *   OSP_E_OVERLOAD   the bound is reached: remove one first
 *   OSP_E_NOMEM
 */
OSP_CHECKED enum osp_err osp_octx_runtime_add(struct osp_octx_runtime *l, struct osp_octx *c);

/*
 * The same for a context that leads somewhere: `purpose` names where, and is not empty.  There may be several; the one added
 * last is found.
 */
OSP_CHECKED enum osp_err osp_octx_runtime_add_for(struct osp_octx_runtime *l, struct osp_octx *c, struct osp_slice purpose);
/*
 * The same for a context that we asked for, m->peer being where it leads.  Nobody has been heard under it so far, and until
 * somebody is `m` stays in the table: nothing is to be written down [rfc9528#5.4.2].  So it has its first `numbers` at once,
 * and wants no lease.  It takes the place of another one that leads there and has not been confirmed either.
 */
OSP_CHECKED enum osp_err osp_octx_runtime_add_unconfirmed(struct osp_octx_runtime *l, struct osp_recipe *m, uint64_t numbers);
/*
 * A message verified under `c`.  What it was made from, once: whoever keeps it now calls osp_octx_lease_failed(), and then it
 * wants leases as any other.  NULL: known already.
 */
struct osp_recipe *osp_octx_runtime_confirm(struct osp_octx_runtime *l, struct osp_octx *c);

/* The context that leads there, with a reference for the caller; NULL: none. */
struct osp_octx *osp_octx_runtime_find_for(struct osp_octx_runtime *l, struct osp_slice purpose);

/* Takes `c` out and drops its reference; false: it was not in. Exchanges that hold it go on with it. */
bool osp_octx_runtime_remove(struct osp_octx_runtime *l, struct osp_octx *c);

/*
 * The context for an incoming request, with a reference for the caller; NULL: none.  As osp_octx_configured_find(): without kid
 * context only one without ID Context, or the only one with that Recipient ID.
 */
struct osp_octx *osp_octx_runtime_find(struct osp_octx_runtime *l, struct osp_slice kid, bool has_kid_context,
                                       struct osp_slice kid_context);

/*
 * Reserves Recipient ID `kid` for a context that is being agreed on; at most OSP_OSCORE_ID_MAX bytes.
 *   OSP_E_EXISTS     reserved by somebody, or a context here has it: choose another
 *   OSP_E_OVERLOAD   the bound is reached.  OSP_E_NOMEM, OSP_E_ID_LENGTH
 */
OSP_CHECKED enum osp_err osp_octx_runtime_reserve(struct osp_octx_runtime *l, struct osp_slice kid);
/* Gives a reserved ID back: the context was added, or will never be. */
void osp_octx_runtime_release(struct osp_octx_runtime *l, struct osp_slice kid);

size_t osp_octx_runtime_count(struct osp_octx_runtime *l);

#endif
