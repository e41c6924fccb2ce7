/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Large representations and the cache: GET in blocks [rfc7959#2.10].
 *
 * Blocks that pass by are gathered beside their way, under the cache key and one ETag: nothing is asked of the origin
 * that a client did not ask for, and no client waits for blocks it did not want.  When the last one came, in order, the
 * body is an entry like any other, and blocks of any size are given out of it.  Without an ETag there is no telling
 * which blocks belong together, so such a body is neither gathered nor cut.
 *
 * An entry keeps "Block2: 0, no more" with the origin's block size in it: a client that names none gets that one.
 */
#include "proxy/blocks/blocks.h"

static const struct osp_opt *
only_etag(const struct osp_msg *m)
{
    return osp_msg_count(m, OSP_OPT_ETAG) == 1 ? osp_msg_get(m, OSP_OPT_ETAG) : NULL;
}

/* ---- out of an entry ---- */

bool
px_asks_block(struct px_exchange *x, const struct osp_msg *req)
{
    return osp_block_get(req, OSP_OPT_BLOCK2, &x->cached.asks_block, &x->cached.asked) == OSP_OK;
}

enum osp_err
px_cut_entry(struct px_turn *t, const struct px_exchange *x, struct osp_msg *m)
{
    struct osp_block own = { 0 }, b = x->cached.asked;
    struct osp_slice piece;
    bool             has = false;
    size_t           all = m->payload.n;
    enum osp_err     e;

    if (osp_block_get(m, OSP_OPT_BLOCK2, &has, &own) != OSP_OK)
        return OSP_E_INVALID;
    if (!x->cached.asks_block && !has)
        return OSP_OK;
    osp_msg_remove(m, OSP_OPT_BLOCK2);
    if (!x->cached.asks_block)
        b = own;
    if (OSP_CODE_CLASS(m->code) != 2 || m->code == OSP_CODE(2, 3) || (!x->cached.asks_block && all <= osp_block_size(b.szx)))
        return OSP_OK;
    if (all > osp_block_size(b.szx) && !only_etag(m))
        return OSP_E_INVALID;
    e = osp_block_cut(m->payload, &b, &b, &piece);
    if (e == OSP_OK)
        e = px_add_block(t, m, OSP_OPT_BLOCK2, &b);
    if (e == OSP_OK && b.num == 0 && b.more && !osp_msg_has(m, OSP_OPT_SIZE2))
        e = px_add_uint(t, m, OSP_OPT_SIZE2, all);
    if (e == OSP_OK)
        m->payload = piece;
    return e;
}

/* ---- into an entry ---- */

static uint64_t
fresh_until(const struct px_exchange *x, const struct osp_msg *resp, struct osp_time now)
{
    const struct osp_opt *o = osp_msg_get(resp, OSP_OPT_MAX_AGE);
    uint32_t              v;

    return now.us + OSP_SEC(o && osp_opt_uint(o->val, &v) ? v : osp_cache_cfg(x->policy->cache)->default_max_age);
}

/* The first block of a body: what is in the cache under the key is out of date if it is another one. [rfc7641#3.5] */
static struct px_body *
begin(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *resp, const struct px_op *op)
{
    struct px_body *b = px_body_new(t, x, op, PX_BODY_GATHERED);
    struct osp_msg  head;

    osp_cache_invalidate(x->policy->cache, &x->cached.key, t->now);
    if (!b)
        return NULL;
    osp_msg_copy(&head, resp);
    head.payload = head.token = OSP_EMPTY;
    osp_msg_remove(&head, OSP_OPT_BLOCK2);
    osp_msg_remove(&head, OSP_OPT_SIZE2);
    osp_msg_remove(&head, OSP_OPT_MAX_AGE);
    b->fresh_us = UINT64_MAX;
    if (osp_stored_keep(&b->stored, &t->px->pool, &head))
        return b;
    px_body_free(t->px, b);
    return NULL;
}

/* What came together is an entry. */
static void
store(struct px_turn *t, const struct px_exchange *x, const struct px_body *b, uint8_t szx)
{
    struct osp_block own = { 0, false, szx };
    struct osp_msg   m;

    if (b->fresh_us <= t->now.us || !osp_stored_get(&b->stored, &m))
        return;
    m.payload = osp_slice(b->data.p, b->data.n);
    if (px_add_block(t, &m, OSP_OPT_BLOCK2, &own) == OSP_OK &&
        px_add_uint(t, &m, OSP_OPT_MAX_AGE, (b->fresh_us - t->now.us) / OSP_SEC(1)) == OSP_OK &&
        osp_cache_store(x->policy->cache, &x->cached.key, &m, t->now) == OSP_CACHE_KEPT)
        t->px->stats.bodies_gathered++;
}

/* True: the blocks gathered in `b` are of the body that `resp` is a block of. */
static bool
is_same(const struct px_body *b, const struct osp_opt *etag)
{
    struct osp_msg        head;
    const struct osp_opt *own = osp_stored_get(&b->stored, &head) ? osp_msg_get(&head, OSP_OPT_ETAG) : NULL;

    return own && osp_slice_eq(own->val, etag->val);
}

/* Block `b` with what it belongs to; NULL when it belongs to nothing. */
static struct px_body *
body_of(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *resp, const struct osp_block *b)
{
    const struct osp_opt *etag = only_etag(resp);
    struct px_op          op = px_op_of_key(t->px, x->cached.key.bytes);
    struct px_body       *body = px_body_find(t->px, &op, t->now);

    if (body && (!etag || !is_same(body, etag))) {      /* [rfc7959#2.4] the resource has changed on the way */
        px_body_free(t->px, body);
        body = NULL;
    }
    return body || !etag || b->num > 0 ? body : begin(t, x, resp, &op);
}

void
px_gather(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *resp)
{
    size_t           limit = osp_cache_cfg(x->policy->cache)->max_entry;
    struct osp_block b = { 0 };
    struct px_body  *body;
    bool             has = false;
    enum osp_err     e;

    if (resp->code != OSP_CODE(2, 5) || osp_block_get(resp, OSP_OPT_BLOCK2, &has, &b) != OSP_OK || !has ||
        (b.num == 0 && !b.more) || osp_msg_has(resp, OSP_OPT_ECHO) || osp_msg_has(resp, OSP_OPT_OSCORE))
        return;
    body = body_of(t, x, resp, &b);
    if (!body)
        return;
    e = px_buf_add(t->px, &body->data, &b, resp->payload, limit < t->px->cfg.max_body ? limit : t->px->cfg.max_body);
    if (e == OSP_OK) {
        uint64_t until = fresh_until(x, resp, t->now);

        body->fresh_us = until < body->fresh_us ? until : body->fresh_us;
        px_body_touch(t->px, body, PX_BODY_LIFE_US, t->now);
    }
    if (e == OSP_OK && !b.more)
        store(t, x, body, b.szx);
    if (e == OSP_OK ? !b.more : e != OSP_E_BODY_GAP)    /* another client may be at another place of it */
        px_body_free(t->px, body);
}
