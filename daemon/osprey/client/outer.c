/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A protected response that a proxy cut into blocks around its layers, since it did not fit one datagram.  It can be verified
 * only when it is complete, so its length is bounded [rfc8613#4.1.3.4.2].
 */
#include <stdlib.h>

#include "daemon/osprey/client/client.h"
#include "msg/option.h"

#define UNFRAGMENTED_MAX 65536u         /* MAX_UNFRAGMENTED_SIZE: what fits one datagram elsewhere */
#define HEAD_MAX 2048u                  /* bytes of its options */

struct gather {
    struct osp_wr    body, head;
    struct osp_block block;
    struct osp_slice etag;              /* borrowed from `head` */
    uint8_t          code;
};

/* Takes the first block, whose options become the options of the message. */
static enum osp_err
begin(struct client *c, struct gather *g, const struct osp_msg *m)
{
    const struct osp_opt *etag;
    bool                  header;

    if (!c->outer_bytes)
        c->outer_bytes = malloc(UNFRAGMENTED_MAX + HEAD_MAX);
    if (!c->outer_bytes)
        return OSP_E_NOMEM;
    g->body = osp_wr_to(c->outer_bytes, UNFRAGMENTED_MAX);
    g->head = osp_wr_to(&c->outer_bytes[UNFRAGMENTED_MAX], HEAD_MAX);
    g->code = m->code;
    osp_msg_copy(&c->outer, m);
    osp_msg_remove(&c->outer, OSP_OPT_BLOCK2);
    osp_msg_remove(&c->outer, OSP_OPT_SIZE2);
    c->outer.payload = OSP_EMPTY;
    if (osp_msg_encode_udp(&c->outer, &g->head) != OSP_OK ||
        osp_msg_decode_udp(osp_wr_slice(&g->head), &c->outer, &header) != OSP_OK)
        return client_broken(c, "the options beside a block are too long");
    etag = osp_msg_get(&c->outer, OSP_OPT_ETAG);
    g->etag = etag ? etag->val : OSP_EMPTY;
    return OSP_OK;
}

static enum osp_err
add(struct client *c, struct gather *g, const struct osp_msg *m)
{
    enum osp_err e = osp_body_add(&g->body, &g->block, m->payload);

    if (e == OSP_E_NOSPACE) {
        c->why = "the protected message is larger than MAX_UNFRAGMENTED_SIZE";
        return OSP_E_TOO_LARGE;
    }
    return e == OSP_OK ? OSP_OK : client_broken(c, "a block of the protected message is not as long as it says");
}

/* Asks for the next block, with the code and the outer options of the protected request. */
static enum osp_err
ask_next(struct client *c, const struct gather *g, const struct osprey_onion *onion, struct osp_time deadline,
         struct osp_event *ev)
{
    struct osp_request how = { .confirmable = !c->args.non, .deadline = deadline };
    struct osp_ip      any = { { 0 } };
    struct osp_block   next;
    struct osp_msg     m;
    uint8_t            value[3];
    uint64_t           handle = 0;
    enum osp_err       e;

    if (!osp_block_next(&g->block, g->block.szx, &next))
        return client_broken(c, "too many blocks");
    osp_msg_copy(&m, osprey_onion_outside(onion));
    osp_msg_remove(&m, OSP_OPT_OBSERVE);        /* [rfc7959#2.6] */
    m.payload = OSP_EMPTY;
    e = osp_msg_add(&m, OSP_OPT_BLOCK2, osp_block_make(&next, value));
    if (e == OSP_OK)
        e = osp_ep_request(c->net.ep, &c->peer, &any, &m, &how, osprey_now(), &c->net.tx, &handle);
    if (e != OSP_OK)
        return e;
    osprey_net_flush(&c->net);
    e = client_await(c, handle, deadline, ev);
    if (e != OSP_OK)
        osp_ep_cancel(c->net.ep, handle);
    return e;
}

/* Checks that a block follows the one before it, and belongs to the message of the first one [rfc7959#2.4]. */
static enum osp_err
check(struct client *c, struct gather *g, const struct osp_msg *m)
{
    const struct osp_opt *etag = osp_msg_get(m, OSP_OPT_ETAG);
    struct osp_block      b = { 0 };
    bool                  has;

    if (osp_block_get(m, OSP_OPT_BLOCK2, &has, &b) != OSP_OK || !has || m->code != g->code)
        return client_broken(c, "a block of the protected message is missing");
    if (osp_block_offset(&b) != g->body.n || !osp_slice_eq(etag ? etag->val : OSP_EMPTY, g->etag))
        return client_broken(c, "the blocks of the protected message do not belong together");
    g->block = b;
    return OSP_OK;
}

static enum osp_err
gather(struct client *c, const struct osprey_onion *onion, const struct osp_msg *m, const struct osp_block *first,
       struct osp_time deadline)
{
    struct gather       g = { .block = *first };
    struct osp_event ev = { .kind = OSP_EV_NONE };
    enum osp_err        e = begin(c, &g, m);

    if (e == OSP_OK && first->num != 0)
        e = client_broken(c, "the protected message does not begin with its first block");
    if (e == OSP_OK)
        e = add(c, &g, m);
    while (e == OSP_OK && g.block.more) {
        e = ask_next(c, &g, onion, deadline, &ev);
        if (e == OSP_OK)
            e = check(c, &g, ev.msg);
        if (e == OSP_OK)
            e = add(c, &g, ev.msg);
    }
    c->outer.payload = osp_wr_slice(&g.body);
    return e;
}

enum osp_err
client_open(struct client *c, struct osprey_onion *onion, const struct osp_msg *m, struct osp_time deadline)
{
    struct osp_block b = { 0 };
    bool             has = false;
    enum osp_err     e = OSP_OK;

    if (onion->seal_count > 0 && osp_msg_has(m, OSP_OPT_OSCORE)) {
        if (osp_block_get(m, OSP_OPT_BLOCK2, &has, &b) != OSP_OK)
            return client_broken(c, "unreadable Block2 option");
        if (has)
            e = gather(c, onion, m, &b, deadline);
    }
    if (e != OSP_OK)
        return e;
    return osprey_onion_open(onion, c->crypto, has ? &c->outer : m, &c->trace, &c->answer);
}
