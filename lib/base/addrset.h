/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of addresses that one thread replaces now and then, and others ask all the time.
 *
 * Each asker has a view, a copy of its own, and renews it when the set has changed: asking costs one atomic load and a search
 * by halves, and takes no lock.
 */
#ifndef OSP_BASE_ADDRSET_H
#define OSP_BASE_ADDRSET_H

#include "base/addr.h"
#include "base/err.h"

struct osp_addrset;

/* An empty set.  OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_addrset_new(struct osp_addrset **out);
void osp_addrset_free(struct osp_addrset *s);   /* nobody may ask any more; NULL is fine */

/*
 * The set is these addresses from now on; doubles count once.  For one thread.  *added and *removed: in how many it differs
 * from what it was.  OSP_E_NOMEM: it is as it was.
 */
OSP_CHECKED enum osp_err osp_addrset_replace(struct osp_addrset *s, const struct osp_ip *ips, size_t count, size_t *added,
                                             size_t *removed);

/* How many there are.  For the thread that replaces them. */
size_t osp_addrset_count(const struct osp_addrset *s);

/* What one asker knows of a set; all zero: nothing yet.  Private to addrset.c. */
struct osp_addrview { struct osp_ip *ips; size_t count, room; uint64_t version; };

/* True if `ip` is in `s` now (NULL: an empty set).  Without memory for a newer copy, the set itself is asked. */
bool osp_addrview_has(struct osp_addrview *v, struct osp_addrset *s, const struct osp_ip *ip);
void osp_addrview_fini(struct osp_addrview *v);

#endif
