/* SPDX-License-Identifier: BSD-2-Clause */
#include "oscore/b2.h"

#include <stdlib.h>

#include "cbor/enc.h"
#include "cbor/rd.h"
#include "crypto/digest.h"
#include "oscore/impl.h"

#define S2_LEN OSP_B2_R_LEN
#define HMAC_LEN (OSP_B2_R2_LEN - S2_LEN)
#define KEY_LEN 32
#define WRAPPED_MAX (OSP_B2_ID_MAX + 2)

struct osp_b2 {
    struct osp_octx_params params;      /* borrows from `bytes`; no ID Context */
    size_t                 byte_count;

    struct osp_lock        lock;        /* guards what follows */
    struct osp_octx       *current;     /* one reference; NULL: none yet */
    struct osp_key_limits  limits;
    uint8_t                key[KEY_LEN];        /* K_HMAC */
    bool                   has_key;
    bool                   runs;        /* a run as client is in progress */
    uint32_t               ticket;      /* changes whenever a run as server ends */

    uint8_t                bytes[];
};

/* ---- the base ---- */

enum osp_err
osp_b2_new(const struct osp_octx_params *p, struct osp_octx **out)
{
    size_t           n = p->master_secret.n + p->master_salt.n + p->sender_id.n + p->recipient_id.n;
    struct osp_b2   *b;
    struct osp_octx *c = NULL;
    struct osp_wr    w;
    enum osp_err     e = p->has_id_context ? OSP_E_INVALID : osp_octx_new(p, &c);

    if (e != OSP_OK)
        return e;
    b = calloc(1, sizeof(*b) + n);
    if (!b) {
        osp_octx_unref(c);
        return OSP_E_NOMEM;
    }
    w = osp_wr_to(b->bytes, n);
    b->byte_count = n;
    b->params = *p;
    b->params.master_secret = osp_wr_keep(&w, p->master_secret);
    b->params.master_salt = osp_wr_keep(&w, p->master_salt);
    b->params.sender_id = osp_wr_keep(&w, p->sender_id);
    b->params.recipient_id = osp_wr_keep(&w, p->recipient_id);
    c->b2 = b;
    *out = c;
    return OSP_OK;
}

void
octx_b2_free(struct osp_b2 *b)
{
    if (!b)
        return;
    osp_octx_unref(b->current);
    osp_wipe(b->bytes, b->byte_count);
    osp_wipe(b->key, sizeof(b->key));
    free(b);
}

bool
osp_b2_is_base(const struct osp_octx *c)
{
    return c->b2 != NULL;
}

struct osp_octx *
osp_b2_current(struct osp_octx *base)
{
    struct osp_octx *c;

    osp_lock_take(&base->b2->lock);
    c = base->b2->current;
    if (c)
        osp_octx_ref(c);
    osp_lock_release(&base->b2->lock);
    return c;
}

void
osp_b2_set_limits(struct osp_octx *base, const struct osp_key_limits *limits)
{
    struct osp_octx *c;

    osp_octx_set_limits(base, limits);
    osp_lock_take(&base->b2->lock);
    base->b2->limits = *limits;
    osp_lock_release(&base->b2->lock);
    c = osp_b2_current(base);
    if (c)
        osp_octx_set_limits(c, limits);
    osp_octx_unref(c);
}

/* Differs from the key of an ordinary context with these parameters, whose record means something else. */
enum osp_err
osp_b2_key(const struct osp_octx_params *p, uint8_t out[32])
{
    struct osp_slice parts[2] = { osp_slice_str("osprey b2 base 1"), osp_slice(out, 32) };
    enum osp_err     e = osp_octx_fingerprint(p, out);

    return e == OSP_OK ? osp_digest(OSP_SHA256, parts, 2, out) : e;
}

enum osp_err
osp_b2_fingerprint(const struct osp_octx *base, const struct osp_slice *id_context, uint8_t out[32])
{
    struct osp_octx_params p = base->b2->params;

    p.has_id_context = true;
    p.id_context = *id_context;
    return osp_octx_fingerprint(&p, out);
}

