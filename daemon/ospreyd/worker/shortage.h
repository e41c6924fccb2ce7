/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What runs out in a worker, or goes in a circle: told in the log when it begins, and again only after it was over for a
 * minute.  The metrics count each time.
 */
#ifndef OSP_DAEMON_OSPREYD_WORKER_SHORTAGE_H
#define OSP_DAEMON_OSPREYD_WORKER_SHORTAGE_H

#include "msg/endpoint.h"

struct osp_shortage {
    uint64_t        count;      /* how often it had happened at the last look */
    struct osp_time last;       /* when the count grew */
};

/* True if it happened again, for the first time in a while; `count`: how often it has happened since the start. */
bool osp_shortage_has_begun(struct osp_shortage *s, uint64_t count, struct osp_time now);

struct osp_worker_shortages { struct osp_shortage dedup, mids, queue, ports, loops; };

/* Tells what ran out in the message layer of worker `index`, which has `ports` upstream ports open. */
void osp_shortages_tell(struct osp_worker_shortages *s, const struct osp_ep_stats *ep, size_t max_messages, unsigned index,
                        size_t ports, struct osp_time now);

/* Tells that requests of worker `index` come back: `count` so far, the last one from `from`. */
void osp_loop_tell(struct osp_worker_shortages *s, uint64_t count, const struct osp_addr *from, unsigned index,
                   struct osp_time now);

#endif
