/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may do what: rules, rates, our own authority, and addresses that have to be named to be reached. */
#include "base/glob.h"
#include "proxy/access/access.h"
#include "proxy/account.h"

/* ---- rules ---- */

static bool
bit(const uint8_t *bits, size_t i)
{
    return bits[i / 8] >> (i % 8) & 1;
}

/* A rule with subjects has only bits of credentials whose contexts have one. */
static bool
subject_matches(const struct osp_rule *r, const struct osp_octx *ctx)
{
    struct osp_slice subject = osp_octx_subject(ctx);

    for (size_t i = 0; i < r->subject_count; i++)
        if (subject.n > 0 && osp_glob(osp_slice_str(r->subjects[i]), subject))
            return true;
    return r->subject_count == 0;
}

/* A context of the configuration, or one that EDHOC made: both have bits of their own. */
static bool
context_matches(const struct osp_rule *r, const struct osp_octx *ctx)
{
    uint32_t label;

    if (!ctx)
        return false;
    label = osp_octx_label(ctx);
    if (!(label & OSP_RECIPE_LABEL))
        return r->contexts && label < r->context_count && bit(r->contexts, label);
    label &= ~OSP_RECIPE_LABEL;
    return r->credentials && label < r->credential_count && bit(r->credentials, label) && subject_matches(r, ctx);
}

static bool
rule_matches(const struct osp_rule *r, const struct px_exchange *x)
{
    bool             has_context = r->contexts || r->credentials, by_net = r->net_count == 0;
    struct px_client c = px_client_of(x);

    if (r->any)
        return true;
    for (size_t i = 0; i < r->net_count && !by_net; i++)
        by_net = osp_ip_in_prefix(&c.flow->peer.ip, &r->nets[i].ip, r->nets[i].bits);
    return (!has_context || context_matches(r, c.ctx)) && by_net && (has_context || r->net_count);
}

/* The first rule whose match fits; NULL: none, so nothing is allowed. */
static const struct osp_rule *
rule_of(const struct px_exchange *x)
{
    for (size_t i = 0; i < x->policy->rule_count; i++)
        if (rule_matches(&x->policy->rules[i], x))
            return &x->policy->rules[i];
    return NULL;
}

static enum osp_err
count_request(const struct px_turn *t, const struct px_exchange *x, const struct osp_rule *r)
{
    return r->rate == 0 || px_rate_allows(t, x, r) ? OSP_OK : OSP_E_RATE;
}

/* ---- authorization [ocp#2.4] step 4 ---- */

const struct osp_host *
px_host_of(const struct osp_policy *p, struct osp_slice name)
{
    for (size_t i = 0; i < p->host_count; i++)
        if (osp_slice_eq(osp_slice_str(p->hosts[i].name), name))
            return &p->hosts[i];
    return NULL;
}

/*
 * The address that a request for `to` goes to, as far as it is known before anything is asked of DNS: it is judged before
 * the cache is looked at.  NULL: not known yet, or the next hop's to find.
 */
static const struct osp_ip *
known_ip(const struct osp_policy *p, const struct osp_authority *to)
{
    const struct osp_host *host = to->is_ip || p->has_next_hop ? NULL : px_host_of(p, to->host);

    if (to->is_ip)
        return &to->ip;
    return host ? &host->ip : NULL;
}

enum osp_err
px_may_forward(struct px_turn *t, struct px_exchange *x, const struct osp_authority *to)
{
    const struct osp_rule *r = rule_of(x);
    const struct osp_ip   *ip = known_ip(x->policy, to);

    for (size_t i = 0; r && i < r->allow_count; i++) {
        const struct osp_allow *a = &r->allow[i];

        if (a->kind != OSP_ALLOW_FORWARD || !osp_target_match(&a->target, to))
            continue;
        x->rule = r;
        if (ip && !px_ip_is_allowed(t->px, x, ip, to->port))
            return OSP_E_FORBIDDEN;
        return count_request(t, x, r);
    }
    return OSP_E_FORBIDDEN;
}

