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
 * Judges what cfg_load() cannot: whether keys can be derived and contexts can be told apart.
 * Takes `cfg`.  False: `why` says in one line what is wrong.
 */
bool osp_daemon_check(struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX]);

/*
 * Starts everything; takes `cfg`, also on an error.  On an error nothing runs, nothing was changed, and `why` has one line.
 *   OSP_E_NOMEM, OSP_E_CRYPTO
 *   OSP_E_INVALID  the configuration asks for what this system does not give
 *   OSP_E_EXISTS   an address or the control socket is in use, or two contexts cannot be told apart
 *   OSP_E_STORE    the state is missing, damaged, copied, older than its mark, or in use
 */
OSP_CHECKED enum osp_err osp_daemon_start(struct osp_cfg *cfg, struct osp_daemon **out, char why[OSP_STORE_WHY_MAX]);

/* Runs until a signal or osp_daemon_stop() ends it. True if the stop was clean. */
bool osp_daemon_run(struct osp_daemon *d);
void osp_daemon_free(struct osp_daemon *d);

/* Begins to stop: new requests are refused, and the daemon ends when those in flight have ended or `limits.drain` is over. */
void osp_daemon_stop(struct osp_daemon *d);

/* Reads the configuration file again and takes it over.  False: nothing was changed.  Errors, and keys that need a restart,
   go to the log and as lines to `say` (NULL: to the log only). */
bool osp_daemon_reload(struct osp_daemon *d, FILE *say);

/* ---- telling ---- */

/* Asks every worker for fresh counters and fills *out; out->workers is valid until the next call. */
void osp_daemon_metrics(struct osp_daemon *d, struct osp_metrics *out);

/* Writes "key: value" lines for a human or a script. */
void osp_daemon_status(struct osp_daemon *d, FILE *to);

/* Writes one line for each context whose name matches the glob `pattern`, at most `max` of them. */
void osp_daemon_contexts(struct osp_daemon *d, const char *pattern, size_t max, FILE *to);

/* Ends the contexts that EDHOC made and whose credential or peer matches.  False: there is no pattern, or the end could not be
   stored; `to` says so. */
bool osp_daemon_revoke(struct osp_daemon *d, const char *pattern, FILE *to);

/* Writes "key: value" lines about the response cache.  False: there is no cache, and `to` says so. */
bool osp_daemon_cache(struct osp_daemon *d, FILE *to);

/* Removes the cached responses whose URI matches the glob `pattern`.  False: no cache or no pattern; `to` says so. */
bool osp_daemon_purge(struct osp_daemon *d, const char *pattern, FILE *to);

/* True if every worker answers and the daemon is not stopping. */
bool osp_daemon_is_healthy(struct osp_daemon *d);

#endif
