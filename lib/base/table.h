/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intrusive hash table of a size fixed at its creation (the bound the owner has configured),
 * so it never rehashes and never allocates afterwards.  Nodes are the caller's.
 *
 *     for (n = osp_table_first(&t, h); n; n = osp_table_next(n))
 *         if (key of OSP_CONTAINER(n, struct thing, node) is mine) ...
 */
#ifndef OSP_BASE_TABLE_H
#define OSP_BASE_TABLE_H

#include "base/err.h"

#include <stddef.h>

struct osp_node {
    struct osp_node *next;
    uint64_t         hash;
};

struct osp_table {
    struct osp_node **slots;
    size_t            mask;
    size_t            count;
};

/* Makes a table for about `bound` nodes; more nodes are possible, but slower.  OSP_E_NOMEM: nothing was made. */
OSP_CHECKED enum osp_err osp_table_init(struct osp_table *t, size_t bound);

/* Frees the slots; the nodes are the caller's. */
void osp_table_fini(struct osp_table *t);

/* Adds `n` under `hash`.  The table does not look for equal keys. */
void osp_table_add(struct osp_table *t, struct osp_node *n, uint64_t hash);

/* Removes `n`, which must be in the table. */
void osp_table_remove(struct osp_table *t, struct osp_node *n);

static inline struct osp_node *
osp_table_match(struct osp_node *n, uint64_t hash)
{
    while (n && n->hash != hash)
        n = n->next;
    return n;
}

/* First node whose hash is `hash`, NULL if none. */
static inline struct osp_node *
osp_table_first(const struct osp_table *t, uint64_t hash)
{
    return osp_table_match(t->slots[hash & t->mask], hash);
}

/* The next node whose hash equals the hash of `n`; NULL: there is none. */
static inline struct osp_node *
osp_table_next(const struct osp_node *n)
{
    return osp_table_match(n->next, n->hash);
}

#endif
