/* SPDX-License-Identifier: BSD-2-Clause */
#include "cache/cache.h"

#include <stdlib.h>

#include "cache/impl.h"
#include "msg/option.h"

#define ENTRY_GUESS 256         /* bytes of a small entry, which decide the size of the tables */

void
osp_cache_cfg_default(struct osp_cache_cfg *cfg)
{
    *cfg = (struct osp_cache_cfg){
        .bytes = (size_t)64 << 20,
        .shards = 8,
        .max_entry = 16384,
        .stale_us = OSP_SEC(3600),
        .default_max_age = OSP_MAX_AGE_DEFAULT_S,
        .request_hash = OSP_OPT_REQUEST_HASH,
    };
}

static enum osp_err
shard_init(struct cache_shard *s, size_t bytes)
{
    size_t bound = 16;
    size_t tables;

    while (bound * ENTRY_GUESS < bytes)
        bound *= 2;
    tables = bound * (sizeof(void *) + sizeof(struct osp_list));
    if (tables >= bytes)
        return OSP_E_INVALID;
    s->limit = bytes - tables;
    s->uris = malloc(bound * sizeof(*s->uris));
    if (!s->uris)
        return OSP_E_NOMEM;
    s->uri_mask = bound - 1;
    for (size_t i = 0; i < bound; i++)
        osp_list_init(&s->uris[i]);
    osp_list_init(&s->queue);
    s->hand = &s->queue;
    return osp_table_init(&s->entries, bound);
}

enum osp_err
osp_cache_new(const struct osp_cache_cfg *cfg, struct osp_hash_key seed, struct osp_cache **out)
{
    struct osp_cache *c;
    enum osp_err      e = OSP_OK;

    if (cfg->shards == 0 || cfg->shards > 64 || (cfg->shards & (cfg->shards - 1)) != 0)
        return OSP_E_INVALID;
    c = calloc(1, sizeof(*c) + cfg->shards * sizeof(c->shards[0]));
    if (!c)
        return OSP_E_NOMEM;
    c->cfg = *cfg;
    c->seed = seed;
    atomic_init(&c->max_age, UINT32_MAX);
    for (unsigned i = 0; i < cfg->shards; i++)      /* all shards first, so that osp_cache_free() finds valid lists */
        osp_list_init(&c->shards[i].queue);
    for (unsigned i = 0; i < cfg->shards && e == OSP_OK; i++)
        e = shard_init(&c->shards[i], cfg->bytes / cfg->shards);
    if (e != OSP_OK) {
        osp_cache_free(c);
        return e;
    }
    *out = c;
    return OSP_OK;
}

void
osp_cache_free(struct osp_cache *c)
{
    struct osp_list *n;

    if (!c)
        return;
    for (unsigned i = 0; i < c->cfg.shards; i++) {
        struct cache_shard *s = &c->shards[i];

        while ((n = osp_list_first(&s->queue)) != NULL)
            cache_shard_remove(s, OSP_CONTAINER(n, struct cache_entry, queue));
        osp_table_fini(&s->entries);
        free(s->uris);
    }
    free(c);
}

void
osp_cache_cap_age(struct osp_cache *c, uint32_t max_age_s)
{
    atomic_store_explicit(&c->max_age, max_age_s, memory_order_relaxed);
}

const struct osp_hash_key *
osp_cache_seed(const struct osp_cache *c)
{
    return &c->seed;
}

const struct osp_cache_cfg *
osp_cache_cfg(const struct osp_cache *c)
{
    return &c->cfg;
}

/* ---- look-up ---- */

/* Copies the response of `e` into `w`, with `max_age` as Max-Age.  False: `w` is too small. */
static bool
copy_out(const struct cache_entry *e, uint32_t max_age, struct osp_wr *w, struct osp_msg *out)
{
    size_t   start = w->n;
    uint8_t *age;

    osp_wr_put(w, cache_entry_body(e));
    age = osp_wr_reserve(w, 4);
    if (!age)
        return false;
    osp_msg_init(out, e->code);
    return osp_msg_decode_body(osp_slice_head(osp_slice_tail(osp_wr_slice(w), start), e->body_len), out) == OSP_OK &&
           osp_msg_add(out, OSP_OPT_MAX_AGE, osp_opt_uint_make(max_age, age)) == OSP_OK;
}

/* Turns the 2.05 in `out` into a 2.03, which keeps its ETag and Max-Age [rfc7252#5.10.6.2]. */
static void
make_valid(struct osp_msg *out)
{
    out->code = OSP_CODE(2, 3);
    out->payload = OSP_EMPTY;
    for (size_t i = out->opt_count; i-- > 0;)
        if (out->opts[i].num != OSP_OPT_ETAG && out->opts[i].num != OSP_OPT_MAX_AGE)
            osp_msg_remove_at(out, i);
}

