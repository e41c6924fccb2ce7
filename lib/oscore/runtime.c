/* SPDX-License-Identifier: BSD-2-Clause */
#include "oscore/runtime.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/table.h"
#include "oscore/impl.h"

/* A context, or an ID that is reserved for one (then `octx` is NULL). */
struct place {
    struct osp_node    node;            /* in the table by Recipient ID */
    struct osp_node    by_purpose;      /* in the table by purpose, if there is one; 64 bits of keyed hash stand for it */
    bool               has_purpose;
    struct osp_octx   *octx;
    struct osp_recipe *recipe;          /* owned until the context is confirmed; NULL: confirmed, or needs no confirmation */
    uint8_t            kid[OSP_OSCORE_ID_MAX];
    uint8_t            kid_len;
};

struct osp_octx_runtime {
    struct osp_lock     lock;
    struct osp_hash_key key;
    struct osp_table    table, purposes;
    size_t              bound, count;   /* count: contexts in the table, reserved IDs left out */
    atomic_size_t       unconfirmed;    /* places with a recipe; read without the lock, since there is mostly none */
};

enum osp_err
osp_octx_runtime_new(size_t bound, struct osp_hash_key key, struct osp_octx_runtime **out)
{
    struct osp_octx_runtime *l = calloc(1, sizeof(*l));

    if (!l || osp_table_init(&l->table, bound) != OSP_OK) {
        free(l);
        return OSP_E_NOMEM;
    }
    if (osp_table_init(&l->purposes, bound) != OSP_OK) {
        osp_table_fini(&l->table);
        free(l);
        return OSP_E_NOMEM;
    }
    l->key = key;
    l->bound = bound;
    *out = l;
    return OSP_OK;
}

static void
free_place(struct place *p)
{
    if (!p)
        return;
    osp_recipe_free(p->recipe);
    osp_octx_unref(p->octx);
    free(p);
}

void
osp_octx_runtime_free(struct osp_octx_runtime *l)
{
    if (!l)
        return;
    for (size_t i = 0; i <= l->table.mask; i++) {
        while (l->table.slots[i]) {
            struct place *p = OSP_CONTAINER(l->table.slots[i], struct place, node);

            osp_table_remove(&l->table, &p->node);
            free_place(p);
        }
    }
    osp_table_fini(&l->table);
    osp_table_fini(&l->purposes);
    free(l);
}

static struct osp_slice
kid_of(const struct place *p)
{
    return osp_slice(p->kid, p->kid_len);
}

/* ---- under the lock ---- */

/* The next place with this Recipient ID, from node `n` on. */
static struct place *
next_place(struct osp_node *n, struct osp_slice kid)
{
    for (; n; n = osp_table_next(n)) {
        struct place *p = OSP_CONTAINER(n, struct place, node);

        if (osp_slice_eq(kid_of(p), kid))
            return p;
    }
    return NULL;
}

static struct place *
first_place(struct osp_octx_runtime *l, struct osp_slice kid)
{
    return next_place(osp_table_first(&l->table, osp_hash(&l->key, kid)), kid);
}

static struct place *
after(const struct place *p)
{
    return next_place(osp_table_next(&p->node), kid_of(p));
}

static bool
has_id_context(const struct place *p, bool has, struct osp_slice id_context)
{
    struct osp_slice own = OSP_EMPTY;
    bool             has_own = osp_octx_id_context(p->octx, &own);

    return has == has_own && (!has || osp_slice_eq(own, id_context));
}

/* Checks that `c` fits in and clashes with no other context. */
static enum osp_err
may_add(struct osp_octx_runtime *l, struct osp_octx *c)
{
    struct osp_slice id_context = OSP_EMPTY;
    bool             has = osp_octx_id_context(c, &id_context);

    for (struct place *p = first_place(l, osp_octx_recipient_id(c)); p; p = after(p))
        if (p->octx && has_id_context(p, has, id_context))
            return OSP_E_EXISTS;
    return l->table.count >= l->bound ? OSP_E_OVERLOAD : OSP_OK;
}

static struct osp_octx *
find(struct osp_octx_runtime *l, struct osp_slice kid, bool has_kid_context, struct osp_slice kid_context)
{
    struct osp_octx *only = NULL;
    size_t           matches = 0;

    for (struct place *p = first_place(l, kid); p; p = after(p)) {
        if (!p->octx)
            continue;
        if (has_id_context(p, has_kid_context, kid_context))
            return p->octx;
        only = p->octx;
        matches++;
    }
    return !has_kid_context && matches == 1 ? only : NULL;      /* [rfc8613#5.1] */
}

/* ---- */

static struct place *
new_place(struct osp_slice kid, struct osp_octx *c)
{
    struct place *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    (void)osp_slice_copy(kid, p->kid, sizeof(p->kid));
    p->kid_len = (uint8_t)kid.n;
    p->octx = c;
    return p;
}

/* Takes `p` out of both tables; the caller frees it after releasing the lock. */
static struct place *
take_out(struct osp_octx_runtime *l, struct place *p)
{
    osp_table_remove(&l->table, &p->node);
    if (p->has_purpose)
        osp_table_remove(&l->purposes, &p->by_purpose);
    if (p->recipe)
        atomic_fetch_sub_explicit(&l->unconfirmed, 1, memory_order_relaxed);
    l->count--;
    osp_octx_put_out_of_use(p->octx);
    return p;
}

/* The unconfirmed context with this purpose; NULL: there is none. */
static struct place *
unconfirmed_for(struct osp_octx_runtime *l, uint64_t purpose)
{
    for (struct osp_node *n = osp_table_first(&l->purposes, purpose); n; n = osp_table_next(n)) {
        struct place *p = OSP_CONTAINER(n, struct place, by_purpose);

        if (p->recipe)
            return p;
    }
    return NULL;
}

