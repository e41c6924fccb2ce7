/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/state/kept_impl.h"

#include <inttypes.h>
#include <stdlib.h>

#include "msg/target.h"
#include "crypto/crypto.h"

#define LIVE_SPARE 256          /* a new context is in the runtime table before its reservation leaves it */

static const struct osp_hash_key plain_hash;    /* keys are pointers: nobody chooses them */

/* ---- making ---- */

enum osp_err
osp_kept_new(const struct osp_kept_cfg *cfg, struct osp_kept **out)
{
    struct osp_kept    *k = calloc(1, sizeof(*k));
    struct osp_hash_key key;
    enum osp_err        e = k ? osp_crypto_random((uint8_t *)&key, sizeof(key)) : OSP_E_NOMEM;

    if (!k)
        return e;
    k->cfg = *cfg;
    k->room = SIZE_MAX;                 /* stays so without a store */
    (void)pthread_mutex_init(&k->lock, NULL);
    osp_list_init(&k->all);
    osp_list_init(&k->guests);
    osp_list_init(&k->todo);
    if (e == OSP_OK)
        e = osp_table_init(&k->by_object, cfg->bound);
    if (e == OSP_OK)
        e = osp_table_init(&k->by_peer, cfg->bound);
    if (e == OSP_OK)
        e = osp_octx_runtime_new(cfg->bound + cfg->reserved + LIVE_SPARE, key, &k->runtime);
    if (e != OSP_OK) {
        osp_kept_free(k);
        return e;
    }
    *out = k;
    return OSP_OK;
}

void
kept_free_entry(struct kept_entry *e)
{
    osp_list_remove(&e->link);
    osp_list_remove(&e->guest);
    osp_list_remove(&e->todo);
    osp_recipe_free(e->recipe);
    free(e);
}

void
osp_kept_free(struct osp_kept *k)
{
    struct osp_list *n;

    if (!k)
        return;
    while ((n = osp_list_first(&k->all)) != NULL)
        kept_free_entry(OSP_CONTAINER(n, struct kept_entry, link));
    while ((n = osp_list_first(&k->todo)) != NULL)
        kept_free_entry(OSP_CONTAINER(n, struct kept_entry, todo));
    if (k->by_object.slots)
        osp_table_fini(&k->by_object);
    if (k->by_peer.slots)
        osp_table_fini(&k->by_peer);
    osp_octx_runtime_free(k->runtime);
    for (size_t i = 0; i < k->cred_count; i++)
        free(k->creds[i].name);
    free(k->creds);
    (void)pthread_mutex_destroy(&k->lock);
    free(k);
}

struct osp_octx_runtime *
osp_kept_runtime(const struct osp_kept *k)
{
    return k->runtime;
}

/* ---- labels ---- */

uint32_t
osp_kept_label(struct osp_kept *k, const char *name, uint64_t print)
{
    uint32_t           label = 0;
    struct kept_credential *more;

    (void)pthread_mutex_lock(&k->lock);
    for (size_t i = 0; i < k->cred_count && !label; i++)
        if (k->creds[i].print == print && strcmp(k->creds[i].name, name) == 0)
            label = OSP_RECIPE_LABEL | (uint32_t)i;
    more = label ? NULL : reallocarray(k->creds, k->cred_count + 1, sizeof(*more));
    if (more) {
        k->creds = more;
        more[k->cred_count] = (struct kept_credential){ strdup(name), print };
        if (more[k->cred_count].name)
            label = OSP_RECIPE_LABEL | (uint32_t)k->cred_count++;
    }
    (void)pthread_mutex_unlock(&k->lock);
    return label;
}

uint32_t
osp_kept_label_end(struct osp_kept *k)
{
    uint32_t n;

    (void)pthread_mutex_lock(&k->lock);
    n = (uint32_t)k->cred_count;
    (void)pthread_mutex_unlock(&k->lock);
    return n;
}

/* ---- coming and going, under the lock ---- */

static uint64_t
hash_object(const struct osp_octx *c)
{
    uintptr_t p = (uintptr_t)c;

    return osp_hash(&plain_hash, osp_slice(&p, sizeof(p)));
}

static struct kept_entry *
find(struct osp_kept *k, const struct osp_octx *c)
{
    for (struct osp_node *n = osp_table_first(&k->by_object, hash_object(c)); n; n = osp_table_next(n)) {
        struct kept_entry *e = OSP_CONTAINER(n, struct kept_entry, by_object);

        if (e->recipe->octx == c)
            return e;
    }
    return NULL;
}

/* Ends a context: no new request finds it, and the next batch removes it from the store. */
void
kept_let_go(struct osp_kept *k, struct kept_entry *e)
{
    (void)osp_octx_runtime_remove(k->runtime, e->recipe->octx);
    osp_table_remove(&k->by_object, &e->by_object);
    osp_table_remove(&k->by_peer, &e->by_peer);
    osp_list_remove(&e->link);
    osp_list_remove(&e->guest);
    osp_list_remove(&e->todo);
    k->stats.count--;
    osp_recipe_wipe(e->recipe);
    e->gone = true;
    if (e->recorded || e->batch != NOTHING)
        osp_list_push(&k->todo, &e->todo);
    else
        kept_free_entry(e);
}

