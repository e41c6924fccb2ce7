/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is on its way to the next hop of the forward-proxy, known to all workers: a request that comes back from there is a
 * loop of proxies [rfc8768#1].
 *
 * A table of fixed size without locks.  A newer request may take the place of an older one; that one's loop then ends by
 * Hop-Limit alone.
 */
#ifndef OSP_PROXY_OUTBOUND_H
#define OSP_PROXY_OUTBOUND_H

#include "base/err.h"
#include "base/hash.h"

struct osp_outbound;

/* OSP_E_NOMEM */
OSP_CHECKED enum osp_err osp_outbound_new(struct osp_hash_key seed, struct osp_outbound **out);
void osp_outbound_free(struct osp_outbound *o);         /* after all policies that borrow it; NULL is fine */

#endif
