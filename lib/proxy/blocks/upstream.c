/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block-wise transfers towards the next hop [rfc7959] [rfc8613#4.1.3.4.2].
 *
 * A request that is longer than a datagram of ours goes out in Block1 blocks, whether a layer of ours is around it or not:
 * each block waits for the 2.31 to the one before.  A response under our layer that comes in Block2 blocks is put
 * together before the layer comes off: the further blocks are asked for with the same code and outer options.  Without a
 * layer of ours blocks of a response pass by, as the client's business; but not if the request was ours, one of EDHOC.
 *
 * What is put together came under one ETag; another one in the middle ends the exchange with 5.02, since there is no
 * way to tell which of the two bodies was meant.  The exchange's deadline holds for all of it.
 */
#include "proxy/blocks/blocks.h"
#include "proxy/exchange.h"
#include "proxy/request.h"

static const struct osp_layer_ends relay = { OSP_LAYER_RELAY, true, true };

static struct px_transfer *
transfer_of(struct px_turn *t, struct px_exchange *x)
{
    if (!x->transfer) {
        x->transfer = osp_pool_get(&t->px->pool, sizeof(*x->transfer));
        if (x->transfer)
            *x->transfer = (struct px_transfer){ 0 };
        px_part_attach(x, PX_PART_TRANSFER);
    }
    return x->transfer;
}

/* Its first request stays open beside the ones for blocks. */
static bool
stays_open(const struct px_exchange *x)
{
    return x->obs || x->kind == &px_registration_kind;
}

/* The request for a block is not waited for any more. */
static void
forget_block(struct osp_proxy *px, struct px_exchange *x)
{
    if (x->transfer->out && x->transfer->out != x->out)
        osp_exchange_cancel(&px->transports, x->transfer->out);
    x->transfer->out = 0;
}

void
px_transfer_end(struct osp_proxy *px, struct px_exchange *x)
{
    struct px_transfer *f = x->transfer;

    if (!f)
        return;
    forget_block(px, x);
    osp_stored_release(&f->request, &px->pool);
    osp_stored_release(&f->head, &px->pool);
    px_buf_free(px, &f->body);
    osp_pool_put(&px->pool, f, sizeof(*f));
    x->transfer = NULL;
    px_part_detach(x, PX_PART_TRANSFER);
}

/* Only the last block of an observed request is what registers [rfc7959#2.6]. */
static enum osp_err
send(struct px_turn *t, struct px_exchange *x, const struct osp_msg *m)
{
    struct px_transfer *f = x->transfer;
    struct osp_request  how = { .confirmable = true, .deadline = x->deadline, .user = (uint64_t)(uintptr_t)x,
                                .client = px_asks_for(t->px, x) };
    enum osp_err        e;

    if (f->sending && !f->at.more) {
        e = px_request(t, x, m);
        f->out = e == OSP_OK ? x->out : 0;
        return e;
    }
    if (stays_open(x) && x->out)        /* a later notification: the request's own deadline is past */
        how.deadline = osp_time_after(t->now, x->policy->response_timeout_us);
    e = osp_exchange_request(&t->px->transports, &x->to, m, &how, t->now, &f->out);
    if (e != OSP_OK)
        f->out = 0;
    else if (!stays_open(x))
        x->out = f->out;
    return e;
}

/* ---- the request in blocks ---- */

bool
px_is_too_long(const struct osp_proxy *px, const struct osp_addr *to, const struct osp_msg *m)
{
    return osp_msg_size_udp(m) + 8 > osp_exchange_can(&px->transports, to)->largest_message;       /* with a Token of ours */
}

static enum osp_err
send_block1(struct px_turn *t, struct px_exchange *x)
{
    struct px_transfer *f = x->transfer;
    struct osp_msg      m;
    struct osp_slice    all, piece;
    enum osp_err        e;

    if (!osp_stored_get(&f->request, &m))
        return OSP_E_NOMEM;
    all = m.payload;
    e = osp_block_cut(all, &f->at, &f->at, &piece);
    if (e != OSP_OK)
        return OSP_E_BAD_RESPONSE;
    m.payload = piece;
    if (f->at.more) {
        osp_msg_remove(&m, OSP_OPT_OBSERVE);    /* [rfc7959#2.6] the whole request observes, not a part of it */
        osp_msg_remove(&m, OSP_OPT_NO_RESPONSE);        /* without a 2.31 it does not go on */
    }
    e = px_add_block(t, &m, OSP_OPT_BLOCK1, &f->at);
    if (e == OSP_OK && f->at.num == 0 && !osp_msg_has(&m, OSP_OPT_SIZE1))
        e = px_add_uint(t, &m, OSP_OPT_SIZE1, all.n);
    if (e == OSP_OK)
        e = px_add_tag(t, &m, f->tag);
    if (e == OSP_OK)
        e = send(t, x, &m);
    t->px->stats.blocks_sent += e == OSP_OK;
    return e;
}

/* A tag of its own for each transfer: a client may have several under way. */
enum osp_err
px_transfer_start(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req)
{
    const struct osp_peer_can *can = osp_exchange_can(&t->px->transports, &x->to);
    struct px_transfer        *f = transfer_of(t, x);
    struct osp_msg             m;
    struct px_op               op;
    uint8_t                    szx = px_szx_for(can, req, can->largest_message);

    if (!f || osp_msg_has(req, OSP_OPT_BLOCK1) || req->payload.n <= osp_block_size(szx))
        return f ? OSP_E_NOSPACE : OSP_E_NOMEM;
    osp_randbuf_take(&t->px->rand, (uint8_t *)&f->tag, sizeof(f->tag));
    if (!x->has_added) {                /* the client may go on with Block2 */
        op = px_op_of(t->px, x, PX_BODY_UPLOAD, req);
        px_mark_upload(t, x, &op, f->tag);
    }
    osp_msg_copy(&m, req);
    m.token = OSP_EMPTY;
    if (!osp_stored_keep(&f->request, &t->px->pool, &m))
        return OSP_E_NOMEM;
    forget_block(t->px, x);
    f->sending = true;
    f->collecting = false;
    f->at = (struct osp_block){ 0, true, szx };
    t->px->stats.bodies_sent++;
    return send_block1(t, x);
}

/* The next block, or the same ones smaller [rfc7959#2.9.3]. False: `resp` is the answer to all of it. */
static bool
go_on_sending(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp, enum osp_err *e)
{
    struct px_transfer *f = x->transfer;
    struct osp_block    b = { 0 };
    bool                has = false;

    if (osp_block_get(resp, OSP_OPT_BLOCK1, &has, &b) != OSP_OK)
        has = false;
    if (resp->code == OSP_CODE(2, 31) && f->at.more && has && b.num == f->at.num && b.szx <= f->at.szx) {
        if (!osp_block_next(&f->at, b.szx, &f->at))
            *e = OSP_E_BAD_RESPONSE;
    } else if (resp->code == OSP_CODE(4, 13) && f->at.num == 0 && f->at.more && has && b.szx < f->at.szx) {
        f->at = (struct osp_block){ 0, true, b.szx };
    } else {
        return false;
    }
    if (*e == OSP_OK)
        *e = send_block1(t, x);
    return true;
}

/* ---- the response in blocks ---- */

/*
 * The outer part of the request, for those that ask for further blocks: what the blocks were made from, or else the
 * saved request and what the layer remembers.
 */
static enum osp_err
outer_request(struct px_turn *t, const struct px_exchange *x, struct osp_msg *m)
{
    struct osp_oscore_opt opt = { .piv = osp_slice(x->added.piv, x->added.piv_len), .has_kid = true };
    uint8_t               classes[OSP_MSG_OPTS_MAX];
    struct osp_msg        plain;
    size_t                start = t->scratch.n;
    enum osp_err          e;

    if (!osp_stored_get(&x->saved, &plain))
        return OSP_E_NOMEM;
    osp_msg_init(m, osp_msg_has(&plain, OSP_OPT_OBSERVE) ? OSP_FETCH : OSP_POST);
    e = osp_classes(&relay, &plain, classes);
    for (size_t i = 0; i < plain.opt_count && e == OSP_OK; i++)
        if (osp_opt_is_outer(classes[i]))
            e = osp_msg_add(m, plain.opts[i].num, plain.opts[i].val);
    opt.kid = osp_octx_sender_id(x->added.ctx);
    opt.has_kid_context = osp_octx_id_context(x->added.ctx, &opt.kid_context);
    if (e == OSP_OK)
        e = osp_oscore_opt_write(&opt, &t->scratch);
    return e == OSP_OK ? osp_msg_add(m, OSP_OPT_OSCORE, osp_slice_tail(osp_wr_slice(&t->scratch), start)) : e;
}

/* The request of ours that is answered in blocks, without its payload. */
static enum osp_err
own_request(struct px_exchange *x, struct osp_msg *m)
{
    if (!px_restore(x, m))
        return OSP_E_NOMEM;
    m->payload = OSP_EMPTY;
    return OSP_OK;
}

static enum osp_err
ask_block2(struct px_turn *t, struct px_exchange *x, const struct osp_block *got)
{
    struct px_transfer *f = x->transfer;
    struct osp_msg      m;
    enum osp_err        e = OSP_OK;

    if (!osp_block_next(got, got->szx, &f->at))
        return OSP_E_BAD_RESPONSE;
    if (osp_stored_has(&f->request) && !osp_stored_get(&f->request, &m))
        return OSP_E_NOMEM;
    if (!osp_stored_has(&f->request))
        e = x->kind->in_the_clear ? own_request(x, &m) : outer_request(t, x, &m);
    osp_msg_remove(&m, OSP_OPT_OBSERVE);
    osp_msg_remove(&m, OSP_OPT_NO_RESPONSE);
    m.payload = OSP_EMPTY;
    if (e == OSP_OK && f->tag)
        e = px_add_tag(t, &m, f->tag);
    if (e == OSP_OK)
        e = px_add_block(t, &m, OSP_OPT_BLOCK2, &f->at);
    if (e == OSP_OK)
        e = send(t, x, &m);
    return e;
}

static bool
same_etag(const struct osp_msg *a, const struct osp_msg *b)
{
    const struct osp_opt *x = osp_msg_get(a, OSP_OPT_ETAG), *y = osp_msg_get(b, OSP_OPT_ETAG);

    return !x || !y ? x == y : osp_slice_eq(x->val, y->val);
}

/* Adds the block `resp`; the response of the first one stays as the head of all. [rfc7959#2.4] */
static enum osp_err
take_block2(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp, const struct osp_block *b, bool first)
{
    struct px_transfer *f = x->transfer;
    struct osp_msg      head;

    if (first) {
        f->came = t->came;
        osp_msg_copy(&head, resp);
        head.payload = head.token = OSP_EMPTY;
        osp_msg_remove(&head, OSP_OPT_BLOCK2);
        osp_msg_remove(&head, OSP_OPT_SIZE2);
        px_buf_free(t->px, &f->body);
        if (b->num != 0 || !osp_stored_keep(&f->head, &t->px->pool, &head))
            return b->num != 0 ? OSP_E_BAD_RESPONSE : OSP_E_NOMEM;
    } else if (!osp_stored_get(&f->head, &head) || head.code != resp->code || !same_etag(&head, resp) || b->szx > f->at.szx ||
               osp_block_offset(b) != osp_block_offset(&f->at)) {
        return OSP_E_BAD_RESPONSE;      /* [rfc7959#2.4] parts of two bodies are none */
    }
    return px_buf_add(t->px, &f->body, b, resp->payload, t->px->cfg.max_body);
}

/* The whole response in place of its last block; it borrows from the transfer. */
static enum osp_err
whole(struct px_turn *t, struct px_exchange *x, struct osp_msg **resp)
{
    struct px_transfer *f = x->transfer;

    if (!osp_stored_get(&f->head, &t->px->a))
        return OSP_E_NOMEM;
    t->px->a.payload = osp_slice(f->body.p, f->body.n);
    t->came = f->came;          /* the message that the body belongs to, not the one with its last block */
    t->px->stats.bodies_collected++;
    *resp = &t->px->a;
    return OSP_OK;
}

static enum osp_err
collect(struct px_turn *t, struct px_exchange *x, bool later, const struct osp_block *b, struct osp_msg **resp)
{
    struct px_transfer *f = transfer_of(t, x);
    enum osp_err        e;

    if (!f)
        return OSP_E_NOMEM;
    if (f->sending)             /* a notification while the registration is renewed in blocks: the answer to that is newer */
        return OSP_E_BAD_RESPONSE;
    if (!later)                 /* a newer notification: what is being collected is out of date */
        forget_block(t->px, x);
    e = take_block2(t, x, *resp, b, !later);
    f->collecting = e == OSP_OK && b->more;
    if (e == OSP_OK)
        e = b->more ? ask_block2(t, x, b) : whole(t, x, resp);
    if (e == OSP_OK || e == OSP_E_NOMEM || e == OSP_E_OVERLOAD)
        return e;
    f->collecting = false;
    return OSP_E_BAD_RESPONSE;
}

static enum px_step
fail(struct px_turn *t, enum osp_err e)
{
    t->why = e;
    return PX_FAIL_UPSTREAM;
}

enum px_step
px_transfer_response(struct px_turn *t, struct px_exchange *x, uint64_t handle, struct osp_msg **resp)
{
    struct px_transfer *f = x->transfer;
    bool                mine = f && f->out && handle == f->out, later = mine && f->collecting;
    struct osp_block    b = { 0 };
    bool                has = false;
    enum osp_err        e = OSP_OK;

    if (mine)
        f->out = 0;
    if (!stays_open(x))
        x->out = 0;             /* answered: the endpoint has forgotten it */
    if (mine && f->sending) {
        if (go_on_sending(t, x, *resp, &e))
            return e == OSP_OK ? PX_DONE : fail(t, e);
        f->sending = false;
        if (f->at.more)         /* no registration was sent yet */
            osp_msg_remove(*resp, OSP_OPT_OBSERVE);
        if ((*resp)->code == OSP_CODE(2, 31) || (*resp)->code == OSP_CODE(4, 8))    /* about blocks the client never made */
            e = OSP_E_BAD_RESPONSE;
        osp_msg_remove(*resp, OSP_OPT_BLOCK1);
    }
    if (e == OSP_OK && (x->kind->in_the_clear || (x->has_added && osp_msg_has(*resp, OSP_OPT_OSCORE))) &&
        osp_block_get(*resp, OSP_OPT_BLOCK2, &has, &b) != OSP_OK)
        e = OSP_E_BAD_RESPONSE;
    if (e == OSP_OK && has)
        e = collect(t, x, later, &b, resp);
    else if (later)             /* one block is missing for good */
        e = OSP_E_BAD_RESPONSE;
    if (e != OSP_OK)
        return fail(t, e);
    return has && b.more ? PX_DONE : PX_GO_ON;
}

bool
px_transfer_failed(struct px_exchange *x, uint64_t handle)
{
    struct px_transfer *f = x->transfer;

    if (!f || !f->collecting || handle != f->out || !x->out)
        return false;
    f->out = 0;
    f->collecting = false;
    return true;
}