/* True if `req` carries the ETag of response `resp`. */
static bool
knows_etag(const struct osp_msg *req, const struct osp_msg *resp)
{
    const struct osp_opt *etag = osp_msg_get(resp, OSP_OPT_ETAG);

    for (size_t i = 0; etag && i < req->opt_count; i++)
        if (req->opts[i].num == OSP_OPT_ETAG && osp_slice_eq(req->opts[i].val, etag->val))
            return true;
    return false;
}

static enum osp_cache_found
lookup_in(struct osp_cache *c, struct cache_shard *s, const struct osp_cache_key *key, const struct osp_msg *req,
          struct osp_time now, struct osp_wr *w, struct osp_msg *out, uint32_t *age_s)
{
    struct cache_entry *e = cache_shard_find(s, key);
    bool                fresh;
    uint32_t            left;

    if (!e)
        return OSP_CACHE_MISS;
    if (e->code == OSP_CODE(5, 8) && key->hop_limit > e->hop_limit)     /* [rfc8768#3] */
        return OSP_CACHE_MISS;
    fresh = now.us < e->fresh_us;
    if (!fresh && (e->code != OSP_CODE(2, 5) || now.us - e->fresh_us >= c->cfg.stale_us)) {
        cache_shard_remove(s, e);
        s->stats.expired++;
        return OSP_CACHE_MISS;
    }
    /* rounded down, so that nobody keeps the response longer than the origin said */
    left = fresh ? (uint32_t)((e->fresh_us - now.us) / OSP_SEC(1)) : 0;
    if (!copy_out(e, left, w, out))
        return OSP_CACHE_MISS;
    e->visited = true;
    *age_s = (uint32_t)((now.us - e->stored_us) / OSP_SEC(1));
    if (!fresh)
        return OSP_CACHE_STALE;
    if (e->code == OSP_CODE(2, 5) && knows_etag(req, out)) {
        make_valid(out);
        return OSP_CACHE_NOT_MODIFIED;
    }
    return OSP_CACHE_HIT;
}

enum osp_cache_found
osp_cache_lookup(struct osp_cache *c, const struct osp_cache_key *key, const struct osp_msg *req, struct osp_time now,
                 struct osp_wr *w, struct osp_msg *out, uint32_t *age_s)
{
    struct cache_shard  *s = cache_shard_of(c, key);
    enum osp_cache_found f;

    osp_lock_take(&s->lock);
    f = lookup_in(c, s, key, req, now, w, out, age_s);
    switch (f) {
    case OSP_CACHE_MISS:
        s->stats.misses++;
        break;
    case OSP_CACHE_HIT:
        s->stats.hits++;
        break;
    case OSP_CACHE_NOT_MODIFIED:
        s->stats.not_modified++;
        break;
    case OSP_CACHE_STALE:
        s->stats.stale++;
        break;
    }
    osp_lock_release(&s->lock);
    return f;
}

/* ---- storing ---- */

/* Max-Age of `m` in seconds [rfc7252#5.10.5], but at most the cap. */
static uint32_t
max_age_of(const struct osp_cache *c, const struct osp_msg *m)
{
    const struct osp_opt *o = osp_msg_get(m, OSP_OPT_MAX_AGE);
    uint32_t              most = atomic_load_explicit(&c->max_age, memory_order_relaxed);
    uint32_t              v;

    if (!o || !osp_opt_uint(o->val, &v))
        v = c->cfg.default_max_age;
    return v < most ? v : most;
}

/*
 * True if the request has an OSCORE option and the response has none.  Anybody on the way may have written such a
 * response.  The client that asked may judge it itself, but stored it would be a lasting forgery for other clients.
 */
static bool
lacks_protection(const struct osp_cache_key *key, const struct osp_msg *resp)
{
    return key->hidden && !osp_msg_has(resp, OSP_OPT_OSCORE);
}

/* [rfc7252#5.9] A class 2 code that is not known to be cacheable never is. */
static bool
is_cacheable(const struct osp_msg *resp)
{
    const struct osp_opt *block = osp_msg_get(resp, OSP_OPT_BLOCK2);
    uint32_t              v;

    if (resp->code != OSP_CODE(2, 5) && OSP_CODE_CLASS(resp->code) != 4 && OSP_CODE_CLASS(resp->code) != 5)
        return false;
    if (osp_msg_has(resp, OSP_OPT_OBSERVE) || osp_msg_has(resp, OSP_OPT_ECHO))  /* meant for one client and one request */
        return false;
    if (osp_msg_has(resp, OSP_OPT_LOCATION_PATH))       /* the path was written for one route, and entries serve all routes */
        return false;
    /* one block is not a representation, unless it is "number 0, no more" */
    return !block || (osp_opt_uint(block->val, &v) && (v & ~7u) == 0);
}

/* [cacheable#3.4.4] A Request-Hash in a response has to be the request's. */
static bool
hash_differs(uint16_t request_hash, const struct osp_cache_key *key, const struct osp_msg *resp)
{
    const struct osp_opt *got = osp_msg_get(resp, request_hash);

    return got && !osp_slice_eq(got->val, key->request_hash);
}

