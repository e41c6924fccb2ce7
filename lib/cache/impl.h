/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of lib/cache share and nobody else sees.
 *
 * An entry is one block: the struct, the key's bytes, then the response as "options [0xff payload]"
 * without Max-Age, which is computed when it is given out.
 */
#ifndef OSP_CACHE_IMPL_H
#define OSP_CACHE_IMPL_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/table.h"
#include "cache/cache.h"

struct cache_entry {
    struct osp_node node;       /* in shard.entries, by the key's hash */
    struct osp_list by_uri;     /* in a list of shard.uris; in no list if the URI is hidden (OSCORE) */
    struct osp_list queue;      /* in shard.queue, oldest first */
    uint64_t        uri;
    uint64_t        stored_us;  /* when the entry was made or last validated */
    uint64_t        fresh_us;   /* the entry is fresh until this time */
    uint32_t        key_len, body_len;
    uint16_t        hop_limit;  /* Hop-Limit of the request; OSP_CACHE_NO_HOP_LIMIT: it had none */
    uint8_t         code;
    bool            visited;    /* SIEVE: the entry was used since the hand last passed */
    uint8_t         bytes[];
};

struct cache_shard {
    struct osp_lock        lock;
    struct osp_table       entries;
    struct osp_list       *uris;        /* uri_mask + 1 list heads */
    size_t                 uri_mask;
    struct osp_list        queue;
    struct osp_list       *hand;        /* SIEVE: next candidate for eviction; &queue: the oldest entry */
    size_t                 used, limit; /* bytes of entries, without the tables */
    struct osp_cache_stats stats;
};

struct osp_cache {
    struct osp_cache_cfg cfg;
    struct osp_hash_key  seed;
    size_t               table_bytes;
    atomic_uint          max_age;       /* seconds: no response is fresh for longer */
    struct cache_shard   shards[];
};

static inline struct osp_slice
cache_entry_key(const struct cache_entry *e)
{
    return osp_slice(e->bytes, e->key_len);
}

static inline struct osp_slice
cache_entry_body(const struct cache_entry *e)
{
    return osp_slice(e->bytes + e->key_len, e->body_len);
}

/* store.c: add and remove entries; the caller holds the shard's lock. */
struct cache_entry *cache_shard_find(struct cache_shard *s, const struct osp_cache_key *key);
void cache_shard_detach(struct cache_shard *s, struct cache_entry *e);         /* removes `e`; the caller frees it */
void cache_shard_remove(struct cache_shard *s, struct cache_entry *e);
/* Makes an entry with room for `body_len` bytes, in no list yet; evicts others until it fits.  NULL: no room or no memory. */
struct cache_entry *cache_shard_make(struct cache_shard *s, const struct osp_cache_key *key, size_t body_len);
void cache_shard_add(struct cache_shard *s, struct cache_entry *e, const struct osp_cache_key *key);

static inline struct cache_shard *
cache_shard_of(struct osp_cache *c, const struct osp_cache_key *key)
{
    /* chosen by URI, so that all variants of a resource are in one shard; if the URI is hidden, by the whole key */
    return &c->shards[((key->hidden ? key->hash : key->uri) >> 40) & (c->cfg.shards - 1)];
}

#endif
