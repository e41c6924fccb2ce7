/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Recipient Contexts of this endpoint, looked up by (kid, kid context) [rfc8613#5.1].
 *
 * Built by one thread, then only read; contexts in it are referenced.
 */
#ifndef OSP_OSCORE_CONFIGURED_H
#define OSP_OSCORE_CONFIGURED_H

#include "base/hash.h"
#include "oscore/context.h"

struct osp_octx_configured;

/* Room for `bound` contexts. OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_octx_configured_new(size_t bound, struct osp_hash_key key, struct osp_octx_configured **out);
void osp_octx_configured_free(struct osp_octx_configured *t);

/* Adds and references `c`. OSP_E_EXISTS: same recipient ID and ID Context as one in it. OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_octx_configured_add(struct osp_octx_configured *t, struct osp_octx *c);

/*
 * The context for an incoming request, borrowed; NULL when there is none.
 * A request without kid context matches only a context without ID Context, or the only one with
 * that Recipient ID.
 */
struct osp_octx *osp_octx_configured_find(const struct osp_octx_configured *t, struct osp_slice kid, bool has_kid_context,
                                          struct osp_slice kid_context);
/* True if a context here has this Recipient ID, whatever its ID Context. */
bool osp_octx_configured_has_id(const struct osp_octx_configured *t, struct osp_slice kid);
size_t osp_octx_configured_count(const struct osp_octx_configured *t);

#endif
