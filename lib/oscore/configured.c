/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open addressing over pointers: 8 bytes a slot, half of them used at most, so a million contexts cost
 * 16 MiB here.  Hashed by Recipient ID alone, so that contexts which differ only in their ID Context are
 * neighbours and a request without kid context finds all of them in one walk.
 */
#include "oscore/configured.h"

#include <stdlib.h>

struct osp_octx_configured {
    struct osp_hash_key key;
    size_t              mask, count, bound;
    struct osp_octx   **slots;
};

enum osp_err
osp_octx_configured_new(size_t bound, struct osp_hash_key key, struct osp_octx_configured **out)
{
    struct osp_octx_configured *t = calloc(1, sizeof(*t));
    size_t                      n = 16;

    while (n / 2 < bound)
        n *= 2;
    if (t)
        t->slots = calloc(n, sizeof(*t->slots));
    if (!t || !t->slots) {
        free(t);
        return OSP_E_NOMEM;
    }
    t->key = key;
    t->mask = n - 1;
    t->bound = n / 2;
    *out = t;
    return OSP_OK;
}

void
osp_octx_configured_free(struct osp_octx_configured *t)
{
    if (!t)
        return;
    for (size_t i = 0; i <= t->mask; i++)
        osp_octx_unref(t->slots[i]);
    free(t->slots);
    free(t);
}

static bool
same_id_context(const struct osp_octx *c, bool has, struct osp_slice id_context)
{
    struct osp_slice own = OSP_EMPTY;
    bool             has_own = osp_octx_id_context(c, &own);

    return has == has_own && (!has || osp_slice_eq(own, id_context));
}

enum osp_err
osp_octx_configured_add(struct osp_octx_configured *t, struct osp_octx *c)
{
    struct osp_slice rid = osp_octx_recipient_id(c);
    struct osp_slice id_context = OSP_EMPTY;
    bool             has = osp_octx_id_context(c, &id_context);
    size_t           i = osp_hash(&t->key, rid) & t->mask;

    if (t->count >= t->bound)
        return OSP_E_NOMEM;
    for (; t->slots[i]; i = (i + 1) & t->mask)
        if (osp_slice_eq(osp_octx_recipient_id(t->slots[i]), rid) && same_id_context(t->slots[i], has, id_context))
            return OSP_E_EXISTS;
    osp_octx_ref(c);
    t->slots[i] = c;
    t->count++;
    return OSP_OK;
}

struct osp_octx *
osp_octx_configured_find(const struct osp_octx_configured *t, struct osp_slice kid, bool has_kid_context,
                         struct osp_slice kid_context)
{
    struct osp_octx *only = NULL;
    size_t           matches = 0;

    for (size_t i = osp_hash(&t->key, kid) & t->mask; t->slots[i]; i = (i + 1) & t->mask) {
        struct osp_octx *c = t->slots[i];

        if (!osp_slice_eq(osp_octx_recipient_id(c), kid))
            continue;
        if (same_id_context(c, has_kid_context, kid_context))
            return c;
        only = c;
        matches++;
    }
    /* [rfc8613#5.1] the kid context may be left out where the kid alone identifies the context */
    return !has_kid_context && matches == 1 ? only : NULL;
}

bool
osp_octx_configured_has_id(const struct osp_octx_configured *t, struct osp_slice kid)
{
    for (size_t i = osp_hash(&t->key, kid) & t->mask; t->slots[i]; i = (i + 1) & t->mask)
        if (osp_slice_eq(osp_octx_recipient_id(t->slots[i]), kid))
            return true;
    return false;
}

size_t
osp_octx_configured_count(const struct osp_octx_configured *t)
{
    return t->count;
}
