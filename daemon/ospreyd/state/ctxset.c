/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/state/ctxset.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/list.h"
#include "oscore/b2.h"

#define CORES_MAX 16
#define FEW_CONTEXTS 2000       /* for fewer contexts further threads are not worth while */

static const struct osp_hash_key plain_hash;    /* keys are fingerprints and pointers: nobody chooses them */

/* ---- finding ---- */

static uint64_t
hash_object(const struct osp_octx *c)
{
    uintptr_t p = (uintptr_t)c;

    return osp_hash(&plain_hash, osp_slice(&p, sizeof(p)));
}

static uint64_t
hash_key(const uint8_t *key)
{
    return osp_hash(&plain_hash, osp_slice(key, OSP_STORE_KEY_LEN));
}

static struct osp_ctx_entry *
find_object(const struct osp_ctxset *set, const struct osp_octx *c)
{
    struct osp_node *n = set ? osp_table_first(&set->by_object, hash_object(c)) : NULL;

    for (; n; n = osp_table_next(n)) {
        struct osp_ctx_entry *e = OSP_CONTAINER(n, struct osp_ctx_entry, by_object);
        if (e->octx == c)
            return e;
    }
    return NULL;
}

/* The entry of a base whose current context is `c`: both have its label. */
static struct osp_ctx_entry *
find_current(const struct osp_ctxset *set, const struct osp_octx *c)
{
    uint32_t              label = osp_octx_label(c), place = set && label < set->label_end ? set->by_label[label] : 0;
    struct osp_ctx_entry *e = place ? &set->entries[place - 1] : NULL;
    struct osp_octx      *now = e && e->is_base ? osp_b2_current(e->octx) : NULL;

    osp_octx_unref(now);
    return now && now == c ? e : NULL;
}

struct osp_ctx_entry *
osp_ctxset_find(const struct osp_ctxset *set, const struct osp_octx *c)
{
    struct osp_ctx_entry *e = find_object(set, c);

    return e ? e : find_current(set, c);
}

struct osp_ctx_entry *
osp_ctxset_by_key(const struct osp_ctxset *set, const uint8_t *key)
{
    struct osp_node *n = set ? osp_table_first(&set->by_key, hash_key(key)) : NULL;

    for (; n; n = osp_table_next(n)) {
        struct osp_ctx_entry *e = OSP_CONTAINER(n, struct osp_ctx_entry, by_key);
        if (memcmp(e->key, key, OSP_STORE_KEY_LEN) == 0)
            return e;
    }
    return NULL;
}

bool
osp_ctxset_index(const struct osp_ctxset *set, const struct osp_octx *c, size_t *out)
{
    const struct osp_ctx_entry *e = osp_ctxset_find(set, c);

    if (e)
        *out = (size_t)(e - set->entries);
    return e != NULL;
}

/* ---- making ---- */

void
osp_ctxset_free(struct osp_ctxset *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++) {
        if (set->entries[i].octx)
            osp_octx_unref(set->entries[i].octx);
    }
    if (set->by_object.slots)
        osp_table_fini(&set->by_object);
    if (set->by_key.slots)
        osp_table_fini(&set->by_key);
    free(set->by_label);
    free(set->entries);
    free(set);
}

static struct osp_ctxset *
new_set(size_t count)
{
    struct osp_ctxset *set = calloc(1, sizeof(*set));

    if (!set)
        return NULL;
    set->entries = calloc(count ? count : 1, sizeof(*set->entries));
    if (!set->entries || osp_table_init(&set->by_object, count) != OSP_OK || osp_table_init(&set->by_key, count) != OSP_OK) {
        osp_ctxset_free(set);
        return NULL;
    }
    return set;
}

