/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose address is verified, and how much the others get [rfc9175#2.4] [rfc9175#2.6].
 *
 * A request with somebody else's address in it makes us send to them.  Until it is known that somebody at an address
 * hears us, it gets no more than a few times what came from there, headers below CoAP counted on both sides.  What is
 * longer is a 4.01 with an Echo in its place, if the request was a safe one; the answer to the repeated request is there
 * by then, if it is one for the cache.  A request that is not safe was executed already, so its answer goes out in blocks that
 * are small enough: each is asked for by a request of its own.  Where repetitions would be too much, it comes once.
 *
 * An address is verified by an Echo of ours that came back, by a layer that came off, by a confirmable notification
 * that was acknowledged.  Addresses that nobody out there can pretend to have are not asked: loopback, link-local, private.
 * An answer under an end-to-end OSCORE layer is none to amplify with, unless the request is a deterministic one, which
 * anybody may repeat: the origin has verified the request.
 *
 * Nothing is kept for an Echo (echo.c).  What is kept of verified addresses is a table of a fixed size, where a newer one
 * takes the place of an older.
 */
#include "proxy/impl.h"

#define BELOW_COAP 62           /* Ethernet, IPv6 and UDP [rfc9175#2.4] */
#define ACK_SIZE (BELOW_COAP + 4u)
#define VERIFIED_LIFE_US OSP_SEC(600)

static uint64_t
hash_ip(const struct osp_proxy *px, const struct osp_ip *ip)
{
    return osp_hash(&px->seed, osp_slice(ip, sizeof(*ip)));
}

void
px_verified(struct osp_proxy *px, const struct osp_ip *ip, struct osp_time now)
{
    uint64_t h = hash_ip(px, ip);

    px->verified[h % PX_VERIFIED] = (struct px_verified){ h, now.us + VERIFIED_LIFE_US };
}

/* Private ones: 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7. */
static bool
cannot_be_spoofed_from_afar(const struct osp_ip *ip)
{
    static const struct { struct osp_ip net; unsigned bits; } nets[] = {
        { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 0 } }, 96 + 8 },
        { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 172, 16, 0, 0 } }, 96 + 12 },
        { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 0, 0 } }, 96 + 16 },
        { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 100, 64, 0, 0 } }, 96 + 10 },
        { { { 0xfc } }, 7 },
    };

    if (osp_ip_is_loopback(ip) || osp_ip_is_link_local(ip))
        return true;
    for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
        if (osp_ip_in_prefix(ip, &nets[i].net, nets[i].bits))
            return true;
    return false;
}

static bool
is_verified(const struct osp_proxy *px, const struct px_exchange *x, struct osp_time now)
{
    const struct px_verified *v;
    uint64_t                  h;

    /* whoever acknowledged a notification stays verified for that observation */
    if (x->removed_count > 0 || (x->obs && x->obs->rtt_us) || cannot_be_spoofed_from_afar(&x->from.peer.ip))
        return true;
    h = hash_ip(px, &x->from.peer.ip);
    v = &px->verified[h % PX_VERIFIED];
    return v->hash == h && v->until_us > now.us;
}

/* [rfc9175#2.3] Ours goes no further, however old; somebody else's travels on. */
static void
take_echo(struct px_turn *t, struct px_exchange *x, struct osp_msg *req)
{
    bool fresh;

    if (!osp_msg_has(req, OSP_OPT_ECHO) || !px_echo_is_ours(t, &x->from.peer, req, &fresh))
        return;
    osp_msg_remove(req, OSP_OPT_ECHO);
    x->echoed = fresh;
    if (fresh)
        px_verified(t->px, &x->from.peer.ip, t->now);
}

/* ---- how much ---- */

void
px_meet(struct px_turn *t, struct px_exchange *x, struct osp_msg *req)
{
    const struct osp_cache *c = x->policy->cache;
    uint16_t                hash = c ? osp_cache_cfg(c)->request_hash : OSP_OPT_REQUEST_HASH;

    x->safe = req->code == OSP_GET || req->code == OSP_FETCH;
    x->end_to_end = osp_msg_has(req, OSP_OPT_OSCORE) && !osp_msg_has(req, hash);
    x->token_len = (uint32_t)req->token.n;
    take_echo(t, x, req);
}

size_t
px_may_send(const struct px_turn *t, const struct px_exchange *x, const struct osp_msg *out, bool once)
{
    unsigned factor = t->px->cfg.amplification;
    size_t   most;

    if (factor == 0 || is_verified(t->px, x, t->now) || (x->end_to_end && osp_msg_has(out, OSP_OPT_OSCORE)))
        return SIZE_MAX;
    most = factor * (x->request_len + (size_t)BELOW_COAP);
    /*
     * A separate response that is confirmable may come five times.  A notification too, but the first of them has to be
     * acknowledged before there is another [rfc7641#7], and not every observer knows what to do with an Echo then.
     */
    if (!x->notify && osp_ep_will_repeat(t->px->ep, x->in)) {
        most -= most < ACK_SIZE ? most : ACK_SIZE;      /* it was acknowledged before */
        if (!once)
            most /= t->px->cfg.ep.max_retransmit + 1u;
    }
    return most > BELOW_COAP + x->token_len ? most - BELOW_COAP - x->token_len : 0;
}

enum osp_err
px_ask_address(struct px_turn *t, const struct px_exchange *x, struct osp_msg *resp)
{
    uint8_t     *value = osp_wr_reserve(&t->scratch, PX_ECHO_LEN);
    enum osp_err e;

    if (!value)
        return OSP_E_NOSPACE;
    px_echo_make(t, &x->from.peer, value);
    osp_msg_init(resp, osp_err_code(OSP_E_UNVERIFIED));
    e = osp_msg_add(resp, OSP_OPT_MAX_AGE, OSP_EMPTY);
    return e == OSP_OK ? osp_msg_add(resp, OSP_OPT_ECHO, osp_slice(value, PX_ECHO_LEN)) : e;
}