bool
px_sees_route(const struct px_exchange *x, size_t route)
{
    const struct osp_rule *r = rule_of(x);

    for (size_t i = 0; r && i < r->allow_count; i++)
        if (r->allow[i].kind == OSP_ALLOW_ROUTE && bit(r->allow[i].routes, route))
            return true;
    return false;
}

enum osp_err
px_may_route(struct px_turn *t, struct px_exchange *x, size_t route)
{
    const struct osp_rule *r = rule_of(x);

    if (!px_sees_route(x, route))
        return OSP_E_FORBIDDEN;
    x->rule = r;
    x->vouched = true;          /* the operator wrote the upstream's URI */
    return count_request(t, x, r);
}

/* ---- addresses ---- */

/*
 * Whatever the port: what else runs on this machine takes us for a neighbour.  What we listen at and where this request came
 * to are asked too, since an interface need not list them.
 */
static bool
is_own_ip(struct osp_proxy *px, const struct px_exchange *x, const struct osp_ip *ip)
{
    const struct osp_policy *p = x->policy;

    if (osp_ip_eq(ip, &x->from.local) || osp_addrview_has(&px->addresses, p->addresses, ip))
        return true;
    for (size_t i = 0; i < p->own_count; i++)
        if (osp_target_names_ip(&p->own[i], ip))
            return true;
    return false;
}

/* [rfc7252#11] loopback, link-local, multicast and unspecified addresses, and our own */
bool
px_ip_is_allowed(struct osp_proxy *px, const struct px_exchange *x, const struct osp_ip *ip, uint16_t port)
{
    if (x->vouched)
        return true;
    if (!osp_ip_is_loopback(ip) && !osp_ip_is_link_local(ip) && !osp_ip_is_multicast(ip) && !osp_ip_is_any(ip) &&
        !is_own_ip(px, x, ip))
        return true;
    for (size_t i = 0; x->rule && i < x->rule->allow_count; i++)
        if (x->rule->allow[i].kind == OSP_ALLOW_FORWARD && osp_target_names_ip(&x->rule->allow[i].target, ip) &&
            (x->rule->allow[i].target.port == 0 || x->rule->allow[i].target.port == port))
            return true;
    return false;
}

bool
osp_policy_is_own(const struct osp_policy *p, const struct osp_authority *a, bool here)
{
    for (size_t i = 0; i < p->own_count; i++)
        if (osp_target_match(&p->own[i], a))
            return true;
    for (size_t i = 0; here && a->is_ip && i < p->own_port_count; i++)
        if (p->own_ports[i].scheme == a->scheme && p->own_ports[i].port == a->port &&
            (!p->own_ports[i].only_v4 || osp_ip_is_v4(&a->ip)))
            return true;
    return false;
}

/* [rfc7252#5.7.2] by any name and address of ours, and by the one this request was sent to */
bool
px_is_own(struct osp_proxy *px, const struct px_exchange *x, const struct osp_authority *a)
{
    const struct osp_policy *p = x->policy;
    const struct osp_flow   *flow = &x->from;

    if (a->is_ip && osp_ip_eq(&a->ip, &flow->local) && flow->sock < p->sock_count && a->port == p->sock_port[flow->sock])
        return true;
    return osp_policy_is_own(p, a, a->is_ip && (osp_ip_is_loopback(&a->ip) || osp_addrview_has(&px->addresses, p->addresses,
                                                                                              &a->ip)));
}

/* ---- credentials ---- */

bool
osp_policy_trusts(const struct osp_policy *p, uint32_t label)
{
    const struct osp_edhoc_conf *c = p->edhoc;

    if (!c)
        return false;
    for (size_t i = 0; i < c->trusted.count; i++)
        if (c->trusted.list[i].label == label)
            return true;
    return (c->profile.anchors && c->profile.chain_label == label) || (c->accept_unknown && c->unknown_label == label);
}