/* ---- contexts of a run ---- */

bool
osp_b2_unwrap(struct osp_slice kid_context, struct osp_slice *out)
{
    struct osp_cbor  c = osp_cbor_from(kid_context);
    struct osp_slice s = osp_cbor_bstr(&c);

    if (!osp_cbor_done(&c) || s.n == 0 || s.n > OSP_B2_ID_MAX)
        return false;
    *out = s;
    return true;
}

/* Pretends that a lease was asked for, so that nobody asks for one; `hold` false ends that. */
static void
hold_leases(struct osp_octx *c, bool hold)
{
    osp_lock_take(&c->lock);
    c->lease_asked = hold;
    osp_lock_release(&c->lock);
}

/* Derives the context with ID Context `id`, and `name` as its kid context. */
static enum osp_err
derive(struct osp_octx *base, struct osp_slice id, struct osp_slice name, bool names_responses, struct osp_octx **out)
{
    struct osp_octx_params p = base->b2->params;
    struct osp_replay      empty = { 0 };
    struct osp_key_limits  limits;
    uint8_t                wrapped[WRAPPED_MAX];
    struct osp_wr          w = osp_wr_to(wrapped, sizeof(wrapped));
    enum osp_err           e;

    if (id.n == 0 || id.n > OSP_B2_ID_MAX || name.n == 0)
        return OSP_E_ID_LENGTH;
    osp_cbor_put_bstr(&w, name);
    p.has_id_context = true;
    p.id_context = id;
    p.kid_context = osp_wr_slice(&w);
    p.names_responses = names_responses;
    p.label = osp_octx_label(base);
    e = osp_octx_new(&p, out);
    if (e != OSP_OK)
        return e;
    osp_lock_take(&base->b2->lock);
    limits = base->b2->limits;
    osp_lock_release(&base->b2->lock);
    osp_octx_set_limits(*out, &limits);
    osp_octx_set_window(*out, &empty);
    osp_octx_usage_restore(*out, 0, 0);
    hold_leases(*out, true);    /* most derived contexts protect one message only */
    return OSP_OK;
}

enum osp_err
osp_b2_derive(struct osp_octx *base, struct osp_slice id_context, struct osp_octx **out)
{
    return derive(base, id_context, id_context, false, out);
}

enum osp_err
osp_b2_derive_second(struct osp_octx *base, struct osp_slice r2, struct osp_slice id1, struct osp_octx **out)
{
    uint8_t       id[2 * OSP_B2_ID_MAX];
    struct osp_wr w = osp_wr_to(id, sizeof(id));

    osp_wr_put(&w, r2);
    osp_wr_put(&w, id1);
    return osp_wr_bad(&w) ? OSP_E_ID_LENGTH : derive(base, osp_wr_slice(&w), r2, true, out);
}

/* ---- R2 that proves itself ---- */

/* HMAC(K, S2), cut to HMAC_LEN. */
static enum osp_err
prove(const uint8_t key[KEY_LEN], struct osp_slice s2, uint8_t out[HMAC_LEN])
{
    uint8_t      whole[OSP_DIGEST_MAX];
    enum osp_err e = osp_hkdf_extract(OSP_SHA256, osp_slice(key, KEY_LEN), s2, whole);

    if (e == OSP_OK)
        (void)osp_slice_copy(osp_slice(whole, HMAC_LEN), out, HMAC_LEN);
    osp_wipe(whole, sizeof(whole));
    return e;
}

