/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the configuration to the policy that lib/proxy reads.
 */
#ifndef OSP_DAEMON_OSPREYD_SETUP_SETUP_H
#define OSP_DAEMON_OSPREYD_SETUP_SETUP_H

#include "config/config.h"
#include "daemon/ospreyd/state/state.h"
#include "proxy/access/policy.h"

/* The sockets as every worker numbers them: 0 stands for a port that is not to be asked at. */
struct osp_sock_ports { const uint16_t *port; size_t count; };

/* What policies share of EDHOC; all NULL: none. Outlives them. */
struct osp_edhoc_parts { struct osp_kept *kept; struct osp_responder *responder; };

/*
 * Makes the policy of `cfg` over the contexts of `set`; it has one reference, the caller's.
 * On OSP_OK it has taken `cfg` and frees it with its last reference.
 *   OSP_E_NOMEM, and what osp_octx_configured_add() says: `why` has one line; `cfg` is still the caller's
 */
OSP_CHECKED enum osp_err osp_setup_policy(struct osp_cfg *cfg, const struct osp_ctxset *set, const struct osp_sock_ports *ports,
                                          const struct osp_edhoc_parts *edhoc, struct osp_policy **out,
                                          char why[OSP_STORE_WHY_MAX]);

/* The configuration a policy was made from, borrowed. */
const struct osp_cfg *osp_setup_cfg(const struct osp_policy *p);

#endif
