/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The response cache of the proxy [rfc7252#5.6] [rfc7252#5.7.1] [rfc7252#5.9].
 *
 * Shared by all workers: split into shards, each with a lock that is held while one entry is looked up or
 * changed.  All memory is bounded in bytes; at the bound SIEVE chooses the entry that is removed (measured
 * against LRU, see docs/cache.md).  Times are arguments; no clock is read.
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
    size_t   bytes;             /* limit for tables and entries together */
    unsigned shards;            /* a power of two, 1 to 64 */
    size_t   max_entry;         /* larger responses are not kept */
    uint64_t stale_us;          /* how long a stale entry is kept for validation and serve-stale */
    uint32_t default_max_age;   /* seconds, for responses without Max-Age: 60 [rfc7252#5.10.5] */
    uint16_t request_hash;      /* number of the Request-Hash option, 548 */
};

void osp_cache_cfg_default(struct osp_cache_cfg *cfg);

/* Makes a cache; `seed` is for its hashes.  OSP_E_INVALID: `bytes` is too small for the shards' tables.  OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_cache_new(const struct osp_cache_cfg *cfg, struct osp_hash_key seed, struct osp_cache **out);
void osp_cache_free(struct osp_cache *c);

/*
 * From now on a new response is fresh for at most `max_age_s` seconds (at least 1), whatever its Max-Age says.  Entries that
 * are stored already keep their time.  Safe from any thread.
 */
void osp_cache_cap_age(struct osp_cache *c, uint32_t max_age_s);

/* The seed for osp_cache_key_make(), and the settings of the cache. */
const struct osp_hash_key *osp_cache_seed(const struct osp_cache *c);
const struct osp_cache_cfg *osp_cache_cfg(const struct osp_cache *c);

enum osp_cache_found {
    OSP_CACHE_MISS,
    OSP_CACHE_HIT,              /* fresh: answer with `out` */
    OSP_CACHE_NOT_MODIFIED,     /* fresh, and the request has its ETag: `out` is a 2.03 */
    OSP_CACHE_STALE,            /* `out` is an entry that has to be validated first, with its ETag if it has one */
};

/*
 * Looks `key` up for request `req`, whose ETags are compared.
 * On HIT, NOT_MODIFIED and STALE `out` is a response whose bytes were copied into `w`.  Its Max-Age is the time
 * that is left (0 when stale); *age_s is the age of the entry.  If `w` is too small, the result is MISS.
 * A 5.08 is found only by a request with an equal or smaller Hop-Limit [rfc8768#3].
 */
enum osp_cache_found osp_cache_lookup(struct osp_cache *c, const struct osp_cache_key *key, const struct osp_msg *req,
                                      struct osp_time now, struct osp_wr *w, struct osp_msg *out, uint32_t *age_s);

enum osp_cache_kept {
    OSP_CACHE_KEPT,
    OSP_CACHE_NOT_CACHEABLE,    /* because of its code, Max-Age 0, Observe, a block, an option that forbids it, or because
                                   the request has an OSCORE option and the response has none */
    OSP_CACHE_TOO_LARGE,
    OSP_CACHE_WRONG_HASH,       /* Request-Hash differs from the request's: the response must not be used [cacheable#3.4.4] */
};

/*
 * Offers the cache a response to the request of `key`: after the next hop's layers were removed, and before the client's
 * layers are put on.  2.05 and every 4.xx and 5.xx are kept for their Max-Age.  An entry with an equal key is replaced.
 */
enum osp_cache_kept osp_cache_store(struct osp_cache *c, const struct osp_cache_key *key, const struct osp_msg *resp,
                                    struct osp_time now);

/*
 * Uses the 2.03 that answered a validation [rfc7252#5.9.1.3]: the entry with its ETag becomes fresh for the
 * Max-Age of the 2.03, and each option type of the 2.03 replaces the stored options of that type.  After that
 * osp_cache_lookup() finds the entry fresh.  False: no entry has that ETag, so the 2.03 is useless.
 */
bool osp_cache_refresh(struct osp_cache *c, const struct osp_cache_key *key, const struct osp_msg *valid, struct osp_time now);

/* Marks all entries of the key's resource as not fresh, after a 2.01, 2.02 or 2.04 [rfc7252#5.9.1].  Returns how many. */
size_t osp_cache_invalidate(struct osp_cache *c, const struct osp_cache_key *key, struct osp_time now);

/*
 * Removes the entries whose resource matches `pattern`, such as "coap://host/path*"; "*" stands for any number of bytes, "?" for
 * one, and the port is written if it is not the scheme's default.  Returns how many.  Walks the cache shard by shard.
 */
size_t osp_cache_purge(struct osp_cache *c, const char *pattern);

struct osp_cache_stats {
    uint64_t hits, misses, stale, not_modified, stored, refreshed, invalidated, evicted, expired, refused, purged;
    uint64_t unprotected;       /* plain responses to protected requests, which are never stored */
    size_t   entries, bytes, limit;
};

void osp_cache_stats(struct osp_cache *c, struct osp_cache_stats *out);

#endif
