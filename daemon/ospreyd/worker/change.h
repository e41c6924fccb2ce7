/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a start or a reload changes for one worker: the policy, and sockets that it opens and closes.
 * The main thread makes it, the worker takes it.
 */
#ifndef OSP_DAEMON_OSPREYD_WORKER_CHANGE_H
#define OSP_DAEMON_OSPREYD_WORKER_CHANGE_H

#include "daemon/ospreyd/net/udp.h"
#include "proxy/access/policy.h"

struct osp_change {
    struct osp_policy    *policy;               /* a reference */
    struct osp_slot {
        uint16_t            index;
        struct osp_udp_sock sock;               /* takes place `index`; fd -1: the place becomes empty */
    } *slots;
    size_t                slot_count;
};

/* A change with room for `slot_count` sockets; NULL: out of memory. */
struct osp_change *osp_change_new(size_t slot_count);
/* Closes the sockets in it and drops the reference. */
void osp_change_free(struct osp_change *c);

#endif
