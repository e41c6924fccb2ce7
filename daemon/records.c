/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/records.h"

#define RECORD_LEN 32
#define RECORD_LEN_1 24         /* in format 1: without the use of keys */

enum osp_err
osp_record_get(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_record *out)
{
    struct osp_record r = { 0 };
    struct osp_slice  v = OSP_EMPTY;
    struct osp_rd     rd;
    enum osp_err      e = osp_store_get(s, OSP_STORE_OLD, key, &v);

    if (e != OSP_OK)
        return e;
    if (v.n != RECORD_LEN && v.n != RECORD_LEN_1)
        return OSP_E_STORE;
    rd = osp_rd_from(v);
    r.limit = osp_rd_uint(&rd, 8);
    r.window.next = osp_rd_uint(&rd, 8);
    r.window.seen = osp_rd_u32(&rd);
    r.has_window = osp_store_trusts_run(s, osp_rd_u32(&rd));
    if (v.n == RECORD_LEN) {
        r.used_q = osp_rd_u32(&rd);
        r.used_v = osp_rd_u32(&rd);
    }
    if (!r.has_window)
        r.window = (struct osp_replay){ 0 };
    *out = r;
    return OSP_OK;
}

enum osp_err
osp_record_put(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], const struct osp_record *r)
{
    uint8_t       value[RECORD_LEN];
    struct osp_wr w = osp_wr_to(value, sizeof(value));

    osp_wr_uint(&w, r->limit, 8);
    osp_wr_uint(&w, r->has_window ? r->window.next : 0, 8);
    osp_wr_u32(&w, r->has_window ? r->window.seen : 0);
    osp_wr_u32(&w, r->has_window ? osp_store_run(s) : 0);
    osp_wr_u32(&w, r->used_q);
    osp_wr_u32(&w, r->used_v);
    return osp_store_put(s, OSP_STORE_OLD, key, osp_wr_slice(&w));
}

enum osp_err
osp_record_keep(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice value)
{
    return osp_store_put(s, OSP_STORE_KEPT, key, value);
}

enum osp_err
osp_record_next_kept(struct osp_store *s, bool first, uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice *value)
{
    return osp_store_next(s, OSP_STORE_KEPT, first, key, value);
}

enum osp_err
osp_record_put_id(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice id)
{
    return osp_store_put(s, OSP_STORE_BASE, key, id);
}

enum osp_err
osp_record_get_id(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice *out)
{
    return osp_store_get(s, OSP_STORE_BASE, key, out);
}

enum osp_err
osp_record_forget(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN])
{
    enum osp_err e = osp_store_del(s, OSP_STORE_KEPT, key);

    return e == OSP_OK ? osp_store_del(s, OSP_STORE_OLD, key) : e;
}
