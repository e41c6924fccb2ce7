/* SPDX-License-Identifier: BSD-2-Clause */
/* Invalidation, purging by pattern, and statistics. */
#include <stdio.h>

#include "base/glob.h"
#include "cache/impl.h"

size_t
osp_cache_invalidate(struct osp_cache *c, const struct osp_cache_key *key, struct osp_time now)
{
    struct cache_shard *s = cache_shard_of(c, key);
    struct osp_slice    uri = osp_slice_head(key->bytes, key->uri_len);
    struct osp_list    *head;
    size_t              count = 0;

    if (key->hidden)            /* the outer message of a protected request names no resource */
        return 0;
    osp_lock_take(&s->lock);
    head = &s->uris[key->uri & s->uri_mask];
    for (struct osp_list *n = head->next; n != head; n = n->next) {
        struct cache_entry *e = OSP_CONTAINER(n, struct cache_entry, by_uri);

        if (e->uri != key->uri || !osp_slice_eq(osp_slice_head(cache_entry_key(e), key->uri_len), uri))
            continue;
        if (e->fresh_us > now.us)
            e->fresh_us = now.us;
        count++;
    }
    s->stats.invalidated += count;
    osp_lock_release(&s->lock);
    return count;
}

/* Writes the resource of `e` as a URI for people, without percent-encoding.  `w` latches when the URI is too long. */
static void
print_uri(const struct cache_entry *e, struct osp_wr *w)
{
    struct osp_rd    r = osp_rd_from(cache_entry_key(e));
    enum osp_scheme  scheme = (enum osp_scheme)osp_rd_u8(&r);
    uint16_t         port = osp_rd_u16(&r);
    struct osp_slice host = osp_rd_take(&r, osp_rd_u16(&r));
    const char      *name = osp_scheme_name(scheme);
    struct osp_ip    ip;
    bool             v6 = osp_ip_parse(host, &ip) && !osp_ip_is_v4(&ip);
    bool             query = false;

    osp_wr_put(w, osp_slice_str(name ? name : "?"));
    osp_wr_put(w, osp_slice_str(v6 ? "://[" : "://"));
    osp_wr_put(w, host);
    if (v6)
        osp_wr_u8(w, ']');
    if (port != osp_scheme_port(scheme)) {
        char text[8];
        snprintf(text, sizeof(text), ":%u", port);
        osp_wr_put(w, osp_slice_str(text));
    }
    /* the options of the resource follow in order; the next byte after them is the method, below 32 */
    for (;;) {
        struct osp_rd    ahead = r;
        uint16_t         num = osp_rd_u16(&ahead);
        struct osp_slice val = osp_rd_take(&ahead, osp_rd_u16(&ahead));

        if (osp_rd_bad(&ahead) || (num != OSP_OPT_URI_PATH && num != OSP_OPT_URI_QUERY))
            break;
        osp_wr_u8(w, num == OSP_OPT_URI_PATH ? '/' : query ? '&' : '?');
        query = query || num == OSP_OPT_URI_QUERY;
        osp_wr_put(w, val);
        r = ahead;
    }
}

static size_t
purge_shard(struct cache_shard *s, struct osp_slice pattern)
{
    uint8_t          text[2048];
    struct osp_list *n = s->queue.next;
    size_t           count = 0;

    while (n != &s->queue) {
        struct cache_entry *e = OSP_CONTAINER(n, struct cache_entry, queue);
        struct osp_wr       w = osp_wr_to(text, sizeof(text));

        n = n->next;
        print_uri(e, &w);
        if (osp_glob(pattern, osp_wr_slice(&w))) {
            cache_shard_remove(s, e);
            count++;
        }
    }
    s->stats.purged += count;
    return count;
}

size_t
osp_cache_purge(struct osp_cache *c, const char *pattern)
{
    size_t count = 0;

    for (unsigned i = 0; i < c->cfg.shards; i++) {
        osp_lock_take(&c->shards[i].lock);
        count += purge_shard(&c->shards[i], osp_slice_str(pattern));
        osp_lock_release(&c->shards[i].lock);
    }
    return count;
}

void
osp_cache_stats(struct osp_cache *c, struct osp_cache_stats *out)
{
    *out = (struct osp_cache_stats){ .limit = c->cfg.bytes };
    for (unsigned i = 0; i < c->cfg.shards; i++) {
        struct cache_shard           *s = &c->shards[i];
        const struct osp_cache_stats *t = &s->stats;

        osp_lock_take(&s->lock);
        out->hits += t->hits;
        out->misses += t->misses;
        out->stale += t->stale;
        out->not_modified += t->not_modified;
        out->stored += t->stored;
        out->refreshed += t->refreshed;
        out->invalidated += t->invalidated;
        out->evicted += t->evicted;
        out->expired += t->expired;
        out->refused += t->refused;
        out->unprotected += t->unprotected;
        out->purged += t->purged;
        out->entries += s->entries.count;
        out->bytes += s->used + (s->uri_mask + 1) * (sizeof(void *) + sizeof(struct osp_list));
        osp_lock_release(&s->lock);
    }
}
