/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The status page over HTTP: "/" for people, "/metrics" for Prometheus, "/healthz" for supervisors.
 * Read-only; shows no secret.  A request under a host name that is neither an address nor one of the configuration's `names`
 * is refused (osp_http_host_is_ours()).
 */
#ifndef OSP_DAEMON_OSPREYD_CONTROL_STATUS_H
#define OSP_DAEMON_OSPREYD_CONTROL_STATUS_H

#include "daemon/ospreyd/daemon.h"
#include "daemon/ospreyd/loop.h"
#include "daemon/ospreyd/control/oneshot.h"

struct osp_status;

/* OSP_E_INVALID: the address cannot be bound. OSP_E_NOMEM. Both: `why`. */
OSP_CHECKED enum osp_err osp_status_new(struct osp_loop *l, const struct osp_addr *at, struct osp_daemon *d,
                                        struct osp_status **out, char why[OSP_STORE_WHY_MAX]);
/* How its connections ended, and how many asked under a host name that is not ours; zeroes for NULL. */
struct osp_oneshot_stats osp_status_stats(const struct osp_status *s, uint64_t *foreign);
void osp_status_free(struct osp_status *s);

#endif
