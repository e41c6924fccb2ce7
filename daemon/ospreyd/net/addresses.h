/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The addresses of all interfaces of this machine, kept up to date: a client reaches them through the proxy only if its rule
 * names them.
 *
 * The kernel announces changes (rtnetlink).  The addresses are also read again from time to time, in case a message was lost.
 */
#ifndef OSP_DAEMON_OSPREYD_NET_ADDRESSES_H
#define OSP_DAEMON_OSPREYD_NET_ADDRESSES_H

#include "base/addrset.h"
#include "daemon/ospreyd/loop.h"

struct osp_addresses;

/* Reads the addresses and follows them in `l`.  OSP_E_NOMEM; OSP_E_INVALID: the addresses cannot be read. */
OSP_CHECKED enum osp_err osp_addresses_new(struct osp_loop *l, struct osp_addresses **out);
/* To be called when no worker runs and no policy uses the set any more.  NULL is fine. */
void osp_addresses_free(struct osp_addresses *a);

/* The set itself, borrowed; policies read it while it changes. */
struct osp_addrset *osp_addresses_set(struct osp_addresses *a);

/* How many times they have changed since the start. */
uint64_t osp_addresses_changes(const struct osp_addresses *a);

#endif
