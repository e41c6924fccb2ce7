/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who a client is when it comes to its share of the tables, and to its rate (base/share.h).
 *
 * A client under a layer of ours is its security context, at all addresses.  Another client is its address, whatever the port,
 * and its source prefix counts too: whoever has one IPv6 address has 2^64 of them.
 *
 * The layer comes off while a request is dispatched, so an exchange is counted when it is about to outlive its turn.  Until
 * then it needs a place in the table of exchanges for a moment: one that unknown clients leave free.
 *
 * Blocks around a layer come before the layer is off.  For them, a flow that a layer came off from lately is known.
 */
#include "proxy/impl.h"

#define KNOWN_LIFE_US OSP_SEC(600)
#define PREFIX_BYTES 6          /* 2001:db8:1::/48 */
#define PREFIX_BYTES_V4 15      /* ::ffff:192.0.2.0/120 */

enum whose { OF_CONTEXT = 1, OF_ADDRESS, OF_PREFIX, OF_FLOW };

static struct osp_hash128
begin_key(const struct osp_proxy *px, enum whose whose)
{
    struct osp_hash128 h = osp_hash_begin(osp_shares_key(px->shares));

    osp_hash_word(&h, whose);
    return h;
}

static uint64_t
key_of_flow(const struct osp_proxy *px, const struct osp_flow *f)
{
    struct osp_hash128 h = begin_key(px, OF_FLOW);

    osp_hash_piece(&h, osp_slice(&f->peer.ip, sizeof(f->peer.ip)));
    osp_hash_word(&h, (uint64_t)f->peer.port << 32 | f->peer.scope);
    return osp_hash_end64(&h);
}

static uint64_t
key_of_prefix(const struct osp_proxy *px, const struct osp_ip *ip)
{
    struct osp_hash128 h = begin_key(px, OF_PREFIX);

    osp_hash_piece(&h, osp_slice(ip, osp_ip_is_v4(ip) ? PREFIX_BYTES_V4 : PREFIX_BYTES));
    return osp_hash_end64(&h);
}

/* Contexts that EDHOC made have the label of their credential, which may be the one of all devices of a vendor. */
static uint64_t
key_of_client(const struct osp_proxy *px, const struct px_exchange *x)
{
    struct osp_hash128     h = begin_key(px, x->removed_count > 0 ? OF_CONTEXT : OF_ADDRESS);
    const struct osp_octx *c = x->removed_count > 0 ? x->removed[x->removed_count - 1].ctx : NULL;

    if (!c) {
        osp_hash_piece(&h, osp_slice(&x->from.peer.ip, sizeof(x->from.peer.ip)));
        return osp_hash_end64(&h);
    }
    osp_hash_word(&h, osp_octx_label(c));
    if (osp_octx_label(c) & OSP_RECIPE_LABEL) {
        osp_hash_word(&h, osp_octx_recipient_id(c).n);
        osp_hash_piece(&h, osp_octx_recipient_id(c));
    }
    return osp_hash_end64(&h);
}

/* ---- flows that are known ---- */

void
px_note_known(struct osp_proxy *px, const struct osp_flow *from, struct osp_time now)
{
    uint64_t h = key_of_flow(px, from);

    px->known[h % PX_VERIFIED] = (struct px_verified){ h, now.us + KNOWN_LIFE_US };
}

bool
px_is_known(const struct osp_proxy *px, const struct px_exchange *x, struct osp_time now)
{
    uint64_t                  h = x->removed_count > 0 ? 0 : key_of_flow(px, &x->from);
    const struct px_verified *k = &px->known[h % PX_VERIFIED];

    return x->removed_count > 0 || (k->hash == h && k->until_us > now.us);
}

/* ---- shares ---- */

struct osp_account *
px_account(struct osp_proxy *px, struct px_exchange *x)
{
    bool known = x->removed_count > 0;

    if (!x->account)
        x->account = osp_ledger_open(&px->ledger, key_of_client(px, x), known, known ? 0 : key_of_prefix(px, &x->from.peer.ip));
    return x->account;
}

enum osp_err
px_admit(struct px_turn *t, struct px_exchange *x)
{
    struct osp_proxy   *px = t->px;
    struct osp_account *a;

    if (x->is_admitted || !x->kind->has_client)
        return OSP_OK;
    a = px_account(px, x);
    if (!a)
        return OSP_E_OVERLOAD;
    /* those that have no client, such as registrations upstream, are in the table too */
    if (!a->known && px->stats.exchanges + osp_ledger_reserve(&px->ledger, OSP_SHARE_EXCHANGES) > px->cfg.max_exchanges) {
        osp_ledger_refuse(&px->ledger, false, OSP_SHARE_EXCHANGES, OSP_SHARE_RESERVE);
        return OSP_E_SHARE;
    }
    x->is_admitted = osp_ledger_take(&px->ledger, a, OSP_SHARE_EXCHANGES);
    return x->is_admitted ? OSP_OK : OSP_E_SHARE;
}

void
px_account_end(struct osp_proxy *px, struct px_exchange *x)
{
    if (x->is_admitted)
        osp_ledger_give(&px->ledger, x->account, OSP_SHARE_EXCHANGES);
    osp_ledger_close(&px->ledger, x->account);
    x->account = NULL;
    x->is_admitted = false;
}

struct osp_account *
px_body_account(struct px_turn *t, const struct px_exchange *x, bool known, struct osp_account *leaving)
{
    struct osp_ledger  *l = &t->px->ledger;
    uint64_t            key = known && x->removed_count == 0 ? key_of_flow(t->px, &x->from) : key_of_client(t->px, x);
    struct osp_account *a = osp_ledger_open(l, key, known, known ? 0 : key_of_prefix(t->px, &x->from.peer.ip));
    bool                taken = a && (leaving ? osp_ledger_take_over(l, a, leaving, OSP_SHARE_BODIES)
                                              : osp_ledger_take(l, a, OSP_SHARE_BODIES));

    osp_ledger_close(l, a);
    return taken ? a : NULL;
}

/* ---- rates ---- */

/* Each rule has a rate of its own; a reload that changes it begins anew. */
bool
px_rate_allows(const struct px_turn *t, const struct px_exchange *x, const struct osp_rule *r)
{
    struct osp_hash128 h = osp_hash_begin(osp_shares_key(t->px->shares));

    osp_hash_word(&h, key_of_client(t->px, x));
    osp_hash_word(&h, (uint64_t)(r - x->policy->rules));
    osp_hash_word(&h, (uint64_t)r->rate << 32 | r->burst);
    return osp_shares_rate(t->px->shares, osp_hash_end64(&h), r->rate, r->burst ? r->burst : 1, t->now);
}
