/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/table.h"

#include <assert.h>
#include <stdlib.h>

enum osp_err
osp_table_init(struct osp_table *t, size_t bound)
{
    size_t n = 16;

    while (n < bound && n < SIZE_MAX / 4 / sizeof(*t->slots))
        n *= 2;
    t->slots = calloc(n, sizeof(*t->slots));
    if (!t->slots)
        return OSP_E_NOMEM;
    t->mask = n - 1;
    t->count = 0;
    return OSP_OK;
}

void
osp_table_fini(struct osp_table *t)
{
    free(t->slots);
    t->slots = NULL;
    t->count = 0;
}

void
osp_table_add(struct osp_table *t, struct osp_node *n, uint64_t hash)
{
    n->hash = hash;
    n->next = t->slots[hash & t->mask];
    t->slots[hash & t->mask] = n;
    t->count++;
}

void
osp_table_remove(struct osp_table *t, struct osp_node *n)
{
    struct osp_node **at = &t->slots[n->hash & t->mask];

    while (*at && *at != n)
        at = &(*at)->next;
    assert(*at == n);
    *at = n->next;
    t->count--;
}
