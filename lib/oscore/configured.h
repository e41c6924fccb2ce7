/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contexts of the configuration, found by (kid, kid context) of an incoming request [rfc8613#5.1].
 *
 * One thread builds the table; after that it is only read, by all threads without a lock.  The table holds a reference to each
 * of its contexts.
 */
#ifndef OSP_OSCORE_CONFIGURED_H
#define OSP_OSCORE_CONFIGURED_H

#include "base/hash.h"
#include "oscore/context.h"

struct osp_octx_configured;

/* Makes an empty table with room for `bound` contexts.  `key` is for its hashes.  OSP_E_NOMEM: *out is unchanged. */
OSP_CHECKED enum osp_err osp_octx_configured_new(size_t bound, struct osp_hash_key key, struct osp_octx_configured **out);
void osp_octx_configured_free(struct osp_octx_configured *t);

/*
 * Adds `c` and takes a reference to it.
 *   OSP_E_EXISTS   a context with this Recipient ID and ID Context is in the table already
 *   OSP_E_NOMEM    the table is full
 */
OSP_CHECKED enum osp_err osp_octx_configured_add(struct osp_octx_configured *t, struct osp_octx *c);

/*
 * The context for an incoming request, borrowed from the table.  NULL: no context fits.
 * A request without kid context matches a context without ID Context, or else the only context with that Recipient ID.
 */
struct osp_octx *osp_octx_configured_find(const struct osp_octx_configured *t, struct osp_slice kid, bool has_kid_context,
                                          struct osp_slice kid_context);
/* True if any context of the table has this Recipient ID, with whatever ID Context. */
bool osp_octx_configured_has_id(const struct osp_octx_configured *t, struct osp_slice kid);
size_t osp_octx_configured_count(const struct osp_octx_configured *t);

#endif
