/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whom a leg with EDHOC leads to [rfc9528#D.2].
 *
 * To be trusted is not to be the next hop: whoever is there has to be named for it.  A certificate that an authority vouches for
 * names its subjects itself, and lib/edhoc asks it; a credential of the configuration has the name that it has there.  It has to
 * be the host that requests go to, or what the operator wrote in its place.  Who that is stands in the purpose of the context, so
 * that no request for another name goes out under it, at the same address or after a restart.
 */
#include "proxy/edhoc/agreement.h"
#include "proxy/edhoc/edhoc.h"

#include "crypto/digest.h"

#define PURPOSE_HASH 16         /* bytes of a digest in a purpose */

static struct osp_slice
host_of(const struct px_exchange *x)
{
    return osp_slice(x->edhoc->host, x->edhoc->host_len);
}

static enum osp_err
note_hop(struct osp_proxy *px, struct px_exchange *x, const struct osp_hop_edhoc *h, struct osp_slice host)
{
    struct px_hop_edhoc *copy = osp_pool_get(&px->pool, sizeof(*copy) + host.n);

    if (!copy)
        return OSP_E_NOMEM;
    *copy = (struct px_hop_edhoc){ .hop = h, .host_len = (uint8_t)host.n };
    (void)osp_slice_copy(host, copy->host, host.n);
    x->edhoc = copy;
    return OSP_OK;
}

enum osp_err
px_note_hop(struct osp_proxy *px, struct px_exchange *x, const struct osp_hop_edhoc *h, const struct osp_authority *to)
{
    return to->host.n > OSP_HOST_MAX ? OSP_E_BAD_URI : note_hop(px, x, h, to->is_ip ? OSP_EMPTY : to->host);
}

enum osp_err
px_copy_hop(struct osp_proxy *px, struct px_exchange *x, const struct px_exchange *from)
{
    return from->edhoc ? note_hop(px, x, from->edhoc->hop, host_of(from)) : OSP_OK;
}

struct osp_subject
px_subject_of(const struct px_exchange *x)
{
    return (struct osp_subject){ .pattern = x->edhoc->hop->subject, .host = host_of(x), .ip = x->to.ip };
}

static bool
may_be(const struct osp_hop_edhoc *h, uint32_t label)
{
    uint32_t i = label & ~OSP_RECIPE_LABEL;

    return label & OSP_RECIPE_LABEL && i < h->credential_count && h->credentials[i / 8] >> (i % 8) & 1;
}

/* False: only credentials that are meant for this leg may be there, whatever its host is called. */
static bool
goes_by_name(const struct px_exchange *x)
{
    const struct osp_hop_edhoc  *h = x->edhoc->hop;
    const struct osp_edhoc_conf *c = x->policy->edhoc;

    return h->subject || !h->named || (c && c->profile.anchors && may_be(h, c->profile.chain_label));
}

/* Who that is in words: a pattern, a host name, or an address. */
static struct osp_slice
subject_text(const struct px_exchange *x, char ip[OSP_ADDR_TEXT_MAX])
{
    if (x->edhoc->hop->subject)
        return osp_slice_str(x->edhoc->hop->subject);
    if (x->edhoc->host_len)
        return host_of(x);
    osp_ip_print(&x->to.ip, ip, OSP_ADDR_TEXT_MAX);
    return osp_slice_str(ip);
}

/* Whether it can stand in a text whose parts are told apart by spaces. */
static bool
is_plain(struct osp_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return true;
}

/* Where the text has no room for who it is: who it is all the same, for comparison. */
static void
put_hash(struct osp_wr *w, struct osp_slice who, struct osp_slice subject)
{
    const struct osp_slice parts[] = { who, osp_slice("", 1), subject };
    uint8_t                hash[OSP_DIGEST_MAX];
    char                   hex[2 * PURPOSE_HASH + 1] = "";

    if (osp_digest(OSP_SHA256, parts, 3, hash) == OSP_OK)
        osp_hex_encode(osp_slice(hash, PURPOSE_HASH), hex, sizeof(hex));
    osp_wr_put(w, osp_slice_str(hex));
}

struct osp_slice
px_purpose_of(const struct px_exchange *x, char dst[OSP_RECIPE_PEER_MAX])
{
    char             at[OSP_ADDR_TEXT_MAX], ip[OSP_ADDR_TEXT_MAX];
    struct osp_slice who = osp_slice_str(x->edhoc->hop->who), subject = subject_text(x, ip);
    struct osp_wr    w = osp_wr_to((uint8_t *)dst, OSP_RECIPE_PEER_MAX - 1);

    osp_addr_print(&x->to, at, sizeof(at));
    osp_wr_put(&w, osp_slice_str("coap://"));
    osp_wr_put(&w, osp_slice_str(at));
    osp_wr_u8(&w, ' ');
    if (!goes_by_name(x)) {
        osp_wr_put(&w, osp_slice_head(who, OSP_RECIPE_NAME_MAX));
    } else if (w.n + who.n + 1 + subject.n < OSP_RECIPE_PEER_MAX && is_plain(subject)) {
        osp_wr_put(&w, who);
        osp_wr_u8(&w, ' ');
        osp_wr_put(&w, subject);
    } else {
        put_hash(&w, who, subject);
    }
    dst[w.n] = '\0';
    return osp_slice(dst, w.n);
}

bool
px_is_wanted(const struct px_exchange *x, uint32_t label, bool by_chain)
{
    const struct osp_hop_edhoc  *h = x->edhoc->hop;
    const struct osp_edhoc_conf *c = x->policy->edhoc;
    struct osp_subject           s = px_subject_of(x);
    uint32_t                     i = label & ~OSP_RECIPE_LABEL;

    if (!may_be(h, label))
        return false;
    return by_chain || (h->named && !h->subject) || (c && i < c->name_count && osp_subject_is(&s, osp_slice_str(c->names[i])));
}

bool
px_is_by_chain(const struct px_exchange *x, uint32_t label)
{
    const struct osp_edhoc_conf *c = x->policy->edhoc;

    return c && c->profile.anchors && c->profile.chain_label == label;
}
