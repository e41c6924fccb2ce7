/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the daemon's state: what `ospreyd --init-state` does. */
#ifndef OSP_TESTS_UNIT_STATE_H
#define OSP_TESTS_UNIT_STATE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

/* What this process has open as file `name` is from now on a device without room: the next write to it fails. */
static inline void
unit_break(const char *name)
{
    char path[64], at[200];
    int  full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    for (int fd = 3; full != -1 && fd < 256; fd++) {
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        n = readlink(path, at, sizeof(at) - 1);
        if (n < 0)
            continue;
        at[n] = '\0';
        if (strcmp(at, name) == 0)
            (void)dup2(full, fd);
    }
    (void)close(full);
}

#endif
