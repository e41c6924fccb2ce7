/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The status page over HTTP: "/" for people, "/metrics" for Prometheus, "/healthz" for supervisors.
 * Read-only; shows no secret.
 */
#ifndef OSP_DAEMON_STATUS_H
#define OSP_DAEMON_STATUS_H

#include "daemon/daemon.h"
#include "daemon/loop.h"

struct osp_status;

/* OSP_E_INVALID: the address cannot be bound. OSP_E_NOMEM. Both: `why`. */
OSP_CHECKED enum osp_err osp_status_new(struct osp_loop *l, const struct osp_addr *at, struct osp_daemon *d,
                                        struct osp_status **out, char why[OSP_STORE_WHY_MAX]);
void osp_status_free(struct osp_status *s);

#endif
