/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose address is verified, and how much the others get [rfc9175#2.4] [rfc9175#2.6].
 *
 * A request with somebody else's address in it makes us send to them.  Until it is proven that somebody at an address
 * hears us, everything sent there for one request, acknowledgements and repetitions included, is at most
 * `limits.amplification` times as long as that request.  Both are counted in bytes of UDP payload.
 *
 *   safe request, longer answer     4.01 with an Echo; the cache may have the answer when the request comes again
 *   other request, longer answer    It was executed already: the answer goes out in blocks that are small enough, each
 *                                   for a request of its own.  What no block can make small enough is 5.02.
 *   error of ours                   It loses its text.
 *   separate answer                 It is not confirmable where its repetitions would be too long.
 *   registration                    4.01 with an Echo before anything is registered: notifications have no end.
 *
 * Two things prove an address: an Echo of ours that came back, and a layer that came off.  An empty ACK does not, since a
 * Message ID has 16 bits and can be guessed; nor does an answer of the origin, whatever it looks like.  Addresses
 * that nobody out there can pretend to have are not asked: loopback, link-local, private.
 *
 * Nothing is kept for an Echo (echo.c).  What is kept of verified addresses is a table of a fixed size, where a newer one
 * takes the place of an older.
 */
#include "proxy/access/access.h"

#define ACK_SIZE 4u
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

/* The transport has seen to it. */
static bool
is_proven(const struct osp_proxy *px, const struct px_exchange *x)
{
    return osp_exchange_can(&px->transports, &x->from.peer)->proven;
}

static bool
is_verified(const struct osp_proxy *px, const struct px_exchange *x, struct osp_time now)
{
    const struct px_verified *v;
    uint64_t                  h;

    if (x->removed_count > 0 || x->verify.echoed || cannot_be_spoofed_from_afar(&x->from.peer.ip) || is_proven(px, x))
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
    x->verify.echoed = fresh;
    if (fresh)
        px_verified(t->px, &x->from.peer.ip, t->now);
}

/* ---- how much ---- */

void
px_note_request(struct px_turn *t, struct px_exchange *x, struct osp_msg *req)
{
    x->verify.safe = req->code == OSP_GET || req->code == OSP_FETCH;
    x->verify.token_len = (uint32_t)req->token.n;
    take_echo(t, x, req);
}

size_t
px_may_send(const struct px_turn *t, const struct px_exchange *x)
{
    unsigned factor = t->px->cfg.amplification;
    size_t   most;

    if (factor == 0 || is_verified(t->px, x, t->now))
        return SIZE_MAX;
    most = (size_t)factor * x->verify.request_len;
    if (osp_exchange_will_repeat(&t->px->transports, x->in))           /* it was acknowledged before */
        most -= most < ACK_SIZE ? most : ACK_SIZE;
    return most;
}

/*
 * The table of verified addresses does not count here: a registration in the name of somebody who has proven an address a
 * minute ago would be served for days.
 */
bool
px_may_observe(const struct px_turn *t, const struct px_exchange *x)
{
    return t->px->cfg.amplification == 0 || x->removed_count > 0 || x->verify.echoed ||
           cannot_be_spoofed_from_afar(&x->from.peer.ip) || is_proven(t->px, x);
}

/* A 4.01 with an Echo of `len` bytes, 0: without. */
static enum osp_err
make_challenge(struct px_turn *t, const struct px_exchange *x, size_t len, struct osp_msg *resp)
{
    uint8_t     *value = osp_wr_reserve(&t->scratch, PX_ECHO_LEN);
    enum osp_err e = OSP_OK;

    osp_msg_init(resp, osp_err_code(OSP_E_UNVERIFIED));
    if (!value)
        return OSP_E_NOSPACE;
    px_echo_make(t, &x->from.peer, len, value);
    if (len == PX_ECHO_LEN)
        e = osp_msg_add(resp, OSP_OPT_MAX_AGE, OSP_EMPTY);
    return e == OSP_OK && len > 0 ? osp_msg_add(resp, OSP_OPT_ECHO, osp_slice(value, len)) : e;
}

/* The shortest requests leave room for a short Echo only, and for none where they were acknowledged before. */
enum osp_err
px_ask_address(struct px_turn *t, const struct px_exchange *x, struct osp_msg *resp)
{
    static const size_t lens[] = { PX_ECHO_LEN, PX_ECHO_SHORT, 0 };
    size_t              most = px_may_send(t, x);
    enum osp_err        e = OSP_OK;

    for (size_t i = 0; e == OSP_OK && i < sizeof(lens) / sizeof(lens[0]); i++) {
        e = make_challenge(t, x, lens[i], resp);
        if (osp_msg_size_udp(resp) + x->verify.token_len <= most)
            break;
    }
    return e;
}
