/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The addresses at which every worker listens, and what a reload changes about them.
 *
 * Each address has a place in a table for the life of the process.  The place is the number of its socket, counted after the
 * sockets for our own requests.  An address that was closed and is configured again gets its old place.
 */
#ifndef OSP_DAEMON_OSPREYD_NET_LISTENERS_H
#define OSP_DAEMON_OSPREYD_NET_LISTENERS_H

#include "config/config.h"
#include "daemon/ospreyd/worker/change.h"
#include "daemon/ospreyd/store/store.h"

struct osp_listeners {
    struct osp_listener {
        struct osp_addr want, at;       /* as configured, and as bound; they differ for port 0 */
        bool            open;
    }       *items;
    size_t   count;
    unsigned first;                     /* socket number of place 0 */
};

/* An empty table.  `first`: the socket number of place 0. */
void osp_listeners_init(struct osp_listeners *l, unsigned first);
void osp_listeners_fini(struct osp_listeners *l);

/*
 * Prepares to listen at the addresses of `cfg`: opens sockets for those that are not open yet, one for each worker.
 * *next becomes the table after the change, and changes[i] what worker i has to do, without a policy; the caller owns both.
 * A port 0 in `cfg` becomes the port that was bound.  On an error nothing stays open, and `why` has one line:
 *   OSP_E_EXISTS   an address is in use
 *   OSP_E_INVALID  an address cannot be bound
 *   OSP_E_NOMEM
 */
OSP_CHECKED enum osp_err osp_listeners_plan(const struct osp_listeners *now, struct osp_cfg *cfg, size_t workers,
                                            struct osp_listeners *next, struct osp_change **changes,
                                            char why[OSP_STORE_WHY_MAX]);

/* Writes the port of each socket by its number, 0 where no requests are taken; `port` has room for
   osp_listeners_ports_count(). */
size_t osp_listeners_ports_count(const struct osp_listeners *l);
void osp_listeners_ports(const struct osp_listeners *l, uint16_t *port);

#endif
