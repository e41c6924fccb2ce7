/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes from the configuration of EDHOC what lib/proxy reads: credentials, profile, names and labels. */
#ifndef OSP_DAEMON_OSPREYD_SETUP_EDHOC_H
#define OSP_DAEMON_OSPREYD_SETUP_EDHOC_H

#include "config/config.h"
#include "daemon/ospreyd/state/kept.h"
#include "proxy/access/policy.h"

struct osp_setup_edhoc;

/*
 * `cfg`, `kept` and `responder` are borrowed and outlive *out, which the caller frees.
 *   OSP_E_NOMEM, and the errors of osp_edhoc_own_init(): a credential cannot be used; `why` has one line
 */
OSP_CHECKED enum osp_err osp_setup_edhoc_new(const struct cfg_edhoc *cfg, struct osp_kept *kept, struct osp_responder *responder,
                                             struct osp_setup_edhoc **out, char why[OSP_STORE_WHY_MAX]);
/* Wipes our private keys. NULL is fine. */
void osp_setup_edhoc_free(struct osp_setup_edhoc *s);

/* What the policy points to; borrowed from `s`. */
const struct osp_edhoc_conf *osp_setup_edhoc_conf(const struct osp_setup_edhoc *s);

/* Bounds for contexts that EDHOC made, and for sessions of the Responder, as configured. */
struct osp_kept_cfg osp_setup_kept_cfg(const struct cfg_edhoc *cfg);
struct osp_responder_cfg osp_setup_responder_cfg(const struct cfg_edhoc *cfg);

#endif
