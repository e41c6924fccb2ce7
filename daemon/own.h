/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names, addresses and ports under which this proxy can be reached itself: requests for them are
 * not forwarded [rfc7252#5.7.2].
 */
#ifndef OSP_DAEMON_OWN_H
#define OSP_DAEMON_OWN_H

#include "config/config.h"

/*
 * For every listener its address, or all addresses of the machine when it listens on all of them, and the
 * names of the configuration.  With `own` NULL only counts; otherwise *count is the room, and becomes what
 * was written.  False: the system would not tell its addresses.
 */
bool osp_own_targets(const struct osp_cfg *cfg, struct osp_target *own, size_t *count);

#endif
