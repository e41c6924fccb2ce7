/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The addresses of this machine, of all its interfaces and both families, followed as they change: nobody reaches them
 * through the proxy whose rule does not name them.
 *
 * The kernel tells of changes (rtnetlink); it is asked every now and then as well, should a message have got lost.
 */
#ifndef OSP_DAEMON_OSPREYD_NET_ADDRESSES_H
#define OSP_DAEMON_OSPREYD_NET_ADDRESSES_H

#include "base/addrset.h"
#include "daemon/ospreyd/loop.h"

struct osp_addresses;

/* OSP_E_NOMEM; OSP_E_INVALID: the system does not tell its addresses. */
OSP_CHECKED enum osp_err osp_addresses_new(struct osp_loop *l, struct osp_addresses **out);
void osp_addresses_free(struct osp_addresses *a);       /* after the last worker; NULL is fine */

/* The set, which policies borrow. */
struct osp_addrset *osp_addresses_set(struct osp_addresses *a);

/* How many times they have changed since the start. */
uint64_t osp_addresses_changes(const struct osp_addresses *a);

#endif
