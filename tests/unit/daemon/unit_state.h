/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the daemon's state: what `ospreyd --init-state` does. */
#ifndef OSP_TESTS_UNIT_STATE_H
#define OSP_TESTS_UNIT_STATE_H

#include <stdbool.h>
#include <stdio.h>

#include "daemon/ospreyd/state/state.h"

/* Makes the state of `cfg`; its directory may be there, empty. */
static inline bool
unit_make_state(const struct osp_cfg *cfg)
{
    char         why[OSP_STORE_WHY_MAX];
    FILE        *null = fopen("/dev/null", "w");
    enum osp_err e = null ? osp_state_init(cfg, null, why) : OSP_E_STORE;

    if (null)
        (void)fclose(null);
    if (e != OSP_OK)
        (void)fprintf(stderr, "%s\n", why);
    return e == OSP_OK;
}

#endif
