/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/kept.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "proxy/target.h"
#include "base/list.h"
#include "base/table.h"
#include "crypto/crypto.h"

#define FLUSH_MAX 256           /* entries written or forgotten in one batch */
#define LIVE_SPARE 256          /* a context that comes is in the live table before its reservation and the oldest go */
#define RECORD_BYTES OSP_STORE_VALUE_MAX
#define VERSION 3

/*
 * Contexts of the configuration keep a quarter of the store to themselves, whatever comes from outside.  Sizes are those of the
 * longest rows in pages that are two thirds full: of a kept context with its records, and of another row.
 */
#define SHARE_PERCENT 75
#define BYTES_KEPT 1024
#define BYTES_ROW 160
#define FILL_MAX 95             /* nothing is added to a store that is fuller than this, in per cent */

enum work { NOTHING, WRITE, FORGET };

struct entry {
    struct osp_list  link;              /* in `all`, oldest first, until it goes */
    struct osp_list  guest;             /* in `guests`, oldest first, if it is one */
    struct osp_list  todo;              /* in `todo` while the store has to hear of it */
    struct osp_node  by_object, by_peer;
    struct osp_made *made;
    enum work        batch;             /* what the batch that runs does with it */
    bool             gone;
    bool             recorded;          /* the store knows it */
    uint64_t         serial;            /* older ones have a lower one */
    uint64_t         made_s, expires_s; /* time of day; expires 0: never */
    struct osp_key_names names;         /* under that of the Sender Key the store has it */
};

struct credential { char *name; uint64_t print; };

struct osp_kept {
    struct osp_kept_cfg   cfg;
    struct osp_octx_live *live;
    pthread_mutex_t       lock;         /* guards what follows */
    struct osp_table      by_object, by_peer;
    struct osp_list       all, guests, todo;
    size_t                room;         /* contexts that the store has room for */
    struct osp_kept_stats stats;
    struct credential    *creds;        /* by label */
    size_t                cred_count;
};

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
    k->room = SIZE_MAX;                 /* until the store is known, or if there is none */
    (void)pthread_mutex_init(&k->lock, NULL);
    osp_list_init(&k->all);
    osp_list_init(&k->guests);
    osp_list_init(&k->todo);
    if (e == OSP_OK)
        e = osp_table_init(&k->by_object, cfg->bound);
    if (e == OSP_OK)
        e = osp_table_init(&k->by_peer, cfg->bound);
    if (e == OSP_OK)
        e = osp_octx_live_new(cfg->bound + cfg->reserved + LIVE_SPARE, key, &k->live);
    if (e != OSP_OK) {
        osp_kept_free(k);
        return e;
    }
    *out = k;
    return OSP_OK;
}

static void
free_entry(struct entry *e)
{
    osp_list_remove(&e->link);
    osp_list_remove(&e->guest);
    osp_list_remove(&e->todo);
    osp_made_free(e->made);
    free(e);
}

void
osp_kept_free(struct osp_kept *k)
{
    struct osp_list *n;

    if (!k)
        return;
    while ((n = osp_list_first(&k->all)) != NULL)
        free_entry(OSP_CONTAINER(n, struct entry, link));
    while ((n = osp_list_first(&k->todo)) != NULL)
        free_entry(OSP_CONTAINER(n, struct entry, todo));
    if (k->by_object.slots)
        osp_table_fini(&k->by_object);
    if (k->by_peer.slots)
        osp_table_fini(&k->by_peer);
    osp_octx_live_free(k->live);
    for (size_t i = 0; i < k->cred_count; i++)
        free(k->creds[i].name);
    free(k->creds);
    (void)pthread_mutex_destroy(&k->lock);
    free(k);
}

struct osp_octx_live *
osp_kept_live(const struct osp_kept *k)
{
    return k->live;
}

/* ---- labels ---- */

