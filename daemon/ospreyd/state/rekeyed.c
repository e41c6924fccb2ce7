/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/state/rekeyed.h"

static enum osp_err
read_records(struct osp_store *s, const struct osp_base_record *b, const uint8_t print[OSP_STORE_KEY_LEN],
             struct osp_sender_record *sender, struct osp_recipient_record *recipient)
{
    enum osp_err e;

    if (b->old)
        return osp_record_get_old(s, print, sender, recipient);
    e = osp_record_get_sender(s, b->names.sender, sender);
    return e == OSP_OK ? osp_record_get_recipient(s, b->names.recipient, recipient) : e;
}

/* Files a record that an older version wrote under the names of the keys. */
static enum osp_err
take_over(struct osp_store *s, const uint8_t base_key[OSP_STORE_KEY_LEN], struct osp_octx *c,
          const uint8_t print[OSP_STORE_KEY_LEN], const struct osp_sender_record *sender,
          const struct osp_recipient_record *recipient)
{
    struct osp_base_record b = { .id = OSP_EMPTY };
    enum osp_err           e = osp_octx_key_names(c, &b.names);

    (void)osp_octx_id_context(c, &b.id);
    if (e == OSP_OK)
        e = osp_record_put_base(s, base_key, &b);
    if (e == OSP_OK)
        e = osp_record_put_sender(s, b.names.sender, sender);
    if (e == OSP_OK)
        e = osp_record_put_recipient(s, b.names.recipient, recipient);
    return e == OSP_OK ? osp_record_drop_old(s, print) : e;
}

enum osp_err
osp_rekeyed_load(struct osp_store *s, struct osp_octx *base, const uint8_t base_key[OSP_STORE_KEY_LEN], struct osp_octx **out,
                 struct osp_sender_record *sender, struct osp_recipient_record *recipient)
{
    struct osp_base_record b = { .old = false };
    uint8_t                print[OSP_STORE_KEY_LEN];
    enum osp_err           e = osp_record_get_base(s, base_key, &b);

    if (e == OSP_OK)
        e = osp_b2_fingerprint(base, &b.id, print);
    if (e == OSP_OK)
        e = read_records(s, &b, print, sender, recipient);
    if (e == OSP_OK)
        e = osp_b2_restore(base, b.id, out);
    return e == OSP_OK && b.old ? take_over(s, base_key, *out, print, sender, recipient) : e;
}

/* Forgets the context that was current before: its keys are not used any more. */
static enum osp_err
forget(struct osp_store *s, struct osp_octx *base, const struct osp_base_record *b)
{
    uint8_t      print[OSP_STORE_KEY_LEN];
    enum osp_err e;

    if (!b->old)
        return osp_record_forget(s, &b->names);
    e = osp_b2_fingerprint(base, &b->id, print);
    return e == OSP_OK ? osp_record_drop_old(s, print) : e;
}

enum osp_err
osp_rekeyed_enroll(struct osp_store *s, struct osp_octx *base, const uint8_t base_key[OSP_STORE_KEY_LEN], struct osp_octx *c)
{
    struct osp_key_usage        used = osp_octx_usage(c);
    struct osp_sender_record    sender = { .limit = osp_octx_ssn(c).limit, .used_q = used.q };
    struct osp_recipient_record recipient = { .used_v = used.v };
    struct osp_base_record      now = { .id = OSP_EMPTY }, before = { .old = false };
    enum osp_err                e = osp_octx_key_names(c, &now.names);

    (void)osp_octx_id_context(c, &now.id);
    if (e == OSP_OK)
        e = osp_record_get_base(s, base_key, &before);
    if (e == OSP_OK && osp_slice_eq(now.id, before.id))
        return OSP_OK;
    if (e == OSP_OK)
        e = forget(s, base, &before);
    else if (e == OSP_E_NOT_FOUND)
        e = OSP_OK;
    if (e == OSP_OK)
        e = osp_record_put_base(s, base_key, &now);
    if (e == OSP_OK)
        e = osp_record_put_sender(s, now.names.sender, &sender);
    return e == OSP_OK ? osp_record_put_recipient(s, now.names.recipient, &recipient) : e;
}
