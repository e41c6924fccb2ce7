/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of addresses that one thread replaces now and then, and other threads ask all the time.
 *
 * Each thread that asks has a view, which is its own copy, and copies the set again when it has changed.  Asking costs one atomic
 * load and a binary search, and takes no lock.
 */
#ifndef OSP_BASE_ADDRSET_H
#define OSP_BASE_ADDRSET_H

#include "base/addr.h"
#include "base/err.h"

struct osp_addrset;

/* An empty set.  OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_addrset_new(struct osp_addrset **out);
void osp_addrset_free(struct osp_addrset *s);   /* no thread may ask any more; NULL is accepted */

/*
 * Replaces the addresses of the set; duplicates count once.  Only one thread may call this.  *added and *removed say how many
 * addresses are new and how many are gone.
 *   OSP_E_NOMEM   the set is unchanged
 */
OSP_CHECKED enum osp_err osp_addrset_replace(struct osp_addrset *s, const struct osp_ip *ips, size_t count, size_t *added,
                                             size_t *removed);

/* How many addresses the set has.  Only the thread that replaces them may call this. */
size_t osp_addrset_count(const struct osp_addrset *s);

/* The copy of a set that one thread has; all zero: nothing was copied yet.  Private to addrset.c. */
struct osp_addrview { struct osp_ip *ips; size_t count, room; uint64_t version; };

/* True if `ip` is in `s` now (NULL: an empty set).  If there is no memory for a newer copy, the set itself is asked. */
bool osp_addrview_has(struct osp_addrview *v, struct osp_addrset *s, const struct osp_ip *ip);
void osp_addrview_fini(struct osp_addrview *v);

#endif
