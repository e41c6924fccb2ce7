/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: one command a connection, for ospreyctl and scripts.
 *
 *     -> status\n              <- ok\n lines, end of file
 *     -> log-level loud\n      <- error: log-level: one of error, warning, info, debug\n
 *
 * Who may connect (mode 0660) may ask; commands that change something are for the daemon's own user and root.
 */
#ifndef OSP_DAEMON_OSPREYD_CONTROL_CONTROL_H
#define OSP_DAEMON_OSPREYD_CONTROL_CONTROL_H

#include "daemon/ospreyd/daemon.h"
#include "daemon/ospreyd/loop.h"
#include "daemon/ospreyd/control/oneshot.h"

struct osp_control;

/*
 * Listens at `path`; `d` and `l` outlive it.  On an error nothing listens, and `why` has one line:
 *   OSP_E_EXISTS   another daemon answers there
 *   OSP_E_INVALID  the socket cannot be made there, or another kind of file has its name
 *   OSP_E_NOMEM
 */
OSP_CHECKED enum osp_err osp_control_new(struct osp_loop *l, const char *path, struct osp_daemon *d, struct osp_control **out,
                                         char why[OSP_STORE_WHY_MAX]);
/* How its connections ended; all zero for NULL. */
struct osp_oneshot_stats osp_control_stats(const struct osp_control *c);
/* Closes and removes the socket.  NULL is fine. */
void osp_control_free(struct osp_control *c);

#endif
