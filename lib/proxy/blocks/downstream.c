/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block-wise transfers towards clients [rfc7959] [rfc8613#4.1.3.4].
 *
 * Blocks of a request that is only forwarded pass by, one request each; a Request-Tag keeps the clients apart, who all
 * come from one endpoint now [rfc9175#3.5.3].  Blocks around a layer that is ours are put together before the layer
 * comes off, and the response is cut at the same depth once that layer is on: what is outside of it stays whole.
 * A response that is too long for a datagram of ours is cut too, outermost.  What is left of a response that was
 * cut is kept, and later blocks are taken from it.
 */
#include "proxy/blocks/blocks.h"

#define ETAG_LEN 4
#define DONE_LIFE_US OSP_SEC(45)        /* after the last block: as long as a request for it may come again */
#define OPTIONS_ROOM 40                 /* Block1 or Block2, Size1 or Size2, ETag, Request-Tag and a marker */

/* ---- options ---- */

enum osp_err
px_add_block(struct px_turn *t, struct osp_msg *m, uint16_t num, const struct osp_block *b)
{
    uint8_t *value = osp_wr_reserve(&t->scratch, 3);

    return value ? osp_msg_add(m, num, osp_block_make(b, value)) : OSP_E_NOSPACE;
}

enum osp_err
px_add_uint(struct px_turn *t, struct osp_msg *m, uint16_t num, size_t v)
{
    uint8_t *value = osp_wr_reserve(&t->scratch, 4);

    return value ? osp_msg_add(m, num, osp_opt_uint_make((uint32_t)v, value)) : OSP_E_NOSPACE;
}

uint8_t
px_szx_for(const struct osp_peer_can *can, const struct osp_msg *m, size_t most)
{
    size_t head = osp_msg_size_udp(m) - m->payload.n + OPTIONS_ROOM + can->longest_token;

    return osp_block_szx_for(head < most ? most - head : 0);
}

/* ---- Request-Tag ---- */

/* In front: a server that looks at one option only still keeps clients apart, and the client's own follow in order. */
enum osp_err
px_add_tag(struct px_turn *t, struct osp_msg *req, uint64_t tag)
{
    struct osp_slice own[OSP_MSG_OPTS_MAX];
    uint8_t         *value = osp_wr_reserve(&t->scratch, sizeof(tag));
    size_t           n = 0;
    enum osp_err     e;

    if (!value)
        return OSP_E_NOSPACE;
    for (size_t i = 0; i < req->opt_count; i++)
        if (req->opts[i].num == OSP_OPT_REQUEST_TAG)
            own[n++] = req->opts[i].val;
    osp_msg_remove(req, OSP_OPT_REQUEST_TAG);
    memcpy(value, &tag, sizeof(tag));
    e = osp_msg_add(req, OSP_OPT_REQUEST_TAG, osp_slice(value, sizeof(tag)));
    for (size_t i = 0; i < n && e == OSP_OK; i++)
        e = osp_msg_add(req, OSP_OPT_REQUEST_TAG, own[i]);
    return e;
}

/* An upload under `tag` begins or goes on; what comes after it in blocks carries the tag too [rfc9175#3.4]. */
void
px_mark_upload(struct px_turn *t, const struct px_exchange *x, const struct px_op *op, uint64_t tag)
{
    struct px_body *b = px_body_find(t->px, op, t->now);

    if (!b)
        b = px_body_new(t, x, op, PX_BODY_UPLOAD);
    if (!b)
        return;                 /* it loses its Block2 phase at most */
    b->tag = tag;
    px_body_touch(t->px, b, PX_BODY_LIFE_US, t->now);
}

/* [rfc7959#2.5] [rfc9175#3.5.2] [rfc8613#4.1.3.4.2] */
enum osp_err
px_tag_request(struct px_turn *t, const struct px_exchange *x, struct osp_msg *req)
{
    struct osp_block b2 = { 0 };
    struct px_op     op;
    struct px_body  *b;
    uint64_t         tag;
    bool             upload = osp_msg_has(req, OSP_OPT_BLOCK1), later = false;

    if (!upload && (t->px->bodies.count == 0 || req->code == OSP_GET))
        return OSP_OK;
    op = px_op_of(t->px, x, PX_BODY_UPLOAD, req);
    if (upload) {
        tag = px_client_tag(t, x, req);
        px_mark_upload(t, x, &op, tag);
        return px_add_tag(t, req, tag);
    }
    b = px_body_find(t->px, &op, t->now);
    if (!b)
        return OSP_OK;
    if (osp_block_get(req, OSP_OPT_BLOCK2, &later, &b2) == OSP_OK && later && b2.num > 0)
        return px_add_tag(t, req, b->tag);
    px_body_free(t->px, b);     /* another operation began, without blocks */
    return OSP_OK;
}

/* ---- requests in blocks, around a layer of ours ---- */

static enum px_step
answer_continue(struct px_turn *t, struct px_exchange *x, const struct osp_block *b)
{
    struct osp_msg *resp = &t->px->a;

    osp_msg_init(resp, OSP_CODE(2, 31));
    x->no_response = 0;         /* it asks for more: nothing that one could do without */
    return px_add_block(t, resp, OSP_OPT_BLOCK1, b) == OSP_OK ? px_respond(t, resp) : px_fail(t, OSP_E_NOSPACE);
}

/* Announced sizes are believed when they spare work [rfc7959#4]. */
static bool
announces_too_much(const struct osp_proxy *px, const struct osp_msg *req)
{
    const struct osp_opt *o = osp_msg_get(req, OSP_OPT_SIZE1);
    uint32_t              v = 0;

    return o && osp_opt_uint(o->val, &v) && v > px->cfg.max_body;
}

/*
 * One block of the request's body.  OSP_OK: it was the last one, req->payload is the body.  OSP_E_INCOMPLETE: more is to
 * come.  [rfc8613#8.2] [rfc7959#2.9]
 */
static enum osp_err
assemble(struct px_turn *t, const struct px_exchange *x, struct osp_msg *req, const struct osp_block *at)
{
    struct osp_proxy *px = t->px;
    struct px_body   *b;
    struct px_op      op;
    uint8_t          *all;
    enum osp_err      e;

    op = px_op_of(px, x, PX_BODY_REQUEST, req);
    b = px_body_find(px, &op, t->now);
    if (at->num == 0 && b)              /* from the beginning again */
        px_body_free(px, b);
    if (at->num == 0) {
        if (announces_too_much(px, req))
            return OSP_E_TOO_LARGE;
        b = px_body_new(t, x, &op, PX_BODY_REQUEST);
    }
    if (!b)
        return at->num == 0 ? OSP_E_OVERLOAD : OSP_E_BODY_GAP;
    e = px_buf_add(px, &b->data, at, req->payload, px->cfg.max_body);
    if (e == OSP_OK && at->more) {
        px_body_touch(px, b, PX_BODY_LIFE_US, t->now);
        return OSP_E_INCOMPLETE;
    }
    if (e == OSP_OK) {
        all = osp_wr_reserve(&t->scratch, b->data.n + 1);
        if (all && osp_slice_copy(osp_slice(b->data.p, b->data.n), all, b->data.n))
            req->payload = osp_slice(all, b->data.n);
        else
            e = OSP_E_NOSPACE;
        px->stats.bodies_assembled += e == OSP_OK;
    }
    if (e != OSP_E_BODY_GAP)            /* after a gap the missing block may still come */
        px_body_free(px, b);
    return e;
}

enum px_step
px_blocks_request(struct px_turn *t, struct px_exchange *x, struct osp_msg *req)
{
    struct osp_block b1 = { 0 }, b2 = { 0 };
    bool             has1 = false, has2 = false;
    enum osp_err     e = osp_block_get(req, OSP_OPT_BLOCK1, &has1, &b1);

    if (e == OSP_OK)
        e = osp_block_get(req, OSP_OPT_BLOCK2, &has2, &b2);
    if (e == OSP_OK && !has1 && !has2)
        return PX_GO_ON;
    if (e == OSP_OK && (x->cut.block1_acked || x->cut.block2_asked))    /* blocks around two of our layers */
        e = OSP_E_UNKNOWN_OPTION;
    if (e == OSP_OK && !has1 && b2.num > 0)                     /* what was kept for it is gone */
        e = OSP_E_BODY_GAP;
    if (e == OSP_OK)
        x->cut.op = px_op_of(t->px, x, PX_BODY_RESPONSE, req);
    if (e == OSP_OK && has1)
        e = assemble(t, x, req, &b1);
    if (e == OSP_E_INCOMPLETE)
        return answer_continue(t, x, &b1);
    if (e != OSP_OK)
        return px_fail(t, e);
    x->cut.depth = x->removed_count;
    x->cut.block1_acked = has1;
    x->cut.block2_asked = has2;
    x->cut.block1 = b1;
    x->cut.block2 = b2;
    return PX_GO_ON;
}

/* ---- responses in blocks ---- */

enum osp_err
px_add_etag(struct px_turn *t, struct osp_msg *m)
{
    uint64_t h = osp_hash(&t->px->seed, m->payload);
    uint8_t *value = osp_wr_reserve(&t->scratch, ETAG_LEN);

    if (osp_msg_has(m, OSP_OPT_ETAG))
        return OSP_OK;
    if (!value)
        return OSP_E_NOSPACE;
    memcpy(value, &h, ETAG_LEN);
    return osp_msg_add(m, OSP_OPT_ETAG, osp_slice(value, ETAG_LEN));
}

/* Keeps `m` for the requests for its later blocks, in place of what was kept before. */
static enum osp_err
keep_response(struct px_turn *t, const struct px_exchange *x, struct osp_msg *m)
{
    struct px_body *b = px_body_find(t->px, &x->cut.op, t->now);

    if (!b)
        b = px_body_new(t, x, &x->cut.op, PX_BODY_RESPONSE);
    if (!b)
        return OSP_E_OVERLOAD;
    m->token = OSP_EMPTY;
    if (!osp_stored_keep(&b->stored, &t->px->pool, m)) {
        px_body_free(t->px, b);
        return OSP_E_OVERLOAD;
    }
    px_body_touch(t->px, b, PX_BODY_LIFE_US, t->now);
    return OSP_OK;
}

/* The first block of `in` in `out`, the rest is kept. [rfc7959#2.4] */
static enum osp_err
cut(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *in, uint8_t szx, struct osp_msg *out)
{
    struct osp_block b = { 0, false, szx };
    struct osp_slice piece;
    enum osp_err     e;

    osp_msg_copy(out, in);
    e = px_add_etag(t, out);
    if (e == OSP_OK)
        e = keep_response(t, x, out);
    if (e == OSP_OK)
        e = osp_block_cut(out->payload, &b, &b, &piece);
    if (e == OSP_OK)
        e = px_add_block(t, out, OSP_OPT_BLOCK2, &b);
    if (e == OSP_OK && !osp_msg_has(out, OSP_OPT_SIZE2))
        e = px_add_uint(t, out, OSP_OPT_SIZE2, out->payload.n);
    if (e == OSP_OK) {
        out->payload = piece;
        t->px->stats.bodies_cut++;
    }
    return e;
}

bool
px_cut_is_due(const struct px_exchange *x, size_t depth)
{
    return depth == x->cut.depth && (x->cut.block1_acked || x->cut.block2_asked);
}

enum osp_err
px_cut_response(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *in, struct osp_msg *out)
{
    uint8_t      szx = x->cut.block2_asked ? x->cut.block2.szx : x->cut.block1.szx;
    enum osp_err e = OSP_OK;

    if (in->payload.n > osp_block_size(szx))
        e = cut(t, x, in, szx, out);
    else
        osp_msg_copy(out, in);
    if (e == OSP_OK && x->cut.block1_acked)
        e = px_add_block(t, out, OSP_OPT_BLOCK1, &x->cut.block1);   /* [rfc7959#2.3] */
    return e;
}

enum osp_err
px_cut_to_fit(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *in, size_t most, struct osp_msg *out)
{
    uint8_t szx = px_szx_for(osp_exchange_can(&t->px->transports, &x->from.peer), in, most);

    if (x->cut.depth > 0 || osp_msg_has(in, OSP_OPT_BLOCK2) || in->payload.n <= osp_block_size(szx))
        return OSP_E_NOSPACE;
    return cut(t, x, in, szx, out);
}

void
px_blocks_pass(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *out)
{
    struct osp_block b = { 0 };
    struct px_body  *kept;
    bool             has = false;

    if (t->px->bodies.count == 0 || x->removed_count > 0 || x->cut.block1_acked || x->cut.block2_asked ||
        osp_block_get(out, OSP_OPT_BLOCK2, &has, &b) != OSP_OK || !has || b.num > 0)
        return;
    kept = px_body_find(t->px, &x->cut.op, t->now);
    if (kept)
        px_body_free(t->px, kept);
}

/* ---- later blocks ---- */

static enum osp_err
block_of(struct px_turn *t, const struct px_body *body, const struct osp_block *asked, struct osp_msg *m, bool *more)
{
    struct osp_block  b = { 0 };
    struct osp_slice  piece;
    struct osp_stored copy = { osp_wr_reserve(&t->scratch, body->stored.n), body->stored.n };
    enum osp_err      e;

    /* the body may go before the answer is made */
    if (!copy.p || !osp_slice_copy(osp_slice(body->stored.p, body->stored.n), copy.p, copy.n) || !osp_stored_get(&copy, m))
        return OSP_E_NOSPACE;
    osp_msg_remove(m, OSP_OPT_OBSERVE);         /* [rfc7959#2.6] */
    e = osp_block_cut(m->payload, asked, &b, &piece);
    if (e != OSP_OK)
        return e;
    m->payload = piece;
    *more = b.more;
    return px_add_block(t, m, OSP_OPT_BLOCK2, &b);
}

/* What was begun is ended with the same body, however old it is by now. */
enum px_step
px_blocks_serve(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *req)
{
    struct osp_block asked = { 0 };
    bool             has = false, more = false;
    struct px_body  *body;
    struct px_op     op;
    enum osp_err     e;

    if (t->px->bodies.count == 0 || osp_msg_has(req, OSP_OPT_BLOCK1) ||
        osp_block_get(req, OSP_OPT_BLOCK2, &has, &asked) != OSP_OK || !has || asked.num == 0)
        return PX_GO_ON;
    op = px_op_of(t->px, x, PX_BODY_RESPONSE, req);
    body = px_body_find(t->px, &op, t->now);
    if (!body)
        return PX_GO_ON;
    e = block_of(t, body, &asked, &t->px->a, &more);
    if (e != OSP_OK)
        return px_fail(t, e);
    px_body_touch(t->px, body, more ? PX_BODY_LIFE_US : DONE_LIFE_US, t->now);
    t->px->stats.blocks_served++;
    return px_respond(t, &t->px->a);
}
