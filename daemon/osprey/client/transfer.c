/* SPDX-License-Identifier: BSD-2-Clause */
/* Bodies larger than a block: up in Block1, down in Block2 [rfc7959]. */
#include <stdlib.h>

#include "crypto/digest.h"
#include "daemon/osprey/client/client.h"
#include "msg/option.h"

#define RESTARTS_MAX 3          /* a body that changes more often while it is fetched is given up */

bool
client_is_by_hand(const struct client *c)
{
    for (size_t i = 0; i < c->args.opt_count; i++)
        if (c->args.opts[i].num == OSP_OPT_BLOCK1 || c->args.opts[i].num == OSP_OPT_BLOCK2)
            return true;
    return false;
}

/* ---- up ---- */

/* The layer that protects the blocks; NULL: no layer. */
static const struct osprey_sec *
innermost(const struct osprey_route *r)
{
    if (r->end_to_end)
        return r->end_to_end;
    for (size_t i = r->via_count; i > 0; i--)
        if (r->via[i - 1].sec)
            return r->via[i - 1].sec;
    return NULL;
}

/*
 * Under OSCORE each body has a Request-Tag that no body of this context had before, so that none of its blocks can be
 * replaced by one of another body [rfc9175#3.5.1]: the sequence number of its first block, which is leased already.  A
 * deterministic request has no sequence number: there the tag is a digest of the body, which is equal for all clients.
 */
static enum osp_err
choose_tag(struct client *c, struct client_extra *x)
{
    const struct osprey_sec *sec = innermost(&c->route);
    uint8_t                  digest[OSP_DIGEST_MAX];
    struct osp_wr            w = osp_wr_to(x->tag, sizeof(x->tag));
    enum osp_err             e = OSP_OK;

    if (!sec)
        return OSP_OK;
    if (sec->group) {
        e = osp_digest(OSP_SHA256, &c->payload, 1, digest);
        osp_wr_put(&w, osp_slice(digest, sizeof(x->tag)));
    } else if (client_lease(c)) {
        uint64_t next = osp_octx_ssn(sec->octx).next;
        size_t   n = 1;

        while (n < 5 && next >> 8 * n != 0)
            n++;
        osp_wr_uint(&w, next, n);
    } else {
        e = OSP_E_NO_LEASE;
    }
    x->has_tag = true;
    x->tag_len = w.n;
    return e;
}

enum step { STEP_DONE, STEP_NEXT, STEP_AGAIN, STEP_BROKEN };

/* Decides what to do after the answer to the last block; *at: the block to send next. */
static enum step
judge_upload(struct client *c, const struct osp_block *sent, struct osp_block *at)
{
    const struct osp_msg *m = c->answer.msg;
    struct osp_block      b = *sent;
    bool                  has;

    if (osp_block_get(m, OSP_OPT_BLOCK1, &has, &b) != OSP_OK)
        return client_broken(c, "unreadable Block1 option"), STEP_BROKEN;
    if (m->code == OSP_CODE(4, 13) && has && b.szx < sent->szx && sent->num == 0) { /* [rfc7959#2.9.3] */
        *at = (struct osp_block){ .szx = b.szx };
        return STEP_AGAIN;
    }
    if (m->code == OSP_CODE(4, 8)) { /* [rfc7959#2.9.2] */
        *at = (struct osp_block){ .szx = sent->szx };
        return STEP_AGAIN;
    }
    if (OSP_CODE_CLASS(m->code) != 2 || (m->code != OSP_CODE(2, 31) && !sent->more))
        return STEP_DONE;
    if (!sent->more)
        return client_broken(c, "2.31 Continue to the last block"), STEP_BROKEN;
    if (!has || b.num != sent->num)
        return client_broken(c, "a block was taken for something else"), STEP_BROKEN;
    if (!osp_block_next(sent, b.szx < sent->szx ? b.szx : sent->szx, at)) /* [rfc7959#2.3] */
        return client_broken(c, "too many blocks of the size that the server wants"), STEP_BROKEN;
    return STEP_NEXT;
}

