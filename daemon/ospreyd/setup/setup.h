/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes the policy, by which lib/proxy judges requests, from the configuration.
 */
#ifndef OSP_DAEMON_OSPREYD_SETUP_SETUP_H
#define OSP_DAEMON_OSPREYD_SETUP_SETUP_H

#include "config/config.h"
#include "daemon/ospreyd/state/state.h"
#include "proxy/access/policy.h"

/* The port of each socket by its number, which is equal in every worker; 0: no requests are taken there.  Borrowed. */
struct osp_sock_ports { const uint16_t *port; size_t count; };

/* The parts of EDHOC that all policies share; they outlive every policy.  All NULL: no EDHOC. */
struct osp_edhoc_parts { struct osp_kept *kept; struct osp_responder *responder; };

/*
 * Makes the policy of `cfg` over the contexts of `set`; it has one reference, the caller's.
 * On OSP_OK it has taken `cfg` and frees it with its last reference.  On an error `cfg` still belongs to the caller, and `why`
 * has one line:
 *   OSP_E_NOMEM
 *   OSP_E_EXISTS   two contexts cannot be told apart (osp_octx_configured_add())
 *   the errors of osp_setup_edhoc_new()
 */
OSP_CHECKED enum osp_err osp_setup_policy(struct osp_cfg *cfg, const struct osp_ctxset *set, const struct osp_sock_ports *ports,
                                          const struct osp_edhoc_parts *edhoc, struct osp_policy **out,
                                          char why[OSP_STORE_WHY_MAX]);

/* The configuration that the policy was made from, borrowed from it. */
const struct osp_cfg *osp_setup_cfg(const struct osp_policy *p);

#endif
