/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *   SENDER     limit, used_q
 *   RECIPIENT  window (next, seen), run that saved it (0: none), used_v
 *   KEPT       KEPT_ROW, name of the Recipient Key, what its owner wrote.  Before: what its owner wrote
 *   BASE       names of Sender Key and Recipient Key, ID Context.  Before: ID Context
 *   OLD        limit, window (next, seen), run that saved it, and from format 2 on used_q, used_v
 */
#include "daemon/ospreyd/state/records.h"

#include "oscore/b2.h"

#define OLD_LEN_1 24            /* bytes of an OLD row in format 1 */
#define KEPT_ROW 4              /* first byte of a row of this version; older versions began rows with another one */
#define NAMES_LEN ((size_t)2 * OSP_KEY_NAME_LEN)        /* longer than any ID Context that an older version wrote */

_Static_assert(OSP_KEY_NAME_LEN == OSP_STORE_KEY_LEN, "a name of a key is a key of the store");
_Static_assert(OSP_B2_ID_MAX <= NAMES_LEN, "old and new rows of bases are told apart by their length");

/* ---- keys ---- */

enum osp_err
osp_record_get_sender(struct osp_store *s, const uint8_t name[OSP_KEY_NAME_LEN], struct osp_sender_record *out)
{
    struct osp_slice v = OSP_EMPTY;
    enum osp_err     e = osp_store_get(s, OSP_STORE_SENDER, name, &v);
    struct osp_rd    r = osp_rd_from(v);

    if (e != OSP_OK)
        return e;
    out->limit = osp_rd_uint(&r, 8);
    out->used_q = osp_rd_u32(&r);
    return osp_rd_done(&r) ? OSP_OK : OSP_E_STORE;
}

enum osp_err
osp_record_put_sender(struct osp_store *s, const uint8_t name[OSP_KEY_NAME_LEN], const struct osp_sender_record *r)
{
    uint8_t       value[12];
    struct osp_wr w = osp_wr_to(value, sizeof(value));

    osp_wr_uint(&w, r->limit, 8);
    osp_wr_u32(&w, r->used_q);
    return osp_store_put(s, OSP_STORE_SENDER, name, osp_wr_slice(&w));
}

/* Reads a window; none if the run that wrote it, or one since, ended uncleanly. */
static void
read_window(struct osp_store *s, struct osp_rd *r, struct osp_recipient_record *out)
{
    out->window.next = osp_rd_uint(r, 8);
    out->window.seen = osp_rd_u32(r);
    out->has_window = osp_store_trusts_run(s, osp_rd_u32(r));
    if (!out->has_window)
        out->window = (struct osp_replay){ 0 };
}

static void
write_window(struct osp_store *s, struct osp_wr *w, const struct osp_recipient_record *r)
{
    osp_wr_uint(w, r->has_window ? r->window.next : 0, 8);
    osp_wr_u32(w, r->has_window ? r->window.seen : 0);
    osp_wr_u32(w, r->has_window ? osp_store_run(s) : 0);
}

enum osp_err
osp_record_get_recipient(struct osp_store *s, const uint8_t name[OSP_KEY_NAME_LEN], struct osp_recipient_record *out)
{
    struct osp_slice v = OSP_EMPTY;
    enum osp_err     e = osp_store_get(s, OSP_STORE_RECIPIENT, name, &v);
    struct osp_rd    r = osp_rd_from(v);

    if (e != OSP_OK)
        return e;
    read_window(s, &r, out);
    out->used_v = osp_rd_u32(&r);
    return osp_rd_done(&r) ? OSP_OK : OSP_E_STORE;
}

enum osp_err
osp_record_put_recipient(struct osp_store *s, const uint8_t name[OSP_KEY_NAME_LEN], const struct osp_recipient_record *r)
{
    uint8_t       value[20];
    struct osp_wr w = osp_wr_to(value, sizeof(value));

    write_window(s, &w, r);
    osp_wr_u32(&w, r->used_v);
    return osp_store_put(s, OSP_STORE_RECIPIENT, name, osp_wr_slice(&w));
}

enum osp_err
osp_record_forget(struct osp_store *s, const struct osp_key_names *names)
{
    enum osp_err e = osp_store_del(s, OSP_STORE_SENDER, names->sender);

    return e == OSP_OK ? osp_store_del(s, OSP_STORE_RECIPIENT, names->recipient) : e;
}

