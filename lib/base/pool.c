/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/pool.h"

#include <stdint.h>
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
#define RECLAIMS_MAX 4                  /* how often one block may make the pool ask for memory back */
#define CHUNK OSP_POOL_CHUNK            /* size and alignment of a chunk, so that masking a block's address gives its chunk */

#define SPARE_CHUNKS 4

struct block { struct block *next; };

struct chunk {
    struct osp_list link;       /* in empty, partly[class] or full */
    struct block   *free;
    uint32_t        used;       /* blocks handed out */
    uint32_t        fresh;      /* blocks never handed out, at the end of the chunk */
    uint64_t        pad[4];     /* makes the header 64 bytes, so that blocks are aligned */
};
_Static_assert(sizeof(struct chunk) == 64, "blocks begin at a multiple of 16");
_Static_assert(sizeof(struct chunk) + OSP_POOL_WHOLE == CHUNK, "what is not the head is handed out");

/* Sizes of the classes: 32, 48, 64, 96, 128, 192 and so on, with one class between powers of two. */
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

static uint32_t
blocks_in_chunk(unsigned c)
{
    return (uint32_t)((CHUNK - sizeof(struct chunk)) / class_size(c));
}

void
osp_pool_init(struct osp_pool *p, size_t limit)
{
    *p = (struct osp_pool){ .limit = limit };
    osp_list_init(&p->empty);
    osp_list_init(&p->full);
    for (int c = 0; c < OSP_POOL_CLASSES; c++)
        osp_list_init(&p->partly[c]);
}

void
osp_pool_set_reclaim(struct osp_pool *p, osp_pool_reclaim_fn reclaim, void *ctx)
{
    p->reclaim = reclaim;
    p->reclaim_ctx = ctx;
}

/* Asks the owner of memory to give a chunk back.  False: it could not. */
static bool
reclaim(struct osp_pool *p)
{
    return p->reclaim && p->reclaim(p->reclaim_ctx);
}

size_t
osp_pool_floor(size_t largest)
{
    return ((size_t)class_of(largest < OSP_POOL_BLOCK_MAX ? largest : OSP_POOL_BLOCK_MAX) + 1 + SPARE_CHUNKS) * CHUNK;
}

static void
free_chunks(struct osp_list *l)
{
    struct osp_list *n;

    while ((n = osp_list_first(l)) != NULL) {
        osp_list_remove(n);
        free(OSP_CONTAINER(n, struct chunk, link));
    }
}

void
osp_pool_fini(struct osp_pool *p)
{
    free_chunks(&p->empty);
    free_chunks(&p->full);
    for (int c = 0; c < OSP_POOL_CLASSES; c++)
        free_chunks(&p->partly[c]);
    osp_pool_init(p, 0);
}

/* A chunk without a block in use and in no list; NULL at the limit. */
static struct chunk *
find_empty(struct osp_pool *p)
{
    struct osp_list *n = osp_list_first(&p->empty);
    struct chunk    *k;

    if (n) {
        osp_list_remove(n);
        return OSP_CONTAINER(n, struct chunk, link);
    }
    if (CHUNK > p->limit - p->chunk_bytes)
        return NULL;
    k = aligned_alloc(CHUNK, CHUNK);
    if (!k)
        return NULL;
    p->chunk_bytes += CHUNK;
    osp_list_init(&k->link);
    return k;
}

static struct chunk *
empty_chunk(struct osp_pool *p)
{
    struct chunk *k = find_empty(p);

    for (int i = 0; !k && i < RECLAIMS_MAX && reclaim(p); i++)
        k = find_empty(p);
    return k;
}

/* A chunk with a free block of class `c`, in partly[c]; NULL at the limit. */
static struct chunk *
chunk_with_room(struct osp_pool *p, unsigned c)
{
    struct osp_list *n = osp_list_first(&p->partly[c]);
    struct chunk    *k;

    if (n)
        return OSP_CONTAINER(n, struct chunk, link);
    k = empty_chunk(p);
    if (!k)
        return NULL;
    k->free = NULL;
    k->used = 0;
    k->fresh = blocks_in_chunk(c);
    osp_list_push(&p->partly[c], &k->link);
    return k;
}

static void *
get_own(struct osp_pool *p, size_t n, size_t counted)
{
    void *b;

    for (int i = 0; counted > p->limit - p->used && i < RECLAIMS_MAX && reclaim(p); i++)
        continue;
    if (counted > p->limit - p->used)
        return NULL;
    b = malloc(n ? n : 1);
    if (b)
        p->used += counted;
    return b;
}

void *
osp_pool_get(struct osp_pool *p, size_t n)
{
    unsigned      c = class_of(n);
    struct chunk *k;
    struct block *b;

    if (n > OSP_POOL_BLOCK_MAX)
        return NULL;
    if (EACH_ITS_OWN)
        return get_own(p, n, class_size(c));
    k = chunk_with_room(p, c);
    if (!k)
        return NULL;
    b = k->free;
    if (b) {
        k->free = b->next;
    } else {
        k->fresh--;
        b = (struct block *)(void *)((char *)(k + 1) + (size_t)k->fresh * class_size(c));
    }
    k->used++;
    if (!k->free && k->fresh == 0) {
        osp_list_remove(&k->link);
        osp_list_push(&p->full, &k->link);
    }
    p->used += class_size(c);
    return b;
}

void
osp_pool_put(struct osp_pool *p, void *block, size_t n)
{
    unsigned      c = class_of(n);
    struct block *b = block;
    struct chunk *k;

    if (!b)
        return;
    p->used -= class_size(c);
    if (EACH_ITS_OWN) {
        free(b);
        return;
    }
    k = (struct chunk *)(void *)((uintptr_t)b & ~(uintptr_t)(CHUNK - 1));
    if (!k->free && k->fresh == 0) {            /* the chunk was full */
        osp_list_remove(&k->link);
        osp_list_push(&p->partly[c], &k->link);
    }
    b->next = k->free;
    k->free = b;
    if (--k->used == 0) {
        osp_list_remove(&k->link);
        osp_list_push(&p->empty, &k->link);
    }
}

void *
osp_pool_get_whole(struct osp_pool *p)
{
    struct chunk *k;

    if (EACH_ITS_OWN)
        return get_own(p, OSP_POOL_WHOLE, CHUNK);
    k = empty_chunk(p);
    if (!k)
        return NULL;
    k->free = NULL;
    k->used = 1;
    k->fresh = 0;
    osp_list_push(&p->full, &k->link);
    p->used += CHUNK;
    return k + 1;
}

void
osp_pool_put_whole(struct osp_pool *p, void *whole)
{
    struct chunk *k;

    p->used -= CHUNK;
    if (EACH_ITS_OWN) {
        free(whole);
        return;
    }
    k = (struct chunk *)whole - 1;
    osp_list_remove(&k->link);
    osp_list_push(&p->empty, &k->link);
}

bool
osp_pool_is_low(const struct osp_pool *p)
{
    if (EACH_ITS_OWN)
        return CHUNK > p->limit - p->used;
    return osp_list_empty(&p->empty) && CHUNK > p->limit - p->chunk_bytes;
}