static struct osp_octx_params
params_of(const struct cfg_context *c)
{
    struct osp_octx_params p = {
        .aead = c->aead,
        .hkdf = c->hkdf,
        .master_secret = cfg_slice(&c->master_secret.value),
        .master_salt = cfg_slice(&c->master_salt.value),
        .sender_id = cfg_slice(&c->sender_id),
        .recipient_id = cfg_slice(&c->recipient_id),
        .has_id_context = c->has_id_context,
        .id_context = cfg_slice(&c->id_context),
    };

    return p;
}

/* One key limit: as the context has it, or else `key-limits`, or else the default of the algorithm; 0: no limit. */
static uint32_t
limit_of(const struct cfg_key_limit *own, const struct cfg_key_limit *all, uint32_t dflt)
{
    const struct cfg_key_limit *l = own->kind != CFG_LIMIT_DEFAULT ? own : all;

    return l->kind == CFG_LIMIT_DEFAULT ? dflt : l->kind == CFG_LIMIT_OFF ? 0 : l->n;
}

/*
 * A context of the configuration cannot renew its keys: unless the operator wants it to end at a limit, it goes on and
 * says so.  Anybody can make decryptions fail, so ending there would hand a context to whoever sends 16,384 datagrams.
 * The length of a message is no limit then: bodies that pass in blocks are protected as a whole, and with 64 KiB, the most
 * that limits.max-body allows, 2^20 messages leave an attacker an advantage of 2^-62 [key-limits#2.1.1].
 */
static struct osp_key_limits
limits_of(const struct osp_cfg *cfg, const struct cfg_context *c)
{
    const struct cfg_key_limits *own = &c->key_limits, *all = &cfg->key_limits;
    struct osp_key_limits        dflt = osp_key_limits_default(c->aead);
    enum cfg_at_limit            at = own->at_limit != CFG_AT_LIMIT_DEFAULT ? own->at_limit : all->at_limit;
    bool                         renews = c->rekey != CFG_REKEY_NONE;

    return (struct osp_key_limits){
        .q = limit_of(&own->q, &all->q, dflt.q),
        .v = limit_of(&own->v, &all->v, dflt.v),
        .l = limit_of(&own->l, &all->l, at == CFG_AT_LIMIT_STOP ? dflt.l : 0),
        .stop = at == CFG_AT_LIMIT_STOP || (renews && at == CFG_AT_LIMIT_DEFAULT),
    };
}

void
osp_ctx_entry_set_limits(const struct osp_ctx_entry *e)
{
    if (e->is_base)
        osp_b2_set_limits(e->octx, &e->limits);
    else
        osp_octx_set_limits(e->octx, &e->limits);
}

/* Takes the object from the old set, or makes a new one. */
static void
make_entry(const struct osp_ctxset *old, const struct osp_cfg *cfg, const struct cfg_context *c, struct osp_ctx_entry *out)
{
    struct osp_octx_params p = params_of(c);
    struct osp_ctx_entry  *had;

    out->limits = limits_of(cfg, c);
    out->is_base = c->rekey == CFG_REKEY_B2;
    out->err = out->is_base ? osp_b2_key(&p, out->key) : osp_octx_fingerprint(&p, out->key);
    if (out->err != OSP_OK)
        return;
    had = osp_ctxset_by_key(old, out->key);
    if (had) {
        osp_octx_ref(had->octx);
        out->octx = had->octx;
        return;
    }
    out->is_new = true;
    out->err = out->is_base ? osp_b2_new(&p, &out->octx) : osp_octx_new(&p, &out->octx);
    if (out->err == OSP_OK)
        osp_ctx_entry_set_limits(out);
}

/* A start with many contexts spends its time deriving keys, and each derivation is independent: so it is done on all cores. */
struct share {
    const struct osp_ctxset  *old;
    const struct osp_cfg     *cfg;
    struct osp_ctx_entry     *entries;
    size_t                    from, to;
};

static void *
make_share(void *arg)
{
    const struct share *s = arg;

    for (size_t i = s->from; i < s->to; i++)
        make_entry(s->old, s->cfg, &s->cfg->contexts[i], &s->entries[i]);
    return NULL;
}

