/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/arena.h"

#include <stdlib.h>

#define CHUNK_BYTES (32u * 1024)
#define ALIGN sizeof(max_align_t)

struct chunk {
    struct chunk *next;
    size_t        size, used;
    max_align_t   data[];
};

struct cfg_arena { struct chunk *chunks; };

struct cfg_arena *
cfg_arena_new(void)
{
    return calloc(1, sizeof(struct cfg_arena));
}

void
cfg_arena_free(struct cfg_arena *a)
{
    struct chunk *c = a ? a->chunks : NULL;

    while (c) {
        struct chunk *next = c->next;

        osp_wipe(c->data, c->size);
        free(c);
        c = next;
    }
    free(a);
}

static struct chunk *
add_chunk(struct cfg_arena *a, size_t n)
{
    size_t        size = n > CHUNK_BYTES / 4 ? n : CHUNK_BYTES;
    struct chunk *c = calloc(1, sizeof(*c) + size);

    if (!c)
        return NULL;
    c->size = size;
    if (a->chunks && size != CHUNK_BYTES) {     /* a large block of its own must not hide a chunk with room */
        c->next = a->chunks->next;
        a->chunks->next = c;
    } else {
        c->next = a->chunks;
        a->chunks = c;
    }
    return c;
}

void *
cfg_arena_get(struct cfg_arena *a, size_t n)
{
    struct chunk *c = a->chunks;
    struct osp_wr w;

    if (n > SIZE_MAX / 2)
        return NULL;
    n = (n + ALIGN) / ALIGN * ALIGN;            /* never zero: every block has an address of its own */
    if (!c || n > c->size - c->used)
        c = add_chunk(a, n);
    if (!c)
        return NULL;
    w = osp_wr_to(c->data, c->size);
    w.n = c->used;
    c->used += n;
    return osp_wr_reserve(&w, n);
}

char *
cfg_arena_text(struct cfg_arena *a, struct osp_slice s)
{
    char *copy = cfg_arena_get(a, s.n + 1);

    if (copy)
        (void)osp_slice_copy(s, copy, s.n);
    return copy;
}