enum osp_err
osp_record_check_roles(struct osp_store *s, const struct osp_key_names *names, bool *sender)
{
    struct osp_slice v;
    enum osp_err     e = osp_store_get(s, OSP_STORE_RECIPIENT, names->sender, &v);

    *sender = true;
    if (e != OSP_E_NOT_FOUND)
        return e == OSP_OK ? OSP_E_EXISTS : e;
    e = osp_store_get(s, OSP_STORE_SENDER, names->recipient, &v);
    *sender = false;
    return e == OSP_OK ? OSP_E_EXISTS : e == OSP_E_NOT_FOUND ? OSP_OK : e;
}

/* ---- contexts that no configuration holds ---- */

enum osp_err
osp_record_keep(struct osp_store *s, const struct osp_key_names *names, struct osp_slice value)
{
    uint8_t       row[OSP_STORE_VALUE_MAX];
    struct osp_wr w = osp_wr_to(row, sizeof(row));
    enum osp_err  e = OSP_E_INVALID;

    osp_wr_u8(&w, KEPT_ROW);
    osp_wr_put(&w, osp_slice(names->recipient, OSP_KEY_NAME_LEN));
    osp_wr_put(&w, value);
    if (!osp_wr_bad(&w))
        e = osp_store_put(s, OSP_STORE_KEPT, names->sender, osp_wr_slice(&w));
    osp_wipe(row, sizeof(row));
    return e;
}

/* Splits a KEPT row into the value and the name of the Recipient Key; false: an older version wrote the row. */
static bool
split_kept(struct osp_slice row, struct osp_slice *recipient, struct osp_slice *value)
{
    struct osp_rd r = osp_rd_from(row);
    bool          is_new = osp_rd_u8(&r) == KEPT_ROW;

    *recipient = osp_rd_take(&r, OSP_KEY_NAME_LEN);
    *value = is_new ? osp_rd_rest(&r) : row;
    return is_new && !osp_rd_bad(&r);
}

enum osp_err
osp_record_next_kept(struct osp_store *s, bool first, uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice *value, bool *old)
{
    struct osp_slice row = OSP_EMPTY, recipient;
    enum osp_err     e = osp_store_next(s, OSP_STORE_KEPT, first, key, &row);

    if (e == OSP_OK)
        *old = !split_kept(row, &recipient, value);
    return e;
}

enum osp_err
osp_record_forget_kept(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN])
{
    struct osp_key_names names;
    struct osp_slice     row = OSP_EMPTY, recipient, value;
    enum osp_err         e = osp_store_get(s, OSP_STORE_KEPT, key, &row);
    bool                 is_new = e == OSP_OK && split_kept(row, &recipient, &value);

    if (e != OSP_OK)
        return e == OSP_E_NOT_FOUND ? OSP_OK : e;
    memcpy(names.sender, key, sizeof(names.sender));
    if (is_new)
        (void)osp_slice_copy(recipient, names.recipient, sizeof(names.recipient));
    e = is_new ? osp_record_forget(s, &names) : osp_record_drop_old(s, key);
    return e == OSP_OK ? osp_store_del(s, OSP_STORE_KEPT, key) : e;
}

/* ---- bases ---- */

static struct osp_base_record
read_base(struct osp_slice row)
{
    struct osp_base_record out = { .id = row, .old = row.n <= NAMES_LEN };
    struct osp_rd          r = osp_rd_from(row);

    if (!out.old) {
        (void)osp_slice_copy(osp_rd_take(&r, OSP_KEY_NAME_LEN), out.names.sender, OSP_KEY_NAME_LEN);
        (void)osp_slice_copy(osp_rd_take(&r, OSP_KEY_NAME_LEN), out.names.recipient, OSP_KEY_NAME_LEN);
        out.id = osp_rd_rest(&r);
    }
    return out;
}

enum osp_err
osp_record_get_base(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_base_record *out)
{
    struct osp_slice row = OSP_EMPTY;
    enum osp_err     e = osp_store_get(s, OSP_STORE_BASE, key, &row);

    if (e == OSP_OK)
        *out = read_base(row);
    return e;
}

enum osp_err
osp_record_put_base(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], const struct osp_base_record *r)
{
    uint8_t       row[NAMES_LEN + OSP_B2_ID_MAX];
    struct osp_wr w = osp_wr_to(row, sizeof(row));

    osp_wr_put(&w, osp_slice(r->names.sender, OSP_KEY_NAME_LEN));
    osp_wr_put(&w, osp_slice(r->names.recipient, OSP_KEY_NAME_LEN));
    osp_wr_put(&w, r->id);
    return osp_wr_bad(&w) ? OSP_E_INVALID : osp_store_put(s, OSP_STORE_BASE, key, osp_wr_slice(&w));
}

