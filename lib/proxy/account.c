/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client has of the tables, and its rate (base/share.h); who a client is says client.h.
 *
 * A client without a layer counts in its source prefix too: whoever has one IPv6 address has 2^64 of them.
 *
 * The layer comes off while a request is dispatched, so an exchange is counted when it is about to outlive its turn.  Until
 * then it needs a place in the table of exchanges for a moment: one that unknown clients leave free.
 *
 * Blocks around a layer come before the layer is off.  For them, a flow that a layer came off from lately is known.
 */
#include "proxy/access/access.h"
#include "proxy/account.h"

#define KNOWN_LIFE_US OSP_SEC(600)

/* ---- flows that are known ---- */

void
px_note_known(struct osp_proxy *px, const struct osp_flow *from, struct osp_time now)
{
    uint64_t h = px_client_flow(px, &(struct px_client){ NULL, from });

    px->known[h % PX_VERIFIED] = (struct px_verified){ h, now.us + KNOWN_LIFE_US };
}

bool
px_is_known(const struct osp_proxy *px, const struct px_exchange *x, struct osp_time now)
{
    struct px_client          c = px_client_of(x);
    uint64_t                  h = c.ctx ? 0 : px_client_flow(px, &c);
    const struct px_verified *k = &px->known[h % PX_VERIFIED];

    return c.ctx || (k->hash == h && k->until_us > now.us);
}

/* ---- shares ---- */

static struct osp_account *
open_account(struct osp_proxy *px, const struct px_client *c, bool known)
{
    return osp_ledger_open(&px->ledger, px_client_share(px, c, known), known, known ? 0 : px_client_prefix(px, c));
}

struct osp_account *
px_account(struct osp_proxy *px, struct px_exchange *x)
{
    struct px_client c = px_client_of(x);

    if (!x->account)
        x->account = open_account(px, &c, c.ctx != NULL);
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
    struct px_client    c = px_client_of(x);
    struct osp_account *a = open_account(t->px, &c, known);
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
    struct px_client   c = px_client_of(x);

    osp_hash_word(&h, px_client_share(t->px, &c, false));
    osp_hash_word(&h, (uint64_t)(r - x->policy->rules));
    osp_hash_word(&h, (uint64_t)r->rate << 32 | r->burst);
    return osp_shares_rate(t->px->shares, osp_hash_end64(&h), r->rate, r->burst ? r->burst : 1, t->now);
}
