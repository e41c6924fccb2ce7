/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for what lives longer than one turn: exchanges, stored messages.
 *
 * A slab allocator: chunks of 256 KiB, each cut into blocks of one size class.  Chunks are kept, so
 * the steady state asks the system for nothing; a chunk whose blocks have all come back may serve any
 * class again, so one kind of load cannot starve the next.  The limit bounds what is taken from the
 * system, not only what is in use.  The caller gives the size again when it returns a block, so blocks
 * carry no header.  One owner thread.
 * Built with a sanitizer, every block is its own malloc, so that misuse is seen.
 */
#ifndef OSP_BASE_POOL_H
#define OSP_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

#define OSP_POOL_CLASSES 24
#define OSP_POOL_BLOCK_MAX (96u * 1024)
#define OSP_POOL_CHUNK ((size_t)256 * 1024)
#define OSP_POOL_WHOLE (OSP_POOL_CHUNK - 64)    /* what osp_pool_get_whole() gives */

/*
 * A function that gives memory back: it puts back one whole chunk that its owner can do without.  False: it has no such chunk.
 * The pool calls it from the functions that hand out memory.  So while the owner holds a pointer into such a chunk, it must not
 * ask the pool for memory.
 */
typedef bool (*osp_pool_reclaim_fn)(void *ctx);

struct osp_pool {               /* private to pool.c, except for the three numbers */
    size_t          limit;
    size_t          used;       /* bytes handed out now, in whole size classes */
    size_t          chunk_bytes; /* bytes taken from the system, at most `limit` */
    struct osp_list empty;      /* chunks without a block in use */
    struct osp_list partly[OSP_POOL_CLASSES];   /* chunks with a free block, by class */
    struct osp_list full;
    osp_pool_reclaim_fn reclaim;
    void           *reclaim_ctx;
};

/* An empty pool that takes at most `limit` bytes from the system. */
void osp_pool_init(struct osp_pool *p, size_t limit);

/*
 * The limit in bytes below which a pool may refuse a block of up to `largest` bytes while it is nearly empty: every size
 * class up to that one can have a chunk of its own, and a few are spare.
 */
size_t osp_pool_floor(size_t largest);

/* Returns all memory to the system; blocks still out become invalid. */
void osp_pool_fini(struct osp_pool *p);

/*
 * Sets the function that the pool calls at its limit, before it refuses a block; NULL: no function.  `ctx` must outlive the pool,
 * or be replaced before it ends.
 */
void osp_pool_set_reclaim(struct osp_pool *p, osp_pool_reclaim_fn reclaim, void *ctx);

/*
 * A block of at least `n` bytes (n <= OSP_POOL_BLOCK_MAX), not cleared, aligned for any type.
 * NULL at the limit or when the system has none: refuse the new work.
 */
void *osp_pool_get(struct osp_pool *p, size_t n);

/* Gives back a block; `n` is the size it was asked for with.  NULL is accepted. */
void osp_pool_put(struct osp_pool *p, void *block, size_t n);

/*
 * Hands out a whole chunk for an owner that divides it itself: OSP_POOL_WHOLE bytes, not cleared, aligned to 16.  Once it is put
 * back, it serves any size class.  NULL: the limit is reached.
 */
void *osp_pool_get_whole(struct osp_pool *p);
void osp_pool_put_whole(struct osp_pool *p, void *whole);

/* True if the limit leaves no new chunk, so that the next one has to be given back by somebody. */
bool osp_pool_is_low(const struct osp_pool *p);

#endif
