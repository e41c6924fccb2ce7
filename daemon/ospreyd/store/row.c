/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/store/lmdb.h"

#define PLATE "osprey-state"
#define KEPT_OLD "kept:"
#define BASE_OLD "idof:"

static const struct osp_hash_key fixed = { 0x6f73707265792d73u, 0x746174652d763031u };

struct osp_slice
osp_store_head_name(void)
{
    static const uint8_t name[] = { 0 }; /* sorts before all other names, so that raw.c finds it in the first leaf */

    return osp_slice(name, sizeof(name));
}

struct osp_slice
osp_store_plate_name(void)
{
    return osp_slice_str(PLATE);
}

struct osp_slice
osp_store_row_name(enum osp_store_table table, const uint8_t key[OSP_STORE_KEY_LEN], uint8_t dst[OSP_STORE_NAME_LEN])
{
    struct osp_wr w = osp_wr_to(dst, OSP_STORE_NAME_LEN);

    osp_wr_u8(&w, (uint8_t)table);
    osp_wr_put(&w, osp_slice(key, OSP_STORE_KEY_LEN));
    return osp_wr_slice(&w);
}

/* ---- hashes ---- */

struct osp_store_sum
osp_store_hash(struct osp_slice name, struct osp_slice value)
{
    struct osp_hash128   h = osp_hash_begin(&fixed);
    struct osp_store_sum out;

    osp_hash_word(&h, name.n << 32 | value.n);
    osp_hash_piece(&h, name);
    osp_hash_piece(&h, value);
    osp_hash_end(&h, out.w);
    return out;
}

void
osp_store_sum_add(struct osp_store_sum *sum, struct osp_store_sum h)
{
    sum->w[0] += h.w[0];
    sum->w[1] += h.w[1];
}

void
osp_store_sum_sub(struct osp_store_sum *sum, struct osp_store_sum h)
{
    sum->w[0] -= h.w[0];
    sum->w[1] -= h.w[1];
}

/* The check that rows of formats 1 and 2 have, and the head. */
static uint64_t
check_of(struct osp_slice name, struct osp_slice value)
{
    uint8_t       both[OSP_STORE_OLD_NAME_MAX + OSP_STORE_VALUE_MAX];
    struct osp_wr w = osp_wr_to(both, sizeof(both));
    uint64_t      h;

    osp_wr_put(&w, name);
    osp_wr_put(&w, value);
    h = osp_hash(&fixed, osp_wr_slice(&w));
    osp_wipe(both, w.n); /* a kept context has secrets in it */
    return h;
}

/* ---- checks ---- */

/* Splits a stored value: the value itself, and behind it its check.  False: it is too short or too long. */
static bool
split(struct osp_slice whole, struct osp_slice *value, uint64_t *check)
{
    struct osp_rd r = osp_rd_from(whole);

    if (whole.n < OSP_STORE_CHECK_LEN || whole.n > OSP_STORE_WHOLE_MAX)
        return false;
    *value = osp_rd_take(&r, whole.n - OSP_STORE_CHECK_LEN);
    *check = osp_rd_uint(&r, OSP_STORE_CHECK_LEN);
    return true;
}

struct osp_slice
osp_store_seal(struct osp_slice name, struct osp_slice value, uint8_t dst[OSP_STORE_WHOLE_MAX], struct osp_store_sum *h)
{
    struct osp_wr w = osp_wr_to(dst, OSP_STORE_WHOLE_MAX);

    *h = osp_store_hash(name, value);
    osp_wr_put(&w, value);
    osp_wr_uint(&w, h->w[0], OSP_STORE_CHECK_LEN);
    return osp_wr_slice(&w);
}

bool
osp_store_unseal(struct osp_slice name, struct osp_slice whole, struct osp_slice *value, struct osp_store_sum *h)
{
    struct osp_slice v;
    uint64_t         check;

    if (name.n != OSP_STORE_NAME_LEN || !split(whole, &v, &check))
        return false;
    *h = osp_store_hash(name, v);
    if (h->w[0] != check)
        return false;
    *value = v;
    return true;
}

bool
osp_store_unseal_old(struct osp_slice name, struct osp_slice whole, struct osp_slice *value)
{
    struct osp_slice v;
    uint64_t         check;

    if (name.n > OSP_STORE_OLD_NAME_MAX || !split(whole, &v, &check) || check_of(name, v) != check)
        return false;
    *value = v;
    return true;
}

