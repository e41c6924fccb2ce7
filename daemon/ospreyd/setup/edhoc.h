/* SPDX-License-Identifier: BSD-2-Clause */
/* From the configuration of EDHOC to what lib/proxy reads: credentials, profile, names and labels. */
#ifndef OSP_DAEMON_OSPREYD_SETUP_EDHOC_H
#define OSP_DAEMON_OSPREYD_SETUP_EDHOC_H

#include "config/config.h"
#include "daemon/ospreyd/state/kept.h"
#include "proxy/access/policy.h"

struct osp_setup_edhoc;

/*
 * Makes it; `cfg` is borrowed, and `kept` and `responder` outlive it.
 * OSP_E_NOMEM and what osp_edhoc_own_init() says: `why` has one line.
 */
OSP_CHECKED enum osp_err osp_setup_edhoc_new(const struct cfg_edhoc *cfg, struct osp_kept *kept, struct osp_responder *responder,
                                             struct osp_setup_edhoc **out, char why[OSP_STORE_WHY_MAX]);
/* Wipes our private keys. NULL is fine. */
void osp_setup_edhoc_free(struct osp_setup_edhoc *s);

/* For the policy, borrowed. */
const struct osp_edhoc_conf *osp_setup_edhoc_conf(const struct osp_setup_edhoc *s);

/* What the configuration allows as kept contexts. */
struct osp_kept_cfg osp_setup_kept_cfg(const struct cfg_edhoc *cfg);
struct osp_responder_cfg osp_setup_responder_cfg(const struct cfg_edhoc *cfg);

#endif
