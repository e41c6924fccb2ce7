/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time as the library sees it: microseconds on a monotonic clock that the caller reads.
 *
 * A struct, so that milliseconds or a wall-clock time cannot slip in.
 */
#ifndef OSP_BASE_TIME_H
#define OSP_BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

struct osp_time { uint64_t us; };

#define OSP_MS(n) ((uint64_t)(n) * 1000u)
#define OSP_SEC(n) ((uint64_t)(n) * 1000000u)

static inline struct osp_time
osp_time_after(struct osp_time t, uint64_t us)
{
    struct osp_time r = { t.us + us };
    return r;
}

/* True if `t` has come by `now`. */
static inline bool
osp_time_due(struct osp_time t, struct osp_time now)
{
    return t.us <= now.us;
}

/* Microseconds from `from` to `to`, 0 when `to` is earlier. */
static inline uint64_t
osp_time_between(struct osp_time from, struct osp_time to)
{
    return to.us > from.us ? to.us - from.us : 0;
}

#endif