/* ---- what versions before wrote ---- */

static enum osp_err
read_old(struct osp_store *s, struct osp_slice row, struct osp_sender_record *sender, struct osp_recipient_record *recipient)
{
    struct osp_rd r = osp_rd_from(row);
    bool          counts = row.n != OLD_LEN_1;

    sender->limit = osp_rd_uint(&r, 8);
    read_window(s, &r, recipient);
    sender->used_q = counts ? osp_rd_u32(&r) : 0;
    recipient->used_v = counts ? osp_rd_u32(&r) : 0;
    return osp_rd_done(&r) ? OSP_OK : OSP_E_STORE;
}

enum osp_err
osp_record_get_old(struct osp_store *s, const uint8_t print[OSP_STORE_KEY_LEN], struct osp_sender_record *sender,
                   struct osp_recipient_record *recipient)
{
    struct osp_slice row = OSP_EMPTY;
    enum osp_err     e = osp_store_get(s, OSP_STORE_OLD, print, &row);

    return e == OSP_OK ? read_old(s, row, sender, recipient) : e;
}

enum osp_err
osp_record_drop_old(struct osp_store *s, const uint8_t print[OSP_STORE_KEY_LEN])
{
    return osp_store_del(s, OSP_STORE_OLD, print);
}

enum osp_err
osp_record_old_limit(struct osp_store *s, uint64_t *out)
{
    uint8_t          key[OSP_STORE_KEY_LEN];
    struct osp_slice row = OSP_EMPTY;
    uint64_t         limit = 0;
    enum osp_err     e = osp_store_count(s, OSP_STORE_OLD) ? osp_store_next(s, OSP_STORE_OLD, true, key, &row) : OSP_E_NOT_FOUND;

    while (e == OSP_OK) {
        struct osp_sender_record    sender;
        struct osp_recipient_record recipient;

        e = read_old(s, row, &sender, &recipient);
        if (e == OSP_OK && sender.limit > limit)
            limit = sender.limit;
        if (e == OSP_OK)
            e = osp_store_next(s, OSP_STORE_OLD, false, key, &row);
    }
    *out = limit;
    return e == OSP_E_NOT_FOUND ? OSP_OK : e;
}

/* ---- the store as a whole ---- */

static const uint8_t identity_key[OSP_STORE_KEY_LEN] = "identity";
static const uint8_t floor_key[OSP_STORE_KEY_LEN] = "floor";

enum osp_err
osp_record_get_identity(struct osp_store *s, struct osp_identity *out)
{
    struct osp_slice v = OSP_EMPTY;
    enum osp_err     e = osp_store_get(s, OSP_STORE_META, identity_key, &v);
    struct osp_rd    r = osp_rd_from(v);

    if (e != OSP_OK)
        return e;
    (void)osp_slice_copy(osp_rd_take(&r, sizeof(out->store)), out->store, sizeof(out->store));
    (void)osp_slice_copy(osp_rd_take(&r, sizeof(out->machine)), out->machine, sizeof(out->machine));
    return osp_rd_done(&r) ? OSP_OK : OSP_E_STORE;
}

enum osp_err
osp_record_put_identity(struct osp_store *s, const struct osp_identity *id)
{
    uint8_t       value[2 * OSP_STORE_ID_LEN];
    struct osp_wr w = osp_wr_to(value, sizeof(value));

    osp_wr_put(&w, osp_slice(id->store, sizeof(id->store)));
    osp_wr_put(&w, osp_slice(id->machine, sizeof(id->machine)));
    return osp_store_put(s, OSP_STORE_META, identity_key, osp_wr_slice(&w));
}

enum osp_err
osp_record_get_floor(struct osp_store *s, uint64_t *out)
{
    struct osp_slice v = OSP_EMPTY;
    enum osp_err     e = osp_store_get(s, OSP_STORE_META, floor_key, &v);
    struct osp_rd    r = osp_rd_from(v);

    *out = e == OSP_OK ? osp_rd_uint(&r, 8) : 0;
    return e == OSP_E_NOT_FOUND || (e == OSP_OK && osp_rd_done(&r)) ? OSP_OK : OSP_E_STORE;
}

enum osp_err
osp_record_put_floor(struct osp_store *s, uint64_t floor)
{
    uint8_t       value[8];
    struct osp_wr w = osp_wr_to(value, sizeof(value));

    osp_wr_uint(&w, floor, 8);
    return osp_store_put(s, OSP_STORE_META, floor_key, osp_wr_slice(&w));
}

/* ---- after a loss ---- */

