/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message that is kept: encoded, without its Token, in memory of a pool.
 *
 * Requests that wait, responses whose later blocks will be asked for, the newest representation of an observed resource: all
 * that outlives its datagram is kept like this.  An all-zero struct holds nothing.
 */
#ifndef OSP_MSG_STORED_H
#define OSP_MSG_STORED_H

#include "base/pool.h"
#include "msg/msg.h"

struct osp_stored { uint8_t *p; uint32_t n; };

static inline bool
osp_stored_has(const struct osp_stored *s)
{
    return s->p != NULL;
}

/*
 * Keeps a copy of `m` in place of what `s` holds, which `m` may borrow from.  False: there is no memory, or `m` is longer than
 * OSP_POOL_BLOCK_MAX; `s` holds what it held.
 */
OSP_CHECKED bool osp_stored_keep(struct osp_stored *s, struct osp_pool *pool, const struct osp_msg *m);

/* The message again, which borrows from `s`; false: it holds nothing. */
OSP_CHECKED bool osp_stored_get(const struct osp_stored *s, struct osp_msg *out);

/* Gives the memory back; harmless when it holds nothing. */
void osp_stored_release(struct osp_stored *s, struct osp_pool *pool);

#endif