/* Copies `resp` without Max-Age into a new entry of `s`; NULL: there is no room. */
static struct cache_entry *
entry_from(struct cache_shard *s, const struct osp_cache_key *key, const struct osp_msg *resp)
{
    struct osp_msg      body;
    struct osp_wr       w;
    size_t              n;
    struct cache_entry *e;

    osp_msg_copy(&body, resp);
    osp_msg_remove(&body, OSP_OPT_MAX_AGE);
    body.token = OSP_EMPTY;
    n = osp_msg_size_udp(&body) - 4;
    e = cache_shard_make(s, key, n);
    if (!e)
        return NULL;
    w = osp_wr_to(e->bytes, key->bytes.n + n);
    osp_wr_put(&w, key->bytes);
    if (osp_msg_encode_body(&body, &w) != OSP_OK) {
        free(e);
        return NULL;
    }
    e->code = resp->code;
    return e;
}

static bool
store_in(struct cache_shard *s, const struct osp_cache_key *key, const struct osp_msg *resp, uint32_t max_age,
         struct osp_time now)
{
    struct cache_entry *old = cache_shard_find(s, key);
    struct cache_entry *e;
    bool                visited = old && old->visited;

    if (old)
        cache_shard_remove(s, old);
    e = entry_from(s, key, resp);
    if (!e)
        return false;
    e->stored_us = now.us;
    e->fresh_us = now.us + OSP_SEC(max_age);
    e->hop_limit = key->hop_limit;
    e->visited = visited;
    cache_shard_add(s, e, key);
    return true;
}

enum osp_cache_kept
osp_cache_store(struct osp_cache *c, const struct osp_cache_key *key, const struct osp_msg *resp, struct osp_time now)
{
    struct cache_shard *s = cache_shard_of(c, key);
    uint32_t            max_age = max_age_of(c, resp);
    bool                plain = lacks_protection(key, resp);
    enum osp_cache_kept kept = OSP_CACHE_KEPT;

    if (hash_differs(c->cfg.request_hash, key, resp))
        kept = OSP_CACHE_WRONG_HASH;
    else if (plain || max_age == 0 || !is_cacheable(resp))
        kept = OSP_CACHE_NOT_CACHEABLE;
    else if (key->bytes.n + osp_msg_size_udp(resp) > c->cfg.max_entry)
        kept = OSP_CACHE_TOO_LARGE;
    osp_lock_take(&s->lock);
    if (kept == OSP_CACHE_KEPT && !store_in(s, key, resp, max_age, now))
        kept = OSP_CACHE_TOO_LARGE;
    if (kept == OSP_CACHE_KEPT)
        s->stats.stored++;
    else if (plain && kept == OSP_CACHE_NOT_CACHEABLE)
        s->stats.unprotected++;
    else
        s->stats.refused++;
    osp_lock_release(&s->lock);
    return kept;
}

/* Replaces each option type in `m` that `valid` has, too [rfc7252#5.9.1.3].  False: too many options. */
static bool
replace_options(struct osp_msg *m, const struct osp_msg *valid)
{
    for (size_t i = 0; i < valid->opt_count; i++)
        osp_msg_remove(m, valid->opts[i].num);
    for (size_t i = 0; i < valid->opt_count; i++)
        if (osp_msg_add(m, valid->opts[i].num, valid->opts[i].val) != OSP_OK)
            return false;
    return true;
}

static bool
refresh_in(struct osp_cache *c, struct cache_shard *s, const struct osp_cache_key *key, const struct osp_msg *valid,
           struct osp_time now)
{
    const struct osp_opt *etag = osp_msg_get(valid, OSP_OPT_ETAG);
    struct cache_entry   *old = cache_shard_find(s, key);
    struct osp_msg        m;
    const struct osp_opt *own;
    struct cache_entry   *e;

    if (!etag || !old || old->code != OSP_CODE(2, 5))
        return false;
    osp_msg_init(&m, old->code);
    if (osp_msg_decode_body(cache_entry_body(old), &m) != OSP_OK)
        return false;
    own = osp_msg_get(&m, OSP_OPT_ETAG);
    if (!own || !osp_slice_eq(own->val, etag->val) || !replace_options(&m, valid))
        return false;
    cache_shard_detach(s, old);         /* `m` borrows from `old`, so making the new entry must not evict it */
    e = entry_from(s, key, &m);
    if (e) {
        e->visited = true;
        e->hop_limit = old->hop_limit;
        e->stored_us = now.us;
        e->fresh_us = now.us + OSP_SEC(max_age_of(c, valid));
        cache_shard_add(s, e, key);
    }
    free(old);
    return e != NULL;
}

bool
osp_cache_refresh(struct osp_cache *c, const struct osp_cache_key *key, const struct osp_msg *valid, struct osp_time now)
{
    struct cache_shard *s = cache_shard_of(c, key);
    bool                ok;

    osp_lock_take(&s->lock);
    ok = refresh_in(c, s, key, valid, now);
    s->stats.refreshed += ok;
    osp_lock_release(&s->lock);
    return ok;
}