bool
osp_store_old_place(struct osp_slice name, enum osp_store_table *table, uint8_t key[OSP_STORE_KEY_LEN])
{
    struct osp_slice prefix = osp_slice_head(name, 5);

    if (name.n == OSP_STORE_KEY_LEN)
        *table = OSP_STORE_OLD;
    else if (name.n == OSP_STORE_OLD_NAME_MAX && osp_slice_eq(prefix, osp_slice_str(KEPT_OLD)))
        *table = OSP_STORE_KEPT;
    else if (name.n == OSP_STORE_OLD_NAME_MAX && osp_slice_eq(prefix, osp_slice_str(BASE_OLD)))
        *table = OSP_STORE_BASE;
    else
        return false;
    (void)osp_slice_copy(osp_slice_tail(name, name.n - OSP_STORE_KEY_LEN), key, OSP_STORE_KEY_LEN);
    return true;
}

/* ---- the head ---- */

static struct osp_slice
finish(struct osp_wr *w, struct osp_slice name)
{
    osp_wr_uint(w, check_of(name, osp_wr_slice(w)), OSP_STORE_CHECK_LEN);
    return osp_wr_slice(w);
}

struct osp_slice
osp_store_head_encode(const struct osp_store_head *h, uint8_t dst[OSP_STORE_HEAD_MAX])
{
    struct osp_wr w = osp_wr_to(dst, OSP_STORE_HEAD_MAX);

    osp_wr_u32(&w, OSP_STORE_VERSION);
    osp_wr_u32(&w, h->run);
    osp_wr_u32(&w, h->valid_from);
    osp_wr_u32(&w, h->dirty);
    osp_wr_uint(&w, h->seq, 8);
    osp_wr_uint(&w, h->txn, 8);
    osp_wr_uint(&w, h->file.inode, 8);
    osp_wr_uint(&w, h->file.born, 8);
    for (size_t t = 1; t < OSP_STORE_TABLES; t++)
        osp_wr_uint(&w, h->count[t], 8);
    osp_wr_uint(&w, h->sum.w[0], 8);
    osp_wr_uint(&w, h->sum.w[1], 8);
    return finish(&w, osp_store_head_name());
}

bool
osp_store_head_decode(struct osp_slice whole, struct osp_store_head *out)
{
    struct osp_store_head h = { 0 };
    struct osp_slice      v;
    struct osp_rd         r;

    if (!osp_store_unseal_old(osp_store_head_name(), whole, &v))
        return false;
    r = osp_rd_from(v);
    h.version = osp_rd_u32(&r);
    if (h.version == OSP_STORE_VERSION) {
        h.run = osp_rd_u32(&r);
        h.valid_from = osp_rd_u32(&r);
        h.dirty = osp_rd_u32(&r) != 0;
        h.seq = osp_rd_uint(&r, 8);
        h.txn = osp_rd_uint(&r, 8);
        h.file.inode = osp_rd_uint(&r, 8);
        h.file.born = osp_rd_uint(&r, 8);
        for (size_t t = 1; t < OSP_STORE_TABLES; t++)
            h.count[t] = osp_rd_uint(&r, 8);
        h.sum.w[0] = osp_rd_uint(&r, 8);
        h.sum.w[1] = osp_rd_uint(&r, 8);
        if (!osp_rd_done(&r))
            return false;
    }
    *out = h;
    return true;
}

struct osp_slice
osp_store_plate_encode(uint8_t dst[OSP_STORE_HEAD_MAX])
{
    struct osp_wr w = osp_wr_to(dst, OSP_STORE_HEAD_MAX);

    osp_wr_u32(&w, OSP_STORE_VERSION);
    return finish(&w, osp_store_plate_name());
}

bool
osp_store_plate_decode(struct osp_slice whole, struct osp_store_head *out)
{
    struct osp_store_head h = { 0 };
    struct osp_slice      v;
    struct osp_rd         r;

    if (!osp_store_unseal_old(osp_store_plate_name(), whole, &v))
        return false;
    r = osp_rd_from(v);
    h.version = osp_rd_u32(&r);
    if (h.version < OSP_STORE_VERSION) {
        h.run = osp_rd_u32(&r);
        h.valid_from = osp_rd_u32(&r);
        h.dirty = osp_rd_u32(&r) != 0;
    }
    if (osp_rd_bad(&r))
        return false;
    *out = h;
    return true;
}
