/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The response cache of the proxy [rfc7252#5.6] [rfc7252#5.7.1] [rfc7252#5.9].
 *
 * Shared by all workers: split into shards, each with a lock held while one entry is looked up or
 * changed.  Bounded in bytes, everything included; at the bound SIEVE chooses what goes (measured
 * against LRU, see docs/cache.md).  Times come in as arguments; nothing is read from a clock.
 * Responses are copied in and copied out, so no pointer into the cache survives a call.
 *
 * Invariants: bytes used never pass the limit; a response is given out only while fresh, with
 * Max-Age = original - age; an entry's key covers every input that selects the answer.
 */
#ifndef OSP_CACHE_CACHE_H
#define OSP_CACHE_CACHE_H

#include "base/time.h"
#include "cache/key.h"

struct osp_cache;

struct osp_cache_cfg {
    size_t   bytes;             /* limit, tables and entries together */
    unsigned shards;            /* a power of two, 1 to 64 */
    size_t   max_entry;         /* larger responses are not kept */
    uint64_t stale_us;          /* how long a stale entry is kept for validation and serve-stale */
    uint32_t default_max_age;   /* seconds, where a response has no Max-Age: 60 [rfc7252#5.10.5] */
    uint16_t request_hash;      /* number of the Request-Hash option, 548 */
};

void osp_cache_cfg_default(struct osp_cache_cfg *cfg);

/* OSP_E_NOMEM; OSP_E_INVALID: `bytes` is too small for the shards' tables. */
OSP_CHECKED enum osp_err osp_cache_new(const struct osp_cache_cfg *cfg, struct osp_hash_key seed, struct osp_cache **out);
void osp_cache_free(struct osp_cache *c);

/*
 * From now on no response is fresh for longer than `max_age_s` seconds (at least 1), whatever its Max-Age says.  What is
 * stored already keeps its time.  Any thread may call it.
 */
void osp_cache_cap_age(struct osp_cache *c, uint32_t max_age_s);

/* The seed keys are to be made with, and the settings. */
const struct osp_hash_key *osp_cache_seed(const struct osp_cache *c);
const struct osp_cache_cfg *osp_cache_cfg(const struct osp_cache *c);

enum osp_cache_found {
    OSP_CACHE_MISS,
    OSP_CACHE_HIT,              /* fresh: answer with `out` */
    OSP_CACHE_NOT_MODIFIED,     /* fresh, and the request carries its ETag: `out` is the 2.03 */
    OSP_CACHE_STALE,            /* there is an entry that may be validated: `out`, ETag in it if it has one */
};

/*
 * Looks `key` up for request `req` (its ETags are looked at).
 * On HIT, NOT_MODIFIED and STALE `out` is a response whose bytes were copied into `w`; Max-Age is what
 * is left (0 when stale), *age_s how old the entry is.  A `w` too small gives MISS.
 * A 5.08 is found only by a request with an equal or smaller Hop-Limit [rfc8768#3].
 */
enum osp_cache_found osp_cache_lookup(struct osp_cache *c, const struct osp_cache_key *key, const struct osp_msg *req,
                                      struct osp_time now, struct osp_wr *w, struct osp_msg *out, uint32_t *age_s);

enum osp_cache_kept {
    OSP_CACHE_KEPT,
    OSP_CACHE_NOT_CACHEABLE,    /* code, Max-Age 0, Observe, a block, an option that forbids it, or no OSCORE option where the
                                   request has one */
    OSP_CACHE_TOO_LARGE,
    OSP_CACHE_WRONG_HASH,       /* Request-Hash differs from the request's: do not use the response either [cacheable#3.4.4] */
};

/*
 * Offers the response to the request of `key`, after the next hop's layers are off and before the client's go on.
 * Cacheable are 2.05 and every 4.xx and 5.xx by their Max-Age; a stored one with the same key is replaced.
 */
enum osp_cache_kept osp_cache_store(struct osp_cache *c, const struct osp_cache_key *key, const struct osp_msg *resp,
                                    struct osp_time now);

/*
 * A 2.03 came back for a validation [rfc7252#5.9.1.3]: the entry whose ETag it names becomes fresh for the
 * 2.03's Max-Age, and every option type the 2.03 carries replaces the stored ones.  False: no such entry,
 * the 2.03 is of no use here.  On true the entry is as osp_cache_lookup() would give it.
 */
bool osp_cache_refresh(struct osp_cache *c, const struct osp_cache_key *key, const struct osp_msg *valid, struct osp_time now);

/* Marks every entry of the key's resource as not fresh: after 2.01, 2.02, 2.04 [rfc7252#5.9.1]. Returns how many. */
size_t osp_cache_invalidate(struct osp_cache *c, const struct osp_cache_key *key, struct osp_time now);

/*
 * Removes the entries whose resource matches `pattern` ("coap://host/path*", "*" and "?" as usual; the port
 * is written when it is not the scheme's default).  Returns how many.  Walks the cache shard by shard.
 */
size_t osp_cache_purge(struct osp_cache *c, const char *pattern);

struct osp_cache_stats {
    uint64_t hits, misses, stale, not_modified, stored, refreshed, invalidated, evicted, expired, refused, purged;
    uint64_t unprotected;       /* plain responses to protected requests, which are never stored */
    size_t   entries, bytes, limit;
};

void osp_cache_stats(struct osp_cache *c, struct osp_cache_stats *out);

#endif