static uint64_t
hash_peer(const struct osp_recipe *m)
{
    uint8_t       both[OSP_RECIPE_NAME_MAX + OSP_RECIPE_PEER_MAX];
    struct osp_wr w = osp_wr_to(both, sizeof(both));

    if (!m->leads)              /* one context for each next hop, whichever credential was proven */
        osp_wr_put(&w, osp_slice(m->name, strlen(m->name) + 1));
    osp_wr_put(&w, osp_slice_str(m->peer));
    return osp_hash(&plain_hash, osp_wr_slice(&w));
}

static bool
is_guest(const struct osp_kept *k, const struct osp_recipe *m)
{
    return k->cfg.guests && strcmp(k->cfg.guests, m->name) == 0;
}

void
kept_insert(struct osp_kept *k, struct kept_entry *e)
{
    osp_table_add(&k->by_object, &e->by_object, hash_object(e->recipe->octx));
    osp_table_add(&k->by_peer, &e->by_peer, hash_peer(e->recipe));
    osp_list_push(&k->all, &e->link);
    if (is_guest(k, e->recipe))
        osp_list_push(&k->guests, &e->guest);
    if (!e->recorded)
        osp_list_push(&k->todo, &e->todo);
    k->stats.count++;
}

static bool
is_same_peer(const struct osp_recipe *a, const struct osp_recipe *b)
{
    return a->leads == b->leads && (a->leads || strcmp(a->name, b->name) == 0) && strcmp(a->peer, b->peer) == 0;
}

/* The oldest context of the peer of `m`, if that peer has as many as it may; otherwise NULL. */
static struct kept_entry *
surplus_of(struct osp_kept *k, const struct osp_recipe *m)
{
    struct kept_entry *oldest = NULL;
    size_t        same = 0;

    for (struct osp_node *n = osp_table_first(&k->by_peer, hash_peer(m)); n; n = osp_table_next(n)) {
        struct kept_entry *e = OSP_CONTAINER(n, struct kept_entry, by_peer);

        if (!is_same_peer(e->recipe, m))
            continue;
        if (!oldest || e->serial < oldest->serial)
            oldest = e;
        same++;
    }
    return same >= (m->leads ? 1 : k->cfg.per_peer) ? oldest : NULL;
}

size_t
kept_limit(const struct osp_kept *k)
{
    return k->cfg.bound < k->room ? k->cfg.bound : k->room;
}

/* Guests can make any number of identities, so a guest must not displace contexts that somebody vouches for. */
struct kept_entry *
kept_first_to_go(struct osp_kept *k)
{
    struct osp_list *guest = osp_list_first(&k->guests), *any = osp_list_first(&k->all);

    if (guest)
        return OSP_CONTAINER(guest, struct kept_entry, guest);
    return any ? OSP_CONTAINER(any, struct kept_entry, link) : NULL;
}

/* Makes a place for `m`.  False: there is no free place, and `m` may not displace another context. */
static bool
make_room(struct osp_kept *k, const struct osp_recipe *m)
{
    struct kept_entry *e = k->cfg.per_peer || m->leads ? surplus_of(k, m) : NULL;

    if (e) {
        k->stats.replaced++;
        kept_let_go(k, e);
        return true;
    }
    if (k->stats.count < kept_limit(k))
        return true;
    if (is_guest(k, m) && osp_list_empty(&k->guests)) {
        k->stats.no_room++;
        return false;
    }
    if (k->room < k->cfg.bound)
        k->stats.no_room++;
    else
        k->stats.replaced++;
    e = kept_first_to_go(k);
    if (e)
        kept_let_go(k, e);
    return true;
}

struct kept_entry *
kept_new_entry(struct osp_recipe *m)
{
    struct kept_entry *e = calloc(1, sizeof(*e));

    if (!e)
        return NULL;
    osp_list_init(&e->link);
    osp_list_init(&e->guest);
    osp_list_init(&e->todo);
    e->recipe = m;
    if (osp_octx_key_names(m->octx, &e->names) == OSP_OK)
        return e;
    free(e);
    return NULL;
}

/* The caller holds the lock. */
static bool
take_in(struct osp_kept *k, struct kept_entry *e)
{
    e->serial = ++k->stats.added;
    if (!make_room(k, e->recipe))
        return false;
    kept_insert(k, e);
    osp_octx_lease_failed(e->recipe->octx);   /* it may have been lent its first numbers; from now on it asks for leases */
    return true;
}