static enum osp_err
add(struct osp_octx_runtime *l, struct osp_octx *c, struct osp_slice purpose, struct osp_recipe *recipe)
{
    struct osp_slice kid = osp_octx_recipient_id(c);
    uint64_t         hash = osp_hash(&l->key, purpose);
    struct place    *p = new_place(kid, c), *old = NULL;
    enum osp_err     e;

    if (!p)
        return OSP_E_NOMEM;
    osp_lock_take(&l->lock);
    e = may_add(l, c);
    if (e == OSP_OK) {
        old = recipe ? unconfirmed_for(l, hash) : NULL;
        if (old)
            old = take_out(l, old);
        osp_table_add(&l->table, &p->node, osp_hash(&l->key, kid));
        p->has_purpose = purpose.n > 0;
        if (p->has_purpose)     /* in front of older ones */
            osp_table_add(&l->purposes, &p->by_purpose, hash);
        p->recipe = recipe;
        if (recipe)
            atomic_fetch_add_explicit(&l->unconfirmed, 1, memory_order_relaxed);
        osp_octx_ref(c);
        l->count++;
    }
    osp_lock_release(&l->lock);
    if (e != OSP_OK)
        free(p);
    free_place(old);
    return e;
}

enum osp_err
osp_octx_runtime_add(struct osp_octx_runtime *l, struct osp_octx *c)
{
    return add(l, c, OSP_EMPTY, NULL);
}

enum osp_err
osp_octx_runtime_add_for(struct osp_octx_runtime *l, struct osp_octx *c, struct osp_slice purpose)
{
    return add(l, c, purpose, NULL);
}

enum osp_err
osp_octx_runtime_add_unconfirmed(struct osp_octx_runtime *l, struct osp_recipe *m, uint64_t numbers)
{
    osp_octx_lend(m->octx, numbers);
    return add(l, m->octx, osp_slice_str(m->peer), m);
}

static struct place *
place_of(struct osp_octx_runtime *l, const struct osp_octx *c)
{
    struct place *p = first_place(l, osp_octx_recipient_id(c));

    while (p && p->octx != c)
        p = after(p);
    return p;
}

struct osp_recipe *
osp_octx_runtime_confirm(struct osp_octx_runtime *l, struct osp_octx *c)
{
    struct osp_recipe *recipe = NULL;
    struct place      *p;

    if (atomic_load_explicit(&l->unconfirmed, memory_order_relaxed) == 0)
        return NULL;
    osp_lock_take(&l->lock);
    p = place_of(l, c);
    if (p && p->recipe) {
        recipe = p->recipe;
        p->recipe = NULL;
        atomic_fetch_sub_explicit(&l->unconfirmed, 1, memory_order_relaxed);
    }
    osp_lock_release(&l->lock);
    return recipe;
}

bool
osp_octx_runtime_remove(struct osp_octx_runtime *l, struct osp_octx *c)
{
    struct place *p;
    bool          was_in;

    osp_lock_take(&l->lock);
    p = place_of(l, c);
    was_in = p != NULL;
    if (p)
        p = take_out(l, p);
    osp_lock_release(&l->lock);
    free_place(p);
    return was_in;
}

struct osp_octx *
osp_octx_runtime_find(struct osp_octx_runtime *l, struct osp_slice kid, bool has_kid_context, struct osp_slice kid_context)
{
    struct osp_octx *c;

    osp_lock_take(&l->lock);
    c = find(l, kid, has_kid_context, kid_context);
    if (c)
        osp_octx_ref(c);
    osp_lock_release(&l->lock);
    return c;
}

struct osp_octx *
osp_octx_runtime_find_for(struct osp_octx_runtime *l, struct osp_slice purpose)
{
    struct osp_octx *c = NULL;
    struct osp_node *n;

    osp_lock_take(&l->lock);
    n = osp_table_first(&l->purposes, osp_hash(&l->key, purpose));
    if (n) {
        c = OSP_CONTAINER(n, struct place, by_purpose)->octx;
        osp_octx_ref(c);
    }
    osp_lock_release(&l->lock);
    return c;
}

enum osp_err
osp_octx_runtime_reserve(struct osp_octx_runtime *l, struct osp_slice kid)
{
    struct place *p;
    enum osp_err  e = OSP_OK;

    if (kid.n > OSP_OSCORE_ID_MAX)
        return OSP_E_ID_LENGTH;
    p = new_place(kid, NULL);
    if (!p)
        return OSP_E_NOMEM;
    osp_lock_take(&l->lock);
    if (first_place(l, kid))
        e = OSP_E_EXISTS;
    else if (l->table.count >= l->bound)
        e = OSP_E_OVERLOAD;
    else
        osp_table_add(&l->table, &p->node, osp_hash(&l->key, kid));
    osp_lock_release(&l->lock);
    if (e != OSP_OK)
        free(p);
    return e;
}

void
osp_octx_runtime_release(struct osp_octx_runtime *l, struct osp_slice kid)
{
    struct place *p;

    osp_lock_take(&l->lock);
    p = first_place(l, kid);
    while (p && p->octx)
        p = after(p);
    if (p)
        osp_table_remove(&l->table, &p->node);
    osp_lock_release(&l->lock);
    free(p);
}

size_t
osp_octx_runtime_count(struct osp_octx_runtime *l)
{
    size_t n;

    osp_lock_take(&l->lock);
    n = l->count;
    osp_lock_release(&l->lock);
    return n;
}