struct recovery { uint64_t high, skip, floor; size_t ended; };

/* The number at which a key goes on whose numbers may have been used up to `limit` when its record was written. */
static uint64_t
lift(struct recovery *v, uint64_t limit)
{
    uint64_t from = limit > v->high ? limit : v->high, to;

    to = from < OSP_SSN_END && OSP_SSN_END - from > v->skip ? from + v->skip : OSP_SSN_END;
    if (to > v->floor && to < OSP_SSN_END)
        v->floor = to;
    v->ended += to == OSP_SSN_END;
    return to;
}

static enum osp_err
lift_sender(struct osp_store *s, const uint8_t *key, struct osp_slice row, struct recovery *v)
{
    struct osp_sender_record r;
    enum osp_err             e = osp_record_get_sender(s, key, &r);

    (void)row;
    if (e != OSP_OK)
        return e;
    r.limit = lift(v, r.limit);
    return osp_record_put_sender(s, key, &r);
}

static enum osp_err
void_recipient(struct osp_store *s, const uint8_t *key, struct osp_slice row, struct recovery *v)
{
    struct osp_recipient_record r;
    enum osp_err                e = osp_record_get_recipient(s, key, &r);

    (void)row;
    (void)v;
    r.has_window = false;
    return e == OSP_OK ? osp_record_put_recipient(s, key, &r) : e;
}

static enum osp_err
lift_old(struct osp_store *s, const uint8_t *key, struct osp_slice row, struct recovery *v)
{
    uint8_t                     value[32];
    struct osp_wr               w = osp_wr_to(value, sizeof(value));
    struct osp_sender_record    sender;
    struct osp_recipient_record recipient;
    enum osp_err                e = read_old(s, row, &sender, &recipient);

    if (e != OSP_OK)
        return e;
    recipient.has_window = false;
    osp_wr_uint(&w, lift(v, sender.limit), 8);
    write_window(s, &w, &recipient);
    osp_wr_u32(&w, sender.used_q);
    osp_wr_u32(&w, recipient.used_v);
    return osp_store_put(s, OSP_STORE_OLD, key, osp_wr_slice(&w));
}

static enum osp_err
forget_kept(struct osp_store *s, const uint8_t *key, struct osp_slice row, struct recovery *v)
{
    (void)row;
    (void)v;
    return osp_record_forget_kept(s, key);
}

static enum osp_err
forget_base(struct osp_store *s, const uint8_t *key, struct osp_slice row, struct recovery *v)
{
    struct osp_base_record r = read_base(row);
    enum osp_err           e = r.old ? OSP_OK : osp_record_forget(s, &r.names);

    (void)v;
    return e == OSP_OK ? osp_store_del(s, OSP_STORE_BASE, key) : e;
}

static enum osp_err
each(struct osp_store *s, enum osp_store_table table, struct recovery *v,
     enum osp_err (*fn)(struct osp_store *s, const uint8_t *key, struct osp_slice row, struct recovery *v))
{
    uint8_t          key[OSP_STORE_KEY_LEN];
    struct osp_slice row = OSP_EMPTY;
    enum osp_err     e = osp_store_next(s, table, true, key, &row);

    while (e == OSP_OK) {
        e = fn(s, key, row, v);
        if (e == OSP_OK)
            e = osp_store_next(s, table, false, key, &row);
    }
    return e == OSP_E_NOT_FOUND ? OSP_OK : e;
}

enum osp_err
osp_record_recover(struct osp_store *s, uint64_t high, uint64_t skip, uint64_t *floor, size_t *ended)
{
    struct recovery v = { .high = high, .skip = skip };
    uint64_t        before = 0;
    enum osp_err    e = each(s, OSP_STORE_KEPT, &v, forget_kept);

    if (e == OSP_OK)
        e = each(s, OSP_STORE_BASE, &v, forget_base);
    if (e == OSP_OK)
        e = osp_record_get_floor(s, &before);
    (void)lift(&v, before);     /* a key that has no record now may have had one that was lost */
    v.ended = 0;
    if (e == OSP_OK)
        e = each(s, OSP_STORE_SENDER, &v, lift_sender);
    if (e == OSP_OK)
        e = each(s, OSP_STORE_RECIPIENT, &v, void_recipient);
    if (e == OSP_OK)
        e = each(s, OSP_STORE_OLD, &v, lift_old);
    if (e == OSP_OK && v.floor == 0)
        v.floor = OSP_SSN_END;
    if (e == OSP_OK)
        e = osp_record_put_floor(s, v.floor);
    *floor = v.floor;
    *ended = v.ended;
    return e;
}
