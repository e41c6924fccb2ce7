/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for what lives longer than one turn: exchanges, stored messages.
 *
 * Size classes with free lists over chunks that are kept until the end, so that the steady
 * state asks the system for nothing.  Bounded in bytes.  The caller gives the size again when
 * it returns a block, so blocks carry no header.  One owner thread.
 * Built with a sanitizer, every block is its own malloc, so that misuse is seen.
 */
#ifndef OSP_BASE_POOL_H
#define OSP_BASE_POOL_H

#include <stddef.h>

#define OSP_POOL_CLASSES 24

struct osp_pool {               /* private to pool.c, but for the two counters */
    size_t limit;
    size_t used;                /* bytes handed out now, in whole size classes */
    size_t chunk_bytes;         /* bytes taken from the system */
    void  *chunks;
    void  *free[OSP_POOL_CLASSES];
};

/* An empty pool that hands out at most `limit` bytes at a time. */
void osp_pool_init(struct osp_pool *p, size_t limit);

/* Returns all memory to the system; blocks still out become invalid. */
void osp_pool_fini(struct osp_pool *p);

/*
 * A block of at least `n` bytes (n <= 96 KiB), not cleared, aligned for any type.
 * NULL at the limit or when the system has none: refuse the new work.
 */
void *osp_pool_get(struct osp_pool *p, size_t n);

/* Gives back a block obtained with the same `n`.  NULL is accepted. */
void osp_pool_put(struct osp_pool *p, void *block, size_t n);

#endif