/* Sends the body from its beginning in blocks of `szx` or less; the answer to the last one is in c->answer. */
static enum osp_err
upload(struct client *c, struct client_ask *ask, uint8_t szx)
{
    struct client_extra *x = &ask->extra;
    struct osp_block     at = { .szx = szx };
    unsigned             restarts = 0;
    bool                 block2 = x->has_block2;

    x->has_block1 = true;
    x->size1 = (uint32_t)c->payload.n;
    for (;;) {
        enum osp_err e = osp_block_offset(&at) == 0 ? choose_tag(c, x) : OSP_OK;
        enum step    step;

        if (e == OSP_OK)
            e = osp_block_cut(c->payload, &at, &x->block1, &ask->payload);
        x->has_size1 = at.num == 0;                     /* [rfc7959#4] */
        x->has_block2 = block2 && !x->block1.more;      /* the block size that the answer should have */
        if (e == OSP_OK)
            e = client_exchange(c, ask, NULL);
        if (e != OSP_OK)
            return e;
        c->blocks_out++;
        step = judge_upload(c, &x->block1, &at);
        if (step == STEP_BROKEN)
            return OSP_E_BAD_RESPONSE;
        if (step == STEP_DONE || (step == STEP_AGAIN && restarts++ == RESTARTS_MAX))
            return OSP_OK;
    }
}

/* True if the server does not take the body in one message and proposes blocks [rfc7959#2.9.3]. */
static bool
proposes_blocks(const struct client *c, uint8_t *szx)
{
    struct osp_block b;
    bool             has;

    if (c->answer.msg->code != OSP_CODE(4, 13) || osp_block_get(c->answer.msg, OSP_OPT_BLOCK1, &has, &b) != OSP_OK || !has)
        return false;
    *szx = b.szx < c->args.szx ? b.szx : c->args.szx;
    return c->args.blocks && c->payload.n > osp_block_size(*szx);
}

/* ---- down ---- */

struct pull {
    struct osp_block block;             /* of the last answer */
    uint8_t          code;
    uint8_t          etag[CLIENT_ETAG_MAX];
    size_t           etag_len;
    bool             has_etag, uploaded;
    unsigned         restarts;
};

static void
begin_body(struct client *c, struct pull *p)
{
    const struct osp_opt *etag = osp_msg_get(c->answer.msg, OSP_OPT_ETAG);

    c->body.n = 0;
    c->body.bad = false;
    p->code = c->answer.msg->code;
    p->has_etag = etag && osp_slice_copy(etag->val, p->etag, sizeof(p->etag));
    p->etag_len = p->has_etag ? etag->val.n : 0;
}

static bool
is_same_body(const struct client *c, const struct pull *p)
{
    const struct osp_opt *etag = osp_msg_get(c->answer.msg, OSP_OPT_ETAG);

    return c->answer.msg->code == p->code && (etag != NULL) == p->has_etag &&
           (!etag || osp_slice_eq(etag->val, osp_slice(p->etag, p->etag_len)));
}

/* Makes room for one more block, up to the limit. */
static enum osp_err
grow(struct client *c)
{
    size_t   cap = c->body.cap ? 2 * c->body.cap : 16384;
    uint8_t *p;

    if (cap > c->args.max_body)
        cap = c->args.max_body;
    if (c->body.n + c->answer.msg->payload.n > cap) {
        c->why = "the body is larger than --max-body allows";
        return OSP_E_TOO_LARGE;
    }
    p = realloc(c->body.p, cap);
    if (!p)
        return OSP_E_NOMEM;
    c->body.p = p;
    c->body.cap = cap;
    return OSP_OK;
}

static enum osp_err
add_block(struct client *c, const struct pull *p)
{
    enum osp_err e = OSP_OK;

    if (c->answer.msg->payload.n > c->body.cap - c->body.n)
        e = grow(c);
    if (e == OSP_OK)
        e = osp_body_add(&c->body, &p->block, c->answer.msg->payload);
    c->blocks_in += e == OSP_OK;
    return e == OSP_E_BAD_REQUEST ? client_broken(c, "a block is not as long as it says") : e;
}

/* Makes the message with the options of the last answer and the whole body. */
static void
complete(struct client *c)
{
    osp_msg_copy(&c->whole, c->answer.msg);
    osp_msg_remove(&c->whole, OSP_OPT_BLOCK2);
    c->whole.payload = osp_wr_slice(&c->body);
    c->answer.msg = &c->whole;
}

