/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/client.h"

#include "proxy/impl.h"

#define PREFIX_BYTES 6          /* 2001:db8:1::/48 */
#define PREFIX_BYTES_V4 15      /* ::ffff:192.0.2.0/120 */

enum whose { OF_CONTEXT = 1, OF_ADDRESS, OF_PREFIX, OF_FLOW };

struct px_client
px_client_of(const struct px_exchange *x)
{
    return (struct px_client){ x->removed_count > 0 ? x->removed[x->removed_count - 1].ctx : NULL, &x->from };
}

/* ---- keys that are the same at all workers ---- */

static struct osp_hash128
begin_key(const struct osp_proxy *px, enum whose whose)
{
    struct osp_hash128 h = osp_hash_begin(osp_shares_key(px->shares));

    osp_hash_word(&h, whose);
    return h;
}

/* Contexts that EDHOC made have the label of their credential, which may be the one of all devices of a vendor. */
static uint64_t
key_of_context(const struct osp_proxy *px, const struct osp_octx *ctx)
{
    struct osp_hash128 h = begin_key(px, OF_CONTEXT);

    osp_hash_word(&h, osp_octx_label(ctx));
    if (osp_octx_label(ctx) & OSP_RECIPE_LABEL) {
        osp_hash_word(&h, osp_octx_recipient_id(ctx).n);
        osp_hash_piece(&h, osp_octx_recipient_id(ctx));
    }
    return osp_hash_end64(&h);
}

static uint64_t
key_of_address(const struct osp_proxy *px, const struct osp_ip *ip)
{
    struct osp_hash128 h = begin_key(px, OF_ADDRESS);

    osp_hash_piece(&h, osp_slice(ip, sizeof(*ip)));
    return osp_hash_end64(&h);
}

uint64_t
px_client_share(const struct osp_proxy *px, const struct px_client *c, bool known)
{
    if (c->ctx)
        return key_of_context(px, c->ctx);
    return known ? px_client_flow(px, c) : key_of_address(px, &c->flow->peer.ip);
}

uint64_t
px_client_flow(const struct osp_proxy *px, const struct px_client *c)
{
    struct osp_hash128 h = begin_key(px, OF_FLOW);

    osp_hash_piece(&h, osp_slice(&c->flow->peer, sizeof(c->flow->peer)));
    return osp_hash_end64(&h);
}

uint64_t
px_client_prefix(const struct osp_proxy *px, const struct px_client *c)
{
    const struct osp_ip *ip = &c->flow->peer.ip;
    struct osp_hash128   h = begin_key(px, OF_PREFIX);

    osp_hash_piece(&h, osp_slice(ip, osp_ip_is_v4(ip) ? PREFIX_BYTES_V4 : PREFIX_BYTES));
    return osp_hash_end64(&h);
}

/* ---- parts of a hash ---- */

void
px_hash_flow(struct osp_hash128 *h, const struct osp_flow *f)
{
    osp_hash_piece(h, osp_slice(&f->peer, sizeof(f->peer)));
    osp_hash_word(h, f->sock);
}

void
px_hash_context(struct osp_hash128 *h, const struct osp_octx *ctx)
{
    struct osp_slice id[3] = { osp_octx_sender_id(ctx), osp_octx_recipient_id(ctx), OSP_EMPTY };

    (void)osp_octx_id_context(ctx, &id[2]);
    for (size_t i = 0; i < 3; i++) {
        osp_hash_word(h, id[i].n);
        osp_hash_piece(h, id[i]);
    }
}

void
px_client_hash(struct osp_hash128 *h, const struct px_client *c)
{
    osp_hash_word(h, c->ctx ? OF_CONTEXT : OF_FLOW);
    if (c->ctx)
        px_hash_context(h, c->ctx);
    else
        px_hash_flow(h, c->flow);
}
