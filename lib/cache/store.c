/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Adds and removes the entries of one shard, and chooses which entry is evicted when the shard is full: SIEVE.
 *
 * The queue is in order of arrival.  A hit only sets a mark and changes no list, so hits stay cheap.
 * The hand walks from old to new entries: a marked entry loses its mark and stays, the first unmarked entry is
 * evicted, and the hand rests there.  So a new entry has to be used once or leaves early, and a scan over many
 * resources does not empty the cache.
 */
#include <stdlib.h>

#include "cache/impl.h"

/* Bytes that malloc takes for a block of `n`, about: its header, and rounding to 16. */
static size_t
block_size(size_t n)
{
    return (sizeof(struct cache_entry) + n + 8 + 15) / 16 * 16;
}

static size_t
entry_size(const struct cache_entry *e)
{
    return block_size((size_t)e->key_len + e->body_len);
}

struct cache_entry *
cache_shard_find(struct cache_shard *s, const struct osp_cache_key *key)
{
    for (struct osp_node *n = osp_table_first(&s->entries, key->hash); n; n = osp_table_next(n)) {
        struct cache_entry *e = OSP_CONTAINER(n, struct cache_entry, node);
        if (osp_slice_eq(cache_entry_key(e), key->bytes))
            return e;
    }
    return NULL;
}

void
cache_shard_detach(struct cache_shard *s, struct cache_entry *e)
{
    if (s->hand == &e->queue)
        s->hand = e->queue.next;
    osp_list_remove(&e->queue);
    osp_list_remove(&e->by_uri);
    osp_table_remove(&s->entries, &e->node);
    s->used -= entry_size(e);
}

void
cache_shard_remove(struct cache_shard *s, struct cache_entry *e)
{
    cache_shard_detach(s, e);
    free(e);
}

/* Moves the hand to the entry that is evicted next; NULL: the shard is empty. */
static struct cache_entry *
victim(struct cache_shard *s)
{
    if (osp_list_empty(&s->queue))
        return NULL;
    for (;;) {      /* ends, since one round clears every mark */
        struct cache_entry *e;

        if (s->hand == &s->queue)
            s->hand = s->queue.next;
        e = OSP_CONTAINER(s->hand, struct cache_entry, queue);
        if (!e->visited)
            return e;
        e->visited = false;
        s->hand = s->hand->next;
    }
}

struct cache_entry *
cache_shard_make(struct cache_shard *s, const struct osp_cache_key *key, size_t body_len)
{
    size_t              need = block_size(key->bytes.n + body_len);
    struct cache_entry *e;

    if (need > s->limit)
        return NULL;
    while (s->limit - s->used < need) {
        cache_shard_remove(s, victim(s));
        s->stats.evicted++;
    }
    e = malloc(sizeof(*e) + key->bytes.n + body_len);
    if (!e)
        return NULL;
    *e = (struct cache_entry){ .uri = key->uri, .key_len = (uint32_t)key->bytes.n, .body_len = (uint32_t)body_len };
    osp_list_init(&e->by_uri);
    osp_list_init(&e->queue);
    return e;
}

void
cache_shard_add(struct cache_shard *s, struct cache_entry *e, const struct osp_cache_key *key)
{
    osp_table_add(&s->entries, &e->node, key->hash);
    osp_list_push(&s->queue, &e->queue);
    if (!key->hidden)
        osp_list_push(&s->uris[key->uri & s->uri_mask], &e->by_uri);
    s->used += entry_size(e);
}
