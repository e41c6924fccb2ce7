/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of next hops and their addresses, for as long as their TTL says.  A name is asked for once; every
 * exchange that needs it meanwhile waits at the same entry.
 */
#include "proxy/access/access.h"

static void
name_free(struct osp_proxy *px, struct px_name *n)
{
    osp_table_remove(&px->names, &n->node);
    osp_list_remove(&n->lru);
    osp_list_remove(&n->ask);
    osp_pool_put(&px->pool, n, sizeof(*n));
    px->stats.names--;
}

static struct px_name *
find(struct osp_proxy *px, struct osp_slice host, uint64_t hash)
{
    for (struct osp_node *n = osp_table_first(&px->names, hash); n; n = osp_table_next(n)) {
        struct px_name *name = OSP_CONTAINER(n, struct px_name, node);

        if (osp_slice_eq(osp_slice(name->host, name->host_len), host))
            return name;
    }
    return NULL;
}

/* At the bound the name that was used longest ago goes; names that are waited for stay. */
static struct px_name *
name_new(struct osp_proxy *px, struct osp_slice host, uint64_t hash)
{
    struct px_name *n;

    if (px->stats.names >= px->cfg.max_names) {
        struct osp_list *oldest = osp_list_first(&px->name_lru);
        if (!oldest)
            return NULL;
        name_free(px, OSP_CONTAINER(oldest, struct px_name, lru));
    }
    n = osp_pool_get(&px->pool, sizeof(*n));
    if (!n)
        return NULL;
    *n = (struct px_name){ .host_len = (uint8_t)host.n };
    (void)osp_slice_copy(host, n->host, sizeof(n->host) - 1);
    osp_list_init(&n->lru);
    osp_list_init(&n->ask);
    px_queue_init(&n->waiters);
    osp_table_add(&px->names, &n->node, hash);
    px->stats.names++;
    return n;
}

static void
ask(struct osp_proxy *px, struct px_name *n)
{
    n->pending = true;
    osp_list_remove(&n->lru);
    osp_list_push(&px->name_asks, &n->ask);
}

enum osp_err
px_name_find(struct px_turn *t, struct osp_slice host, struct osp_ip *ip, struct px_name **name)
{
    uint64_t        hash = osp_hash(&t->px->seed, host);
    struct px_name *n;

    if (host.n > OSP_HOST_MAX)
        return OSP_E_BAD_URI;
    n = find(t->px, host, hash);
    if (!n)
        n = name_new(t->px, host, hash);
    if (!n)
        return OSP_E_OVERLOAD;
    if (!n->pending && n->expires_us > t->now.us) {
        osp_list_remove(&n->lru);
        osp_list_push(&t->px->name_lru, &n->lru);
        if (n->err == OSP_OK)
            *ip = n->ips[0];
        return n->err;
    }
    if (!n->pending)
        ask(t->px, n);
    *name = n;
    return OSP_E_INCOMPLETE;
}

bool
px_name_next_ask(struct osp_proxy *px, struct osp_ask *out)
{
    struct osp_list *n = osp_list_first(&px->name_asks);
    struct px_name  *name = n ? OSP_CONTAINER(n, struct px_name, ask) : NULL;

    if (!name)
        return false;
    osp_list_remove(&name->ask);
    out->kind = OSP_ASK_RESOLVE;
    memcpy(out->host, name->host, sizeof(out->host));
    return true;
}

bool
px_name_has(struct osp_proxy *px, struct osp_slice host, const struct osp_ip *ip)
{
    struct px_name *n = find(px, host, osp_hash(&px->seed, host));

    for (size_t i = 0; n && n->err == OSP_OK && i < n->count; i++)
        if (osp_ip_eq(&n->ips[i], ip))
            return true;
    return false;
}

void
px_name_wait(struct osp_proxy *px, struct px_name *n, struct px_exchange *x)
{
    px_wait_in(px, x, PX_WAIT_NAME, &n->waiters);
}

bool
px_name_resolved(struct osp_proxy *px, const char *host, enum osp_err err, const struct osp_ip *ips, size_t count,
                 uint64_t ttl_us, struct osp_time now)
{
    struct osp_slice h = osp_slice_str(host);
    struct px_name  *n = find(px, h, osp_hash(&px->seed, h));
    struct osp_list *w;

    if (!n || !n->pending)
        return false;
    n->pending = false;
    n->err = err == OSP_OK && count > 0 ? OSP_OK : OSP_E_RESOLVE;
    n->expires_us = now.us + ttl_us;
    n->count = (uint8_t)(count < PX_NAME_IPS ? count : PX_NAME_IPS);
    for (size_t i = 0; i < n->count; i++)
        n->ips[i] = ips[i];
    osp_list_remove(&n->ask);
    for (w = n->waiters.waiters.next; w != &n->waiters.waiters; w = w->next) {
        struct px_exchange *x = OSP_CONTAINER(w, struct px_exchange, wait);

        x->resolved = n->err;
        if (n->err == OSP_OK)
            x->to.ip = n->ips[0];
    }
    px_queue_release(px, &n->waiters);
    osp_list_push(&px->name_lru, &n->lru);
    return true;
}

void
px_names_free(struct osp_proxy *px)
{
    for (size_t i = 0; px->names.slots && i <= px->names.mask; i++)
        while (px->names.slots[i])
            name_free(px, OSP_CONTAINER(px->names.slots[i], struct px_name, node));
}
