/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon as a whole: start, reload, stop, and what it tells about itself.
 *
 * Start order: configuration, state (locked and read), sockets, control and status, then the mark that
 * makes an unclean stop noticeable, then the first datagram.  Everything here is the main thread's.
 */
#ifndef OSP_DAEMON_OSPREYD_DAEMON_H
#define OSP_DAEMON_OSPREYD_DAEMON_H

#include <stdio.h>

#include "config/config.h"
#include "daemon/ospreyd/metrics.h"
#include "daemon/ospreyd/store/store.h"

struct osp_daemon;

/*
 * Judges what cfg_load() cannot: that keys derive and that contexts can be told apart.
 * Takes `cfg`.  False: `why` has one line.
 */
bool osp_daemon_check(struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX]);

/* Takes `cfg`.  On an error nothing runs and nothing was changed: `why`. */
OSP_CHECKED enum osp_err osp_daemon_start(struct osp_cfg *cfg, struct osp_daemon **out, char why[OSP_STORE_WHY_MAX]);

/* Runs until a signal or osp_daemon_stop() ends it. True if the stop was clean. */
bool osp_daemon_run(struct osp_daemon *d);
void osp_daemon_free(struct osp_daemon *d);

/* Begins to stop: no new requests, then the end. */
void osp_daemon_stop(struct osp_daemon *d);

/* Takes the file over as it is now. False: nothing was changed; the reasons went to the log and, line by line, to `say`. */
bool osp_daemon_reload(struct osp_daemon *d, FILE *say);

/* ---- telling ---- */

/* Asks every worker for fresh counters. The workers' part is valid until the next call. */
void osp_daemon_metrics(struct osp_daemon *d, struct osp_metrics *out);

/* "key: value" lines for a human or a script. */
void osp_daemon_status(struct osp_daemon *d, FILE *to);

/* One line per context whose name matches the glob `pattern`, at most `max`. */
void osp_daemon_contexts(struct osp_daemon *d, const char *pattern, size_t max, FILE *to);

/* Lets the contexts that EDHOC made go whose credential or peer matches. False: no pattern. */
bool osp_daemon_revoke(struct osp_daemon *d, const char *pattern, FILE *to);

/* "key: value" lines about the response cache. False: there is none, and `to` says so. */
bool osp_daemon_cache(struct osp_daemon *d, FILE *to);

/* Removes the cached responses whose URI matches the glob `pattern`. False: no cache or no pattern; `to` says so. */
bool osp_daemon_purge(struct osp_daemon *d, const char *pattern, FILE *to);

/* True if every worker answers and the daemon is not stopping. */
bool osp_daemon_is_healthy(struct osp_daemon *d);

#endif
