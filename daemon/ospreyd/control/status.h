/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The status page over HTTP: "/" for people, "/metrics" for Prometheus, "/healthz" for supervisors.
 * It changes nothing and shows no secret.  A request under a host name is refused unless osp_http_host_is_ours().
 */
#ifndef OSP_DAEMON_OSPREYD_CONTROL_STATUS_H
#define OSP_DAEMON_OSPREYD_CONTROL_STATUS_H

#include "daemon/ospreyd/daemon.h"
#include "daemon/ospreyd/loop.h"
#include "daemon/ospreyd/control/oneshot.h"

struct osp_status;

/* Listens at `at`; `d` and `l` outlive it.  OSP_E_INVALID: the address cannot be bound.  OSP_E_NOMEM.  Both: nothing listens,
   and `why` has one line. */
OSP_CHECKED enum osp_err osp_status_new(struct osp_loop *l, const struct osp_addr *at, struct osp_daemon *d,
                                        struct osp_status **out, char why[OSP_STORE_WHY_MAX]);
/* How its connections ended, and in *foreign how many requests had a host name that is not ours; all zero for NULL. */
struct osp_oneshot_stats osp_status_stats(const struct osp_status *s, uint64_t *foreign);
/* NULL is fine. */
void osp_status_free(struct osp_status *s);

#endif