uint32_t
osp_kept_label(struct osp_kept *k, const char *name, uint64_t print)
{
    uint32_t           label = 0;
    struct credential *more;

    (void)pthread_mutex_lock(&k->lock);
    for (size_t i = 0; i < k->cred_count && !label; i++)
        if (k->creds[i].print == print && strcmp(k->creds[i].name, name) == 0)
            label = OSP_MADE_LABEL | (uint32_t)i;
    more = label ? NULL : reallocarray(k->creds, k->cred_count + 1, sizeof(*more));
    if (more) {
        k->creds = more;
        more[k->cred_count] = (struct credential){ strdup(name), print };
        if (more[k->cred_count].name)
            label = OSP_MADE_LABEL | (uint32_t)k->cred_count++;
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

static struct entry *
find(struct osp_kept *k, const struct osp_octx *c)
{
    for (struct osp_node *n = osp_table_first(&k->by_object, hash_object(c)); n; n = osp_table_next(n)) {
        struct entry *e = OSP_CONTAINER(n, struct entry, by_object);

        if (e->made->octx == c)
            return e;
    }
    return NULL;
}

/* No new request finds it from here on; the store forgets it with the next batch. */
static void
let_go(struct osp_kept *k, struct entry *e)
{
    (void)osp_octx_live_remove(k->live, e->made->octx);
    osp_table_remove(&k->by_object, &e->by_object);
    osp_table_remove(&k->by_peer, &e->by_peer);
    osp_list_remove(&e->link);
    osp_list_remove(&e->guest);
    osp_list_remove(&e->todo);
    k->stats.count--;
    osp_made_wipe(e->made);
    e->gone = true;
    if (e->recorded || e->batch != NOTHING)
        osp_list_push(&k->todo, &e->todo);
    else
        free_entry(e);
}

static uint64_t
hash_peer(const struct osp_made *m)
{
    uint8_t       both[OSP_MADE_NAME_MAX + OSP_MADE_PEER_MAX];
    struct osp_wr w = osp_wr_to(both, sizeof(both));

    if (!m->leads)              /* to a place leads one, whoever has proven to be there */
        osp_wr_put(&w, osp_slice(m->name, strlen(m->name) + 1));
    osp_wr_put(&w, osp_slice_str(m->peer));
    return osp_hash(&plain_hash, osp_wr_slice(&w));
}

static bool
is_guest(const struct osp_kept *k, const struct osp_made *m)
{
    return k->cfg.guests && strcmp(k->cfg.guests, m->name) == 0;
}

static void
insert(struct osp_kept *k, struct entry *e)
{
    osp_table_add(&k->by_object, &e->by_object, hash_object(e->made->octx));
    osp_table_add(&k->by_peer, &e->by_peer, hash_peer(e->made));
    osp_list_push(&k->all, &e->link);
    if (is_guest(k, e->made))
        osp_list_push(&k->guests, &e->guest);
    if (!e->recorded)
        osp_list_push(&k->todo, &e->todo);
    k->stats.count++;
}

static bool
is_same_peer(const struct osp_made *a, const struct osp_made *b)
{
    return a->leads == b->leads && (a->leads || strcmp(a->name, b->name) == 0) && strcmp(a->peer, b->peer) == 0;
}

/* The oldest of the same peer, if it has its share already. */
static struct entry *
surplus_of(struct osp_kept *k, const struct osp_made *m)
{
    struct entry *oldest = NULL;
    size_t        same = 0;

    for (struct osp_node *n = osp_table_first(&k->by_peer, hash_peer(m)); n; n = osp_table_next(n)) {
        struct entry *e = OSP_CONTAINER(n, struct entry, by_peer);

        if (!is_same_peer(e->made, m))
            continue;
        if (!oldest || e->serial < oldest->serial)
            oldest = e;
        same++;
    }
    return same >= (m->leads ? 1 : k->cfg.per_peer) ? oldest : NULL;
}

static size_t
limit_of(const struct osp_kept *k)
{
    return k->cfg.bound < k->room ? k->cfg.bound : k->room;
}

/* Whoever can make identities in any number must not be able to drive out those that somebody vouches for. */
static struct entry *
first_to_go(struct osp_kept *k)
{
    struct osp_list *guest = osp_list_first(&k->guests), *any = osp_list_first(&k->all);

    if (guest)
        return OSP_CONTAINER(guest, struct entry, guest);
    return any ? OSP_CONTAINER(any, struct entry, link) : NULL;
}

/* False: there is none, and `m` may not have that of another. */
static bool
make_room(struct osp_kept *k, const struct osp_made *m)
{
    struct entry *e = k->cfg.per_peer || m->leads ? surplus_of(k, m) : NULL;

    if (e) {
        k->stats.replaced++;
        let_go(k, e);
        return true;
    }
    if (k->stats.count < limit_of(k))
        return true;
    if (is_guest(k, m) && osp_list_empty(&k->guests)) {
        k->stats.no_room++;
        return false;
    }
    if (k->room < k->cfg.bound)
        k->stats.no_room++;
    else
        k->stats.replaced++;
    e = first_to_go(k);
    if (e)
        let_go(k, e);
    return true;
}

static struct entry *
new_entry(struct osp_made *m)
{
    struct entry *e = calloc(1, sizeof(*e));

    if (!e)
        return NULL;
    osp_list_init(&e->link);
    osp_list_init(&e->guest);
    osp_list_init(&e->todo);
    e->made = m;
    if (osp_octx_key_names(m->octx, &e->names) == OSP_OK)
        return e;
    free(e);
    return NULL;
}

/* Under the lock. */
static bool
take_in(struct osp_kept *k, struct entry *e)
{
    e->serial = ++k->stats.added;
    if (!make_room(k, e->made))
        return false;
    insert(k, e);
    osp_octx_lease_failed(e->made->octx);   /* one that was lent numbers wants leases from here on */
    return true;
}

bool
osp_kept_add(struct osp_kept *k, struct osp_made *m, uint64_t now_s)
{
    struct entry *e = new_entry(m);
    bool          taken;

    if (!e) {
        (void)osp_octx_live_remove(k->live, m->octx);
        osp_made_free(m);
        return false;
    }
    e->made_s = now_s;
    e->expires_s = k->cfg.lifetime_s ? now_s + k->cfg.lifetime_s : 0;
    (void)pthread_mutex_lock(&k->lock);
    taken = take_in(k, e);
    if (!taken) {
        (void)osp_octx_live_remove(k->live, m->octx);
        free_entry(e);
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

/* ---- the store ---- */

/* What vouched for `c`. */
static uint64_t
print_of(const struct osp_kept *k, const struct osp_octx *c)
{
    uint32_t i = osp_octx_label(c) & ~OSP_MADE_LABEL;

    return i < k->cred_count ? k->creds[i].print : 0;
}

static enum osp_err
write_entry(struct osp_kept *k, struct osp_store *s, struct entry *e)
{
    uint8_t                     bytes[RECORD_BYTES];
    struct osp_wr               w = osp_wr_to(bytes, sizeof(bytes));
    struct osp_sender_record    sender = { .limit = osp_octx_ssn(e->made->octx).limit };   /* it may have had some already */
    struct osp_recipient_record recipient = { .has_window = false };
    enum osp_err                err;

    osp_wr_u8(&w, VERSION);
    osp_wr_uint(&w, e->made_s, 8);
    osp_wr_uint(&w, e->expires_s, 8);
    osp_wr_uint(&w, print_of(k, e->made->octx), 8);
    osp_made_write(e->made, &w);
    err = osp_wr_bad(&w) ? OSP_E_NOSPACE : osp_record_keep(s, &e->names, osp_wr_slice(&w));
    osp_wipe(bytes, sizeof(bytes));
    osp_octx_usage_ahead(e->made->octx, &sender.used_q, &recipient.used_v);
    if (err == OSP_OK)
        err = osp_record_put_sender(s, e->names.sender, &sender);
    return err == OSP_OK ? osp_record_put_recipient(s, e->names.recipient, &recipient) : err;
}

/* Contexts that the store has room for beside its other rows.  A kept context has three rows: its own and two records. */
static size_t
room_in(const struct osp_store *s)
{
    uint64_t kept = osp_store_count(s, OSP_STORE_KEPT), rows = 0;
    size_t   all = osp_store_capacity(s) / 100 * SHARE_PERCENT, others;

    for (int t = OSP_STORE_OLD; t < OSP_STORE_TABLES; t++)
        rows += osp_store_count(s, (enum osp_store_table)t);
    others = (size_t)(rows > 3 * kept ? rows - 3 * kept : 0) * BYTES_ROW;
    return others < all ? (all - others) / BYTES_KEPT : 0;
}

/* Lets go what is too much, as much of it as one batch takes. */
static void
fit(struct osp_kept *k, const struct osp_store *s)
{
    k->room = room_in(s);
    for (size_t i = 0; i < FLUSH_MAX && k->stats.count > limit_of(k); i++) {
        k->stats.no_room++;
        let_go(k, first_to_go(k));
    }
}

enum osp_err
osp_kept_flush(struct osp_kept *k, struct osp_store *s)
{
    size_t           done = 0;
    enum osp_err     err = OSP_OK;
    struct osp_list *n, *next;

    (void)pthread_mutex_lock(&k->lock);
    fit(k, s);
    for (n = k->todo.next; n != &k->todo && done < FLUSH_MAX && err == OSP_OK; n = next) {
        struct entry *e = OSP_CONTAINER(n, struct entry, todo);

        next = n->next;
        if (!e->gone && osp_store_fill(s) > FILL_MAX) {
            k->stats.no_room++; /* the store is full of others: the batch must not fail for it */
            let_go(k, e);
            continue;
        }
        err = e->gone ? osp_record_forget_kept(s, e->names.sender) : write_entry(k, s, e);
        if (err == OSP_OK) {
            e->batch = e->gone ? FORGET : WRITE;
            done++;
        }
    }
    (void)pthread_mutex_unlock(&k->lock);
    return err;
}

/* It may have gone while it was being written: then it is forgotten with the next batch, or was never known. */
static void
settle(struct entry *e, bool committed)
{
    enum work was = e->batch;

    e->batch = NOTHING;
    if (was == WRITE && committed) {
        e->recorded = true;
        osp_made_wipe(e->made);
        if (!e->gone)
            osp_list_remove(&e->todo);
    } else if ((was == FORGET && committed) || (was == WRITE && e->gone)) {
        free_entry(e);
    }
}

void
osp_kept_flushed(struct osp_kept *k, bool committed)
{
    struct osp_list *n;

    (void)pthread_mutex_lock(&k->lock);
    n = k->todo.next;
    while (n != &k->todo) {
        struct entry *e = OSP_CONTAINER(n, struct entry, todo);

        n = n->next;
        settle(e, committed);
    }
    (void)pthread_mutex_unlock(&k->lock);
}

bool
osp_kept_is_due(struct osp_kept *k)
{
    bool due;

    (void)pthread_mutex_lock(&k->lock);
    due = !osp_list_empty(&k->todo);
    (void)pthread_mutex_unlock(&k->lock);
    return due;
}

/* ---- what an earlier run kept ---- */

static bool
is_over(uint64_t expires_s, uint64_t now_s)
{
    return expires_s && expires_s <= now_s;
}

/* NULL: out of date, not trusted any more, or not readable: to be forgotten. */
static struct entry *
read_entry(struct osp_kept *k, struct osp_slice value, uint64_t now_s, const struct osp_kept_load *how)
{
    struct osp_rd    r = osp_rd_from(value);
    bool             known = osp_rd_u8(&r) == VERSION;
    uint64_t         made_s = osp_rd_uint(&r, 8), expires_s = osp_rd_uint(&r, 8), print = osp_rd_uint(&r, 8);
    struct osp_made *m = NULL;
    struct entry    *e;

    if (!known || is_over(expires_s, now_s) || osp_made_read(&r, &m) != OSP_OK)
        return NULL;
    e = how->trusts(how->ctx, m->name, print) ? new_entry(m) : NULL;
    if (!e) {
        osp_made_free(m);
        return NULL;
    }
    e->made_s = made_s;
    e->expires_s = expires_s;
    osp_octx_set_label(m->octx, osp_kept_label(k, m->name, print));
    return e;
}

static enum osp_err
take_up(struct osp_kept *k, struct entry *e, const uint8_t *old, const struct osp_kept_load *how)
{
    enum osp_err err;

    err = osp_octx_live_add_for(k->live, e->made->octx, e->made->leads ? osp_slice_str(e->made->peer) : OSP_EMPTY);
    if (err == OSP_OK)
        err = how->restore(how->ctx, e->made->octx, old);
    if (err != OSP_OK) {
        (void)osp_octx_live_remove(k->live, e->made->octx);
        free_entry(e);
        return err == OSP_E_EXISTS || err == OSP_E_OVERLOAD ? OSP_E_NOT_FOUND : err;
    }
    e->recorded = !old;
    if (e->recorded)
        osp_made_wipe(e->made);
    (void)pthread_mutex_lock(&k->lock);
    e->serial = ++k->stats.added;
    insert(k, e);
    (void)pthread_mutex_unlock(&k->lock);
    return OSP_OK;
}

enum osp_err
osp_kept_load(struct osp_kept *k, struct osp_store *s, uint64_t now_s, const struct osp_kept_load *how)
{
    uint8_t          key[OSP_STORE_KEY_LEN];
    struct osp_slice value;
    bool             old;
    enum osp_err     err = osp_record_next_kept(s, true, key, &value, &old);

    while (err == OSP_OK) {
        struct entry *e = read_entry(k, value, now_s, how);

        err = e ? take_up(k, e, old ? key : NULL, how) : OSP_E_NOT_FOUND;
        if (err == OSP_E_NOT_FOUND || (err == OSP_OK && old))
            err = osp_record_forget_kept(s, key);
        if (err == OSP_OK)
            err = osp_record_next_kept(s, false, key, &value, &old);
    }
    return err == OSP_E_NOT_FOUND ? OSP_OK : err;
}

enum osp_err
osp_kept_each(struct osp_kept *k, enum osp_err (*fn)(void *ctx, struct osp_octx *c), void *ctx)
{
    enum osp_err     err = OSP_OK;
    struct osp_list *n;

    (void)pthread_mutex_lock(&k->lock);
    for (n = k->all.next; n != &k->all && err == OSP_OK; n = n->next) {
        struct entry *e = OSP_CONTAINER(n, struct entry, link);

        if (e->recorded)
            err = fn(ctx, e->made->octx);
    }
    (void)pthread_mutex_unlock(&k->lock);
    return err;
}

/* ---- the main thread ---- */

/* Whether entry `e` is to go. */
struct judge {
    bool      (*stays)(void *ctx, const struct osp_octx *c);
    void       *ctx;
    const char *pattern;
    uint64_t    now_s;
};

static bool
matches(const struct entry *e, const char *pattern)
{
    return osp_glob_match(pattern, e->made->name) || osp_glob_match(pattern, e->made->peer);
}

static bool
is_to_go(const struct entry *e, const struct judge *j)
{
    if (j->stays)
        return !j->stays(j->ctx, e->made->octx);
    return j->pattern ? matches(e, j->pattern) : is_over(e->expires_s, j->now_s);
}

static size_t
sweep(struct osp_kept *k, const struct judge *j, uint64_t *counter)
{
    struct osp_list *n;
    size_t           count = 0;

    (void)pthread_mutex_lock(&k->lock);
    n = k->all.next;
    while (n != &k->all) {
        struct entry *e = OSP_CONTAINER(n, struct entry, link);

        n = n->next;
        if (is_to_go(e, j)) {
            let_go(k, e);
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
        struct entry   *e = OSP_CONTAINER(n, struct entry, link);
        struct osp_octx *c = e->made->octx;
        struct osp_ssn   ssn = osp_octx_ssn(c);

        if (!matches(e, pattern))
            continue;
        shown++;
        (void)fprintf(to, "credential=%s peer=\"%s\"", e->made->name, e->made->peer);
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
    out->limit = limit_of(k);
    (void)pthread_mutex_unlock(&k->lock);
}
