/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/pool.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define EACH_ITS_OWN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EACH_ITS_OWN 1
#endif
#endif
#ifndef EACH_ITS_OWN
#define EACH_ITS_OWN 0
#endif

#define MIN_BLOCK 32
#define CHUNK (64 * 1024)

struct chunk {
    struct chunk *next;
    size_t        pad;          /* keeps the blocks aligned to 16 */
};

struct block { struct block *next; };

/* 32, 48, 64, 96, 128, 192, ...: half a step between powers of two. */
static size_t
class_size(unsigned c)
{
    size_t base = (size_t)MIN_BLOCK << (c / 2);
    return c % 2 ? base + base / 2 : base;
}

static unsigned
class_of(size_t n)
{
    unsigned c = 0;

    if (n > MIN_BLOCK) {
        unsigned top = (unsigned)(sizeof(long) * 8 - 1) - (unsigned)__builtin_clzl((unsigned long)(n - 1));
        c = 2 * (top - 5);                      /* class of 2^top, below n */
        c += n <= class_size(c + 1) ? 1 : 2;
    }
    return c;
}

void
osp_pool_init(struct osp_pool *p, size_t limit)
{
    *p = (struct osp_pool){ .limit = limit };
}

void
osp_pool_fini(struct osp_pool *p)
{
    struct chunk *c = p->chunks;

    while (c) {
        struct chunk *next = c->next;
        free(c);
        c = next;
    }
    *p = (struct osp_pool){ 0 };
}

/* Cuts a new chunk into blocks of class `c`; false when the system has no memory. */
static int
refill(struct osp_pool *p, unsigned c)
{
    size_t        size = class_size(c);
    size_t        count = size < CHUNK ? CHUNK / size : 1;
    size_t        bytes = sizeof(struct chunk) + count * size;
    struct chunk *chunk = malloc(bytes);
    char         *at;

    if (!chunk)
        return 0;
    chunk->next = p->chunks;
    p->chunks = chunk;
    p->chunk_bytes += bytes;
    at = (char *)(chunk + 1);
    for (size_t i = 0; i < count; i++) {
        struct block *b = (struct block *)(void *)(at + i * size);
        b->next = p->free[c];
        p->free[c] = b;
    }
    return 1;
}

void *
osp_pool_get(struct osp_pool *p, size_t n)
{
    unsigned      c = class_of(n);
    struct block *b;

    if (c >= OSP_POOL_CLASSES || class_size(c) > p->limit - p->used)
        return NULL;
    if (EACH_ITS_OWN) {
        b = malloc(n ? n : 1);
        if (!b)
            return NULL;
    } else {
        if (!p->free[c] && !refill(p, c))
            return NULL;
        b = p->free[c];
        p->free[c] = b->next;
    }
    p->used += class_size(c);
    return b;
}

void
osp_pool_put(struct osp_pool *p, void *block, size_t n)
{
    unsigned      c = class_of(n);
    struct block *b = block;

    if (!b)
        return;
    p->used -= class_size(c);
    if (EACH_ITS_OWN) {
        free(b);
        return;
    }
    b->next = p->free[c];
    p->free[c] = b;
}
