/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the daemon's state: made, started, loaded and stopped as the daemon does it. */
#ifndef OSP_TESTS_UNIT_STATE_H
#define OSP_TESTS_UNIT_STATE_H

#include "tests/unit/unit.h"

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

/* The contexts of `cfg` come into force, or nothing does. */
static inline enum osp_err
unit_try_load(struct osp_state *st, const struct osp_cfg *cfg, char *why)
{
    struct osp_ctxset *set = NULL;
    enum osp_err       e = osp_state_build(st, cfg, &set, why);

    if (e != OSP_OK)
        return e;
    e = osp_state_prepare(st, set, cfg, why);
    if (e == OSP_OK)
        osp_state_adopt(st, set);
    else
        osp_state_discard(st, set);
    return e;
}

/* The contexts of `cfg` come into force, or the test fails. */
static inline void
unit_load(struct osp_state *st, const struct osp_cfg *cfg)
{
    char why[OSP_STORE_WHY_MAX];

    if (unit_try_load(st, cfg, why) != OSP_OK)
        fail_msg("%s", why);
}

/* The state of `cfg` after a start; `kept` are the contexts of no configuration, NULL: it is not about them. */
static inline struct osp_state *
unit_start(const struct osp_cfg *cfg, struct osp_kept *kept)
{
    char              why[OSP_STORE_WHY_MAX];
    struct osp_state *st = NULL;

    if (osp_state_open(cfg, &st, why) != OSP_OK)
        fail_msg("%s", why);
    if (kept)
        osp_state_use_kept(st, kept);
    unit_load(st, cfg);
    return st;
}

/* A clean stop. */
static inline void
unit_stop(struct osp_state *st)
{
    EXPECT_OK(osp_state_save(st));
    osp_state_close(st);
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
