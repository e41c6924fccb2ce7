/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The addresses we listen at, the same ones in every worker, and what a reload changes about them.
 *
 * A place in the table is a socket number (behind those for requests of ours) and keeps its address for
 * ever; an address that is closed and comes back gets its place back.
 */
#ifndef OSP_DAEMON_OSPREYD_NET_LISTENERS_H
#define OSP_DAEMON_OSPREYD_NET_LISTENERS_H

#include "config/config.h"
#include "daemon/ospreyd/worker/change.h"
#include "daemon/ospreyd/store/store.h"

struct osp_listeners {
    struct osp_listener {
        struct osp_addr want, at;       /* as configured, as bound (they differ for port 0) */
        bool            open;
    }       *items;
    size_t   count;
    unsigned first;                     /* socket number of place 0 */
};

void osp_listeners_init(struct osp_listeners *l, unsigned first);
void osp_listeners_fini(struct osp_listeners *l);

/*
 * What it takes to listen at the addresses of `cfg`: opens what is not open yet, once for each worker.
 * `next` becomes the table after the change; changes[i] is for worker i, without a policy.  The port of each
 * address in `cfg` becomes the one it is bound to.  On an error nothing is open and `why` has one line.
 */
OSP_CHECKED enum osp_err osp_listeners_plan(const struct osp_listeners *now, struct osp_cfg *cfg, size_t workers,
                                            struct osp_listeners *next, struct osp_change **changes,
                                            char why[OSP_STORE_WHY_MAX]);

/* The ports by socket number, for a policy; `port` has room for osp_listeners_ports_count(). */
size_t osp_listeners_ports_count(const struct osp_listeners *l);
void osp_listeners_ports(const struct osp_listeners *l, uint16_t *port);

#endif
