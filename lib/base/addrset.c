/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/addrset.h"

#include <stdlib.h>

#include "base/lock.h"

struct osp_addrset {
    struct osp_lock  lock;      /* held while addresses are copied or replaced */
    _Atomic uint64_t version;   /* counts the replacements, from 1 on */
    struct osp_ip   *ips;       /* sorted */
    size_t           count;
};

enum osp_err
osp_addrset_new(struct osp_addrset **out)
{
    struct osp_addrset *s = calloc(1, sizeof(*s));

    if (!s)
        return OSP_E_NOMEM;
    atomic_init(&s->version, 1);
    *out = s;
    return OSP_OK;
}

void
osp_addrset_free(struct osp_addrset *s)
{
    if (!s)
        return;
    free(s->ips);
    free(s);
}

static int
compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct osp_ip));
}

static bool
has(const struct osp_ip *ips, size_t count, const struct osp_ip *ip)
{
    return count > 0 && bsearch(ip, ips, count, sizeof(*ips), compare) != NULL;
}

/* Sorts the addresses and removes duplicates; returns how many are left. */
static size_t
sort(struct osp_ip *ips, size_t count)
{
    size_t n = 0;

    if (count == 0)
        return 0;
    qsort(ips, count, sizeof(*ips), compare);
    for (size_t i = 0; i < count; i++)
        if (n == 0 || !osp_ip_eq(&ips[n - 1], &ips[i]))
            ips[n++] = ips[i];
    return n;
}

static size_t
count_missing(const struct osp_ip *of, size_t of_count, const struct osp_ip *in, size_t in_count)
{
    size_t n = 0;

    for (size_t i = 0; i < of_count; i++)
        n += !has(in, in_count, &of[i]);
    return n;
}

enum osp_err
osp_addrset_replace(struct osp_addrset *s, const struct osp_ip *ips, size_t count, size_t *added, size_t *removed)
{
    struct osp_ip *fresh = calloc(count ? count : 1, sizeof(*fresh)), *old = s->ips;
    size_t         old_count = s->count;

    if (!fresh)
        return OSP_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        fresh[i] = ips[i];
    count = sort(fresh, count);
    *added = count_missing(fresh, count, old, old_count);
    *removed = count_missing(old, old_count, fresh, count);
    if (*added + *removed == 0) {       /* the set is unchanged, so no view has to be copied */
        free(fresh);
        return OSP_OK;
    }
    osp_lock_take(&s->lock);
    s->ips = fresh;
    s->count = count;
    atomic_fetch_add_explicit(&s->version, 1, memory_order_release);
    osp_lock_release(&s->lock);
    free(old);
    return OSP_OK;
}

size_t
osp_addrset_count(const struct osp_addrset *s)
{
    return s->count;
}

/* Copies the set into the view.  False: there is not enough memory, and the view is unchanged. */
static bool
renew(struct osp_addrview *v, struct osp_addrset *s)
{
    size_t         need = 0;
    struct osp_ip *more;

    for (;;) {
        osp_lock_take(&s->lock);
        need = s->count;
        if (need <= v->room) {
            for (size_t i = 0; i < need; i++)
                v->ips[i] = s->ips[i];
            v->count = need;
            v->version = atomic_load_explicit(&s->version, memory_order_relaxed);
            osp_lock_release(&s->lock);
            return true;
        }
        osp_lock_release(&s->lock);
        more = realloc(v->ips, need * sizeof(*more));
        if (!more)
            return false;
        v->ips = more;
        v->room = need;
    }
}

bool
osp_addrview_has(struct osp_addrview *v, struct osp_addrset *s, const struct osp_ip *ip)
{
    bool found;

    if (!s)
        return false;
    if (atomic_load_explicit(&s->version, memory_order_acquire) == v->version || renew(v, s))
        return has(v->ips, v->count, ip);
    osp_lock_take(&s->lock);
    found = has(s->ips, s->count, ip);
    osp_lock_release(&s->lock);
    return found;
}

void
osp_addrview_fini(struct osp_addrview *v)
{
    free(v->ips);
    *v = (struct osp_addrview){ 0 };
}