/* Makes the request for a later block: the options of the first one without Observe and Block1 [rfc7959#2.6] [rfc7959#2.7]. */
static struct client_ask
later_ask(const struct client *c, struct osprey_onion *onion, const struct client_extra *x)
{
    struct client_ask ask = { .onion = onion, .extra = *x };

    ask.extra.has_observe = ask.extra.has_block1 = ask.extra.has_size1 = false;
    ask.extra.has_block2 = true;
    if (c->args.method == OSP_FETCH && !x->has_block1)  /* it is what is asked for; one sent in blocks is known there */
        ask.payload = c->payload;
    return ask;
}

/*
 * The representation has changed: fetch it from the beginning, if the request is safe to repeat [rfc7959#2.4].  A request with
 * effects is not repeated.
 */
static enum osp_err
start_over(struct client *c, struct pull *p, struct client_ask *ask)
{
    if ((c->args.method != OSP_GET && c->args.method != OSP_FETCH) || p->uploaded || p->restarts++ == RESTARTS_MAX)
        return client_broken(c, "the representation changed while it was fetched");
    ask->extra.block2 = (struct osp_block){ .szx = p->block.szx };
    return client_exchange(c, ask, NULL);
}

/* Fetches the next block into c->answer, or the first one after a change; *alone: the answer is no block, such as an error. */
static enum osp_err
next_block(struct client *c, struct pull *p, struct client_ask *ask, bool *alone)
{
    struct osp_block b = { 0 };
    bool             has;
    enum osp_err     e;

    if (!osp_block_next(&p->block, p->block.szx, &ask->extra.block2))
        return client_broken(c, "too many blocks");
    e = client_exchange(c, ask, NULL);
    while (e == OSP_OK) {
        if (osp_block_get(c->answer.msg, OSP_OPT_BLOCK2, &has, &b) != OSP_OK)
            return client_broken(c, "unreadable Block2 option");
        *alone = !has || OSP_CODE_CLASS(c->answer.msg->code) != 2;
        if (*alone)
            return OSP_OK;
        if (osp_block_offset(&b) != osp_block_offset(&ask->extra.block2))
            return client_broken(c, "the blocks of the body do not follow each other");
        p->block = b;
        if (b.num == 0 || is_same_body(c, p))
            return OSP_OK;
        e = start_over(c, p, ask);
    }
    return e;
}

enum osp_err
client_download(struct client *c, struct osprey_onion *onion, const struct client_extra *extra)
{
    struct client_ask ask = later_ask(c, onion, extra);
    struct pull       p = { .uploaded = extra->has_block1 };
    bool              has, alone = false;
    enum osp_err      e;

    if (osp_block_get(c->answer.msg, OSP_OPT_BLOCK2, &has, &p.block) != OSP_OK)
        return client_broken(c, "unreadable Block2 option");
    if (!has || client_is_by_hand(c))
        return OSP_OK;
    if (p.block.num != 0)
        return client_broken(c, "the body does not begin with its first block");
    for (;;) {
        if (p.block.num == 0)
            begin_body(c, &p);
        e = add_block(c, &p);
        if (e != OSP_OK)
            return e;
        if (!p.block.more)
            break;
        e = next_block(c, &p, &ask, &alone);
        if (e != OSP_OK || alone)
            return e;
    }
    complete(c);
    return OSP_OK;
}

/* ---- both ---- */

enum osp_err
client_transfer(struct client *c)
{
    struct client_ask ask = { .onion = &c->onions[0], .payload = c->payload };
    bool              by_hand = client_is_by_hand(c);
    uint8_t           szx = c->args.szx;
    enum osp_err      e = OSP_OK;

    if (c->args.has_szx && !by_hand) {
        ask.extra.has_block2 = true;
        ask.extra.block2.szx = szx;
    }
    if (by_hand || !c->args.blocks || c->payload.n <= osp_block_size(szx)) {
        e = client_exchange(c, &ask, NULL);
        if (e != OSP_OK || by_hand || !proposes_blocks(c, &szx))
            return e == OSP_OK ? client_download(c, ask.onion, &ask.extra) : e;
    }
    e = upload(c, &ask, szx);
    return e == OSP_OK ? client_download(c, ask.onion, &ask.extra) : e;
}
