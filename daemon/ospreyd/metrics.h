/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon did, as numbers: one struct, filled by the main thread, rendered in the Prometheus
 * text form.  docs/metrics.md explains each; a test compares the two.
 */
#ifndef OSP_DAEMON_OSPREYD_METRICS_H
#define OSP_DAEMON_OSPREYD_METRICS_H

#include <stdio.h>

#include "cache/cache.h"
#include "daemon/ospreyd/net/dns.h"
#include "daemon/ospreyd/state/kept.h"
#include "daemon/ospreyd/state/lease.h"
#include "daemon/ospreyd/control/oneshot.h"
#include "daemon/ospreyd/worker/worker.h"
#include "proxy/edhoc/sessions.h"

struct osp_metrics {
    const struct osp_worker_stats *workers;     /* summed up when rendered */
    size_t                         worker_count;
    size_t                         workers_alive;       /* answered in time */
    struct osp_lease_stats         lease;
    struct osp_dns_stats           dns;
    const struct osp_shares       *shares;              /* NULL: none */
    struct osp_responder_stats     edhoc;
    struct osp_kept_stats          kept;
    struct osp_cache_stats         cache;               /* zeroes without one */
    size_t                         state_used, state_size;      /* bytes */
    unsigned                       state_fill;          /* per cent, osp_store_fill_committed() */
    size_t                         contexts;
    uint64_t                       keys_worn, keys_over;
    uint64_t                       reloads, reloads_refused;
    uint64_t                       restart_needed;      /* keys of the configuration whose change waits for one */
    uint64_t                       own_addresses, own_changes;
    struct osp_oneshot_stats       control, status;     /* connections of the control socket and the status page */
    uint64_t                       status_foreign;      /* requests to the status page under a host name that is not ours */
    uint64_t                       uptime_s;
    bool                           draining;
    bool                           memory_locked;       /* none of it gets into swap */
    bool                           unclean_start;       /* the stop before this run was unclean */
};

void osp_metrics_render(const struct osp_metrics *m, FILE *to);

/* One counter of all workers together. */
uint64_t osp_metrics_sum(const struct osp_metrics *m, size_t offset);

#endif