bool
osp_kept_add(struct osp_kept *k, struct osp_recipe *m, uint64_t now_s)
{
    struct kept_entry *e = kept_new_entry(m);
    bool          taken;

    if (!e) {
        (void)osp_octx_runtime_remove(k->runtime, m->octx);
        osp_recipe_free(m);
        return false;
    }
    e->made_s = now_s;
    e->expires_s = k->cfg.lifetime_s ? now_s + k->cfg.lifetime_s : 0;
    (void)pthread_mutex_lock(&k->lock);
    taken = take_in(k, e);
    if (!taken) {
        (void)osp_octx_runtime_remove(k->runtime, m->octx);
        kept_free_entry(e);
    }
    (void)pthread_mutex_unlock(&k->lock);
    return taken;
}

bool
osp_kept_has(struct osp_kept *k, const struct osp_octx *c)
{
    bool has;

    (void)pthread_mutex_lock(&k->lock);
    has = find(k, c) != NULL;
    (void)pthread_mutex_unlock(&k->lock);
    return has;
}

/* ---- the main thread ---- */

bool
kept_is_over(uint64_t expires_s, uint64_t now_s)
{
    return expires_s && expires_s <= now_s;
}

/* Decides whether entry `e` is to end. */
struct judge {
    bool      (*stays)(void *ctx, const struct osp_octx *c);
    void       *ctx;
    const char *pattern;
    uint64_t    now_s;
};

static bool
matches(const struct kept_entry *e, const char *pattern)
{
    return osp_glob_match(pattern, e->recipe->name) || osp_glob_match(pattern, e->recipe->peer);
}

static bool
is_to_go(const struct kept_entry *e, const struct judge *j)
{
    if (j->stays)
        return !j->stays(j->ctx, e->recipe->octx);
    return j->pattern ? matches(e, j->pattern) : kept_is_over(e->expires_s, j->now_s);
}

static size_t
sweep(struct osp_kept *k, const struct judge *j, uint64_t *counter)
{
    struct osp_list *n;
    size_t           count = 0;

    (void)pthread_mutex_lock(&k->lock);
    n = k->all.next;
    while (n != &k->all) {
        struct kept_entry *e = OSP_CONTAINER(n, struct kept_entry, link);

        n = n->next;
        if (is_to_go(e, j)) {
            kept_let_go(k, e);
            count++;
        }
    }
    *counter += count;
    (void)pthread_mutex_unlock(&k->lock);
    return count;
}

size_t
osp_kept_expire(struct osp_kept *k, uint64_t now_s)
{
    struct judge j = { .now_s = now_s };

    return sweep(k, &j, &k->stats.expired);
}

size_t
osp_kept_prune(struct osp_kept *k, bool (*stays)(void *ctx, const struct osp_octx *c), void *ctx)
{
    struct judge j = { .stays = stays, .ctx = ctx };

    return sweep(k, &j, &k->stats.revoked);
}

size_t
osp_kept_revoke(struct osp_kept *k, const char *pattern)
{
    struct judge j = { .pattern = pattern };

    return sweep(k, &j, &k->stats.revoked);
}

static void
put_hex(FILE *to, const char *key, struct osp_slice s)
{
    char text[2 * OSP_OSCORE_ID_MAX + 1];

    osp_hex_encode(s, text, sizeof(text));
    (void)fprintf(to, " %s=%s", key, text);
}

void
osp_kept_list(struct osp_kept *k, const char *pattern, size_t max, uint64_t now_s, FILE *to)
{
    struct osp_list *n;
    size_t           shown = 0;

    (void)pthread_mutex_lock(&k->lock);
    for (n = k->all.next; n != &k->all && shown < max; n = n->next) {
        struct kept_entry   *e = OSP_CONTAINER(n, struct kept_entry, link);
        struct osp_octx *c = e->recipe->octx;
        struct osp_ssn   ssn = osp_octx_ssn(c);

        if (!matches(e, pattern))
            continue;
        shown++;
        (void)fprintf(to, "credential=%s peer=\"%s\"", e->recipe->name, e->recipe->peer);
        put_hex(to, "sender-id", osp_octx_sender_id(c));
        put_hex(to, "recipient-id", osp_octx_recipient_id(c));
        (void)fprintf(to, " next=%" PRIu64 " leased=%" PRIu64 " age-s=%" PRIu64, ssn.next, ssn.limit,
                      now_s > e->made_s ? now_s - e->made_s : 0);
        if (e->expires_s)
            (void)fprintf(to, " expires-in-s=%" PRIu64, e->expires_s > now_s ? e->expires_s - now_s : 0);
        (void)fprintf(to, "%s\n", e->recorded ? "" : " unsaved");
    }
    (void)pthread_mutex_unlock(&k->lock);
}

void
osp_kept_stats(struct osp_kept *k, struct osp_kept_stats *out)
{
    (void)pthread_mutex_lock(&k->lock);
    *out = k->stats;
    out->limit = kept_limit(k);
    (void)pthread_mutex_unlock(&k->lock);
}
