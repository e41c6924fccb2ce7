/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a start or a reload brings to one worker: a policy, sockets to open and to close.
 * Made by the main thread, taken by the worker.
 */
#ifndef OSP_DAEMON_OSPREYD_WORKER_CHANGE_H
#define OSP_DAEMON_OSPREYD_WORKER_CHANGE_H

#include "daemon/ospreyd/net/udp.h"
#include "proxy/access/policy.h"

struct osp_change {
    struct osp_policy    *policy;               /* one reference */
    struct osp_slot {
        uint16_t            index;
        struct osp_udp_sock sock;               /* to open; fd -1: close what is there */
    } *slots;
    size_t                slot_count;
};

/* NULL when out of memory. */
struct osp_change *osp_change_new(size_t slot_count);
/* Closes the sockets in it and drops the reference. */
void osp_change_free(struct osp_change *c);

#endif
