/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/rekeyed.h"

enum osp_err
osp_rekeyed_load(struct osp_store *s, struct osp_octx *base, const uint8_t base_key[OSP_STORE_KEY_LEN], struct osp_octx **out,
                 struct osp_record *r)
{
    struct osp_slice id = OSP_EMPTY;
    uint8_t          key[OSP_STORE_KEY_LEN];
    enum osp_err     e = osp_record_get_id(s, base_key, &id);

    if (e == OSP_OK)
        e = osp_b2_fingerprint(base, &id, key);
    if (e == OSP_OK)
        e = osp_record_get(s, key, r);
    return e == OSP_OK ? osp_b2_restore(base, id, out) : e;
}

/* What was current before goes; its numbers are of no use to anybody. */
static enum osp_err
forget(struct osp_store *s, struct osp_octx *base, struct osp_slice id)
{
    uint8_t      key[OSP_STORE_KEY_LEN];
    enum osp_err e = osp_b2_fingerprint(base, &id, key);

    return e == OSP_OK ? osp_record_forget(s, key) : e;
}

enum osp_err
osp_rekeyed_enroll(struct osp_store *s, struct osp_octx *base, const uint8_t base_key[OSP_STORE_KEY_LEN], struct osp_octx *c,
                   uint8_t key[OSP_STORE_KEY_LEN])
{
    struct osp_key_usage used = osp_octx_usage(c);
    struct osp_record    r = { .limit = osp_octx_ssn(c).limit, .used_q = used.q, .used_v = used.v };
    struct osp_slice     id = OSP_EMPTY, before = OSP_EMPTY;
    enum osp_err         e;

    (void)osp_octx_id_context(c, &id);
    e = osp_b2_fingerprint(base, &id, key);
    if (e != OSP_OK)
        return e;
    e = osp_record_get_id(s, base_key, &before);
    if (e == OSP_OK && osp_slice_eq(id, before))
        return OSP_OK;
    if (e == OSP_OK)
        e = forget(s, base, before);
    else if (e == OSP_E_NOT_FOUND)
        e = OSP_OK;
    if (e == OSP_OK)
        e = osp_record_put_id(s, base_key, id);
    return e == OSP_OK ? osp_record_put(s, key, &r) : e;
}