enum osp_err
osp_b2_make_r2(struct osp_octx *base, struct osp_randbuf *rand, uint8_t r2[OSP_B2_R2_LEN])
{
    struct osp_b2   *b = base->b2;
    uint8_t          drawn[KEY_LEN], key[KEY_LEN], s2[S2_LEN], proof[HMAC_LEN];
    struct osp_slice parts = osp_slice(s2, S2_LEN);
    struct osp_wr    w = osp_wr_to(r2, OSP_B2_R2_LEN);
    enum osp_err     e;

    osp_randbuf_take(rand, drawn, sizeof(drawn));
    osp_randbuf_take(rand, s2, sizeof(s2));
    osp_lock_take(&b->lock);
    if (!b->has_key) {
        memcpy(b->key, drawn, sizeof(drawn));
        b->has_key = true;
    }
    memcpy(key, b->key, sizeof(key));
    osp_lock_release(&b->lock);
    e = prove(key, parts, proof);
    osp_wipe(key, sizeof(key));
    osp_wipe(drawn, sizeof(drawn));
    if (e != OSP_OK)
        return e;
    osp_wr_put(&w, parts);
    osp_wr_put(&w, osp_slice(proof, HMAC_LEN));
    return OSP_OK;
}

bool
osp_b2_knows_r2(struct osp_octx *base, struct osp_slice id, uint32_t *ticket)
{
    struct osp_b2 *b = base->b2;
    struct osp_rd  r = osp_rd_from(id);
    uint8_t        key[KEY_LEN], proof[HMAC_LEN];
    bool           has_key, ok;

    osp_lock_take(&b->lock);
    has_key = b->has_key;
    *ticket = b->ticket;
    memcpy(key, b->key, sizeof(key));
    osp_lock_release(&b->lock);
    ok = has_key && id.n > OSP_B2_R2_LEN && prove(key, osp_rd_take(&r, S2_LEN), proof) == OSP_OK &&
         osp_equal_ct(osp_rd_take(&r, HMAC_LEN), osp_slice(proof, HMAC_LEN));
    osp_wipe(key, sizeof(key));
    return ok;
}

/* ---- which one is current ---- */

/* Makes `c` current; the caller holds the lock.  Returns the previous context, to be dropped after the lock is released. */
static struct osp_octx *
replace(struct osp_b2 *b, struct osp_octx *c)
{
    struct osp_octx *old = b->current;

    osp_octx_ref(c);
    hold_leases(c, false);
    b->current = c;
    return old;
}

enum osp_err
osp_b2_restore(struct osp_octx *base, struct osp_slice id_context, struct osp_octx **out)
{
    struct osp_octx *c = NULL, *old;
    enum osp_err     e = osp_b2_derive(base, id_context, &c);

    if (e != OSP_OK)
        return e;
    octx_forget_window(c);
    osp_lock_take(&base->b2->lock);
    old = replace(base->b2, c);
    osp_lock_release(&base->b2->lock);
    osp_octx_unref(old);
    osp_octx_unref(c);          /* the base has a reference of its own */
    *out = c;
    return OSP_OK;
}

enum osp_err
osp_b2_accept(struct osp_octx *base, struct osp_octx *c, uint32_t ticket)
{
    struct osp_b2   *b = base->b2;
    struct osp_octx *old = NULL;
    bool             ok;

    osp_lock_take(&b->lock);
    ok = b->has_key && b->ticket == ticket;
    if (ok) {
        old = replace(b, c);
        osp_wipe(b->key, sizeof(b->key));
        b->has_key = false;
        b->ticket++;
    }
    osp_lock_release(&b->lock);
    osp_octx_unref(old);
    return ok ? OSP_OK : OSP_E_REPLAY;
}

bool
osp_b2_begin(struct osp_octx *base)
{
    bool ok;

    osp_lock_take(&base->b2->lock);
    ok = !base->b2->runs;
    base->b2->runs = true;
    osp_lock_release(&base->b2->lock);
    return ok;
}

void
osp_b2_end(struct osp_octx *base, struct osp_octx *c)
{
    struct osp_octx *old = NULL;

    osp_lock_take(&base->b2->lock);
    base->b2->runs = false;
    if (c)
        old = replace(base->b2, c);
    osp_lock_release(&base->b2->lock);
    osp_octx_unref(old);
}