static void
make_entries(const struct osp_ctxset *old, const struct osp_cfg *cfg, struct osp_ctxset *set)
{
    struct share shares[CORES_MAX];
    pthread_t    threads[CORES_MAX];
    bool         started[CORES_MAX] = { false };
    long         cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t       n = set->count < FEW_CONTEXTS || cores < 1 ? 1 : (size_t)cores < CORES_MAX ? (size_t)cores : CORES_MAX;

    for (size_t i = 0; i < n; i++) {
        shares[i] = (struct share){ old, cfg, set->entries, set->count * i / n, set->count * (i + 1) / n };
        started[i] = i > 0 && pthread_create(&threads[i], NULL, make_share, &shares[i]) == 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (started[i])
            (void)pthread_join(threads[i], NULL);
        else
            (void)make_share(&shares[i]);
    }
}

/* Puts an entry into the tables.  OSP_E_EXISTS: another entry has equal keys and IDs. */
static enum osp_err
index_entry(struct osp_ctxset *set, struct osp_ctx_entry *e)
{
    if (e->err != OSP_OK)
        return e->err;
    if (osp_ctxset_by_key(set, e->key))
        return OSP_E_EXISTS;
    osp_table_add(&set->by_object, &e->by_object, hash_object(e->octx));
    osp_table_add(&set->by_key, &e->by_key, hash_key(e->key));
    return OSP_OK;
}

/*
 * Gives each new context a label that no context of the old set has: exchanges in flight still read the
 * old policy, whose rules are bits by label, so the meaning of a label must not change under them.
 */
static enum osp_err
label_entries(const struct osp_ctxset *old, struct osp_ctxset *set)
{
    size_t   end = (old ? old->label_end : 0) + set->count;
    uint8_t *used = calloc(end ? end : 1, 1);
    uint32_t next = 0;

    if (!used)
        return OSP_E_NOMEM;
    for (size_t i = 0; old && i < old->count; i++)
        used[osp_octx_label(old->entries[i].octx)] = 1;
    for (size_t i = 0; i < set->count; i++) {
        struct osp_ctx_entry *e = &set->entries[i];

        if (e->is_new) {
            while (used[next])
                next++;
            used[next] = 1;
            osp_octx_set_label(e->octx, next);
        }
        if (osp_octx_label(e->octx) >= set->label_end)
            set->label_end = osp_octx_label(e->octx) + 1;
    }
    free(used);
    set->by_label = calloc((size_t)set->label_end + 1, sizeof(*set->by_label));
    for (size_t i = 0; set->by_label && i < set->count; i++)
        set->by_label[osp_octx_label(set->entries[i].octx)] = (uint32_t)i + 1;
    return set->by_label ? OSP_OK : OSP_E_NOMEM;
}

enum osp_err
osp_ctxset_make(const struct osp_ctxset *old, const struct osp_cfg *cfg, struct osp_ctxset **out, char why[OSP_STORE_WHY_MAX])
{
    struct osp_ctxset *set = new_set(cfg->context_count);

    if (!set) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "contexts: out of memory");
        return OSP_E_NOMEM;
    }
    set->count = cfg->context_count;
    make_entries(old, cfg, set);
    for (size_t i = 0; i < set->count; i++) {
        enum osp_err e = index_entry(set, &set->entries[i]);

        if (e != OSP_OK) {
            (void)snprintf(why, OSP_STORE_WHY_MAX, "context %s: %s", cfg->contexts[i].name,
                           e == OSP_E_EXISTS ? "same keys and IDs as another context" : osp_err_text(e));
            osp_ctxset_free(set);
            return e;
        }
    }
    if (label_entries(old, set) != OSP_OK) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "contexts: out of memory");
        osp_ctxset_free(set);
        return OSP_E_NOMEM;
    }
    *out = set;
    return OSP_OK;
}
