/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to daemon.c, reload.c and report.c. */
#ifndef OSP_DAEMON_OSPREYD_DAEMON_IMPL_H
#define OSP_DAEMON_OSPREYD_DAEMON_IMPL_H

#include "daemon/ospreyd/net/addresses.h"
#include "daemon/ospreyd/control/control.h"
#include "daemon/ospreyd/daemon.h"
#include "daemon/ospreyd/setup/edhoc.h"
#include "daemon/ospreyd/net/listeners.h"
#include "daemon/ospreyd/setup/setup.h"
#include "daemon/ospreyd/state/state.h"
#include "daemon/ospreyd/control/status.h"
#include "proxy/edhoc/sessions.h"

struct osp_daemon {
    struct osp_loop         *loop;
    struct osp_cache        *cache;             /* shared by all workers and policies; NULL: no cache */
    struct osp_outbound     *outbound;          /* shared by all workers and policies */
    struct osp_shares       *shares;            /* shared by all workers */
    uint64_t                 refused;           /* how often shares had refused when that was logged last */
    struct osp_policy       *policy;            /* in force; its configuration is the one in force */
    struct osp_state        *state;
    struct osp_edhoc_parts   edhoc;             /* shared by all workers and policies */
    struct osp_hash_key      echo_key;          /* one for all workers, so that each accepts the Echo of another */
    struct osp_alarm        *housekeeping;
    struct osp_leaser       *leaser;
    struct osp_dns          *dns;
    struct osp_addresses    *addresses;         /* of this machine */
    struct osp_control      *control;
    struct osp_status       *status;
    struct osp_listeners     listeners;
    struct osp_mailbox       inbox;
    struct osp_watch        *inbox_watch;
    struct osp_alarm        *drain_alarm, *watchdog;
    struct osp_worker      **workers;
    struct osp_mailbox     **boxes;             /* the mailboxes of the workers, for whoever writes to all of them */
    struct osp_worker_stats *stats;             /* by worker, from the last osp_daemon_metrics() */
    size_t                   worker_count, drained;
    struct osp_time          started;
    struct osp_daemon_counts counts;
    int                      lock_error;        /* 0: memory is locked; otherwise errno says why it could not be */
    bool                     near_full;         /* state-near-full has been logged */
    bool                     has_inbox, unclean_start, draining, leaving, was_clean;
};

/* The configuration in force. */
const struct osp_cfg *osp_daemon_cfg(const struct osp_daemon *d);

/* True if each worker gets enough of `limits.memory` to take a request.  False: `why`. */
bool osp_daemon_has_memory(const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX]);

/* Makes the policy of `cfg` (taken on OSP_OK) with the contexts of `set` and the sockets of `l`.  Errors: osp_setup_policy(), and
   OSP_E_INVALID for too little memory; `why` has one line. */
OSP_CHECKED enum osp_err osp_daemon_policy(struct osp_cfg *cfg, const struct osp_ctxset *set, const struct osp_listeners *l,
                                           const struct osp_edhoc_parts *edhoc, struct osp_policy **out,
                                           char why[OSP_STORE_WHY_MAX]);

/* Logs and counts that the keys of `c` have come near a usage limit, or to it. */
void osp_daemon_worn(struct osp_daemon *d, struct osp_octx *c, enum osp_key_state state);

/* Logs how much was refused since the last call because a client, or all unknown clients, had used up a share. */
void osp_daemon_tell_refused(struct osp_daemon *d);

/* Ends contexts that EDHOC made if the policy in force does not trust their credential any more, or gave their ID away. */
void osp_daemon_prune(struct osp_daemon *d);

/* Logs once when the state file is nearly full, or has no room for more contexts that EDHOC makes. */
void osp_daemon_watch_room(struct osp_daemon *d);

/* Asks every worker for counters and returns how many answered in time. */
size_t osp_daemon_poll(struct osp_daemon *d);

#endif
