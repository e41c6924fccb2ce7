/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon did, as numbers: one struct, filled by the main thread, rendered in the Prometheus
 * text form.  docs/metrics.md explains each; a test compares the two.
 *
 * A new metric is a field in the statistics of the part that counts it (a worker, a module, struct osp_daemon_counts), and a row
 * in metrics.c.
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

/* What the main thread itself counts; a member of struct osp_daemon. */
struct osp_daemon_counts {
    uint64_t reloads, reloads_refused;
    uint64_t restart_needed;            /* gauge: keys of the file whose change waits for a restart */
    uint64_t keys_worn, keys_over;      /* contexts that came near a limit of their keys, or to it */
};

/* Numbers are of 64 bits, so that rows of metrics.c can name them. */
struct osp_metrics {
    const struct osp_worker_stats *workers;             /* added up when rendered; borrowed */
    size_t                         worker_count;
    size_t                         workers_alive;       /* answered in time */
    const struct osp_shares       *shares;              /* borrowed; NULL: none */
    struct osp_daemon_counts       own;
    struct osp_lease_stats         lease;
    struct osp_dns_stats           dns;
    struct osp_responder_stats     edhoc;
    struct osp_kept_stats          kept;                /* limit 0: no limit */
    struct osp_cache_stats         cache;               /* all zero without a cache */
    struct osp_oneshot_stats       control, status;     /* connections of the control socket and of the status page */
    uint64_t                       accept_pauses;       /* of both */
    uint64_t                       status_foreign;      /* requests to the status page under a host name that is not ours */
    size_t                         state_used, state_size;      /* bytes */
    uint64_t                       state_fill;          /* per cent, osp_store_fill_committed() */
    size_t                         contexts;            /* configured */
    uint64_t                       own_addresses, own_changes;
    uint64_t                       uptime_s;
    uint64_t                       draining;            /* 1 or 0, like the next two */
    uint64_t                       memory_locked;       /* no memory of the daemon gets into swap */
    uint64_t                       unclean_start;       /* the stop before this run was unclean */
};

/* Writes all of `m` in the Prometheus text form. */
void osp_metrics_render(const struct osp_metrics *m, FILE *to);

/* The counter at `offset` of struct osp_worker_stats, of all workers together. */
uint64_t osp_metrics_sum(const struct osp_metrics *m, size_t offset);

#endif
