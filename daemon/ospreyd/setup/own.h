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
 * Writes the address of every listener that listens at one address, and for every listener the names of the configuration.
 * With `own` NULL it only counts.  *count: the room of `own`, and afterwards how many there are.
 */
void osp_setup_own_targets(const struct osp_cfg *cfg, struct osp_target *own, size_t *count);

/* Writes the ports of listeners that listen at all addresses; `ports` has room for cfg->listen_count.  Returns their number. */
size_t osp_setup_own_ports(const struct osp_cfg *cfg, struct osp_own_port *ports);

#endif
