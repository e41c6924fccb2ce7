/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names, addresses and ports under which this proxy can be reached itself: requests for them are
 * not forwarded [rfc7252#5.7.2].
 */
#ifndef OSP_DAEMON_OSPREYD_SETUP_OWN_H
#define OSP_DAEMON_OSPREYD_SETUP_OWN_H

#include "config/config.h"
#include "proxy/access/policy.h"

/*
 * For every listener its address, unless it listens on all of them, and the names of the configuration.  With `own` NULL
 * only counts; otherwise *count is the room, and becomes what was written.
 */
void osp_setup_own_targets(const struct osp_cfg *cfg, struct osp_target *own, size_t *count);

/* The listeners on all addresses; `ports` has room for as many as there are listeners.  Returns how many were written. */
size_t osp_setup_own_ports(const struct osp_cfg *cfg, struct osp_own_port *ports);

#endif
