/* SPDX-License-Identifier: BSD-2-Clause */
/* The request URI on its way in and out, and Hop-Limit. */
#include "proxy/steps.h"

static const struct osp_opt *
get(const struct osp_msg *m, uint16_t num)
{
    return osp_msg_get(m, num);
}

/* Removes every option of this purpose. */
static void
remove_purpose(struct osp_msg *m, enum osp_opt_purpose purpose)
{
    uint16_t kept = 0;

    for (size_t i = 0; i < m->opt_count; i++)
        if (osp_opt_purpose(m->opts[i].num) != purpose)
            m->opts[kept++] = m->opts[i];
    m->opt_count = kept;
}

/* ---- forward-proxy form ---- */

bool
px_is_forward_form(const struct osp_msg *req)
{
    for (size_t i = 0; i < req->opt_count; i++)
        if (osp_opt_purpose(req->opts[i].num) == OSP_OPT_FOR_PROXY)
            return true;
    return false;
}

/* The scheme that Proxy-Scheme or Proxy-Scheme-Number names. */
static enum osp_scheme
scheme_of(const struct osp_msg *req)
{
    /* the numbers of CRIs: https of them are 2 and 3, urn 4, did 5 */
    static const enum osp_scheme numbers[] = { OSP_SCHEME_COAP, OSP_SCHEME_COAPS, OSP_SCHEME_UNKNOWN, OSP_SCHEME_UNKNOWN,
                                               OSP_SCHEME_UNKNOWN, OSP_SCHEME_UNKNOWN, OSP_SCHEME_COAP_TCP,
                                               OSP_SCHEME_COAPS_TCP };
    const struct osp_opt *name = get(req, OSP_OPT_PROXY_SCHEME);
    const struct osp_opt *number = get(req, OSP_OPT_PROXY_SCHEME_NUMBER);
    uint32_t              v = 0;

    if (name && !number)
        return osp_scheme_of(name->val);
    if (!name && number && osp_opt_uint(number->val, &v) && v < sizeof(numbers) / sizeof(numbers[0]))
        return numbers[v];
    return OSP_SCHEME_UNKNOWN;          /* both at once is an error too */
}

static enum osp_err
port_of(const struct osp_msg *req, uint16_t dflt, uint16_t *out)
{
    const struct osp_opt *o = get(req, OSP_OPT_URI_PORT);
    uint32_t              v = dflt;

    if (o && (!osp_opt_uint(o->val, &v) || v == 0 || v > 65535))
        return OSP_E_BAD_REQUEST;
    *out = (uint16_t)v;
    return OSP_OK;
}

static uint16_t
local_port(const struct px_exchange *x)
{
    return x->from.sock < x->policy->sock_count ? x->policy->sock_port[x->from.sock] : OSP_COAP_PORT;
}

/*
 * Proxy-Uri beats every Uri-* option [rfc7252#5.10.2]: it is split into them.  A host that is an IP literal
 * needs no Uri-Host, the port none at all: both are where the request is sent to [rfc7252#6.4].
 */
static enum osp_err
split_proxy_uri(struct px_turn *t, struct osp_msg *req, struct osp_authority *to)
{
    struct osp_slice text = get(req, OSP_OPT_PROXY_URI)->val;
    uint8_t         *storage = osp_wr_reserve(&t->scratch, text.n + 1);
    struct osp_uri   uri;
    enum osp_err     e;

    if (!storage)
        return OSP_E_NOSPACE;
    e = osp_uri_split(text, storage, text.n, &uri);
    if (e != OSP_OK)
        return e;
    if (!osp_exchange_has(&t->px->transports, osp_scheme_transport(uri.to.scheme)))
        return OSP_E_NOT_PROXY;
    if (osp_uri_has_dots(&uri))         /* resolving them is the client's part [rfc7252#6.4] */
        return OSP_E_DOT_SEGMENT;
    osp_msg_remove(req, OSP_OPT_PROXY_URI);
    remove_purpose(req, OSP_OPT_FOR_SERVER);
    remove_purpose(req, OSP_OPT_FOR_RESOURCE);
    e = osp_uri_to_options(&uri, req, &t->scratch);
    if (e == OSP_OK && osp_path_has_dots(req, OSP_OPT_URI_PATH))        /* "..%2fx" is one now */
        e = OSP_E_DOT_SEGMENT;
    if (e == OSP_OK && !uri.to.is_ip)
        e = osp_msg_add(req, OSP_OPT_URI_HOST, uri.to.host);
    *to = uri.to;
    return e;
}

static enum osp_err
split_proxy_scheme(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *req, struct osp_authority *to)
{
    enum osp_scheme       scheme = scheme_of(req);
    const struct osp_opt *host = get(req, OSP_OPT_URI_HOST);
    uint8_t              *storage;
    uint16_t              port = 0;
    enum osp_err          e;

    if (!osp_exchange_has(&t->px->transports, osp_scheme_transport(scheme)))
        return OSP_E_NOT_PROXY;
    if (!host) {                /* Uri-Host defaults to the address the request was sent to: our own */
        e = port_of(req, local_port(x), &port);
        *to = (struct osp_authority){ .scheme = scheme, .port = port, .is_ip = true, .ip = x->from.local };
        return e;
    }
    e = port_of(req, osp_scheme_port(scheme), &port);
    if (e != OSP_OK)
        return e;
    storage = osp_wr_reserve(&t->scratch, host->val.n + 1);
    if (!storage)
        return OSP_E_NOSPACE;
    return osp_authority_make(scheme, host->val, port, storage, host->val.n, to);
}

enum osp_err
px_request_authority(struct px_turn *t, const struct px_exchange *x, struct osp_msg *req, struct osp_authority *to)
{
    if (osp_msg_has(req, OSP_OPT_PROXY_CRI))    /* a form of URI that is not read here */
        return OSP_E_NOT_PROXY;
    if (osp_msg_has(req, OSP_OPT_PROXY_URI))
        return split_proxy_uri(t, req, to);
    return split_proxy_scheme(t, x, req, to);
}

void
px_consume_proxy_options(struct osp_msg *req)
{
    remove_purpose(req, OSP_OPT_FOR_PROXY);
}

/*
 * The request turned out to be for us, under the authority `to`: it becomes what the client would have sent without a proxy.
 * Uri-Host stays, since routes go by it; Uri-Port is there where `to` has another port than the request came to.
 */
enum osp_err
px_become_local(struct px_turn *t, const struct px_exchange *x, const struct osp_authority *to, struct osp_msg *req)
{
    uint8_t *port;

    px_consume_proxy_options(req);
    osp_msg_remove(req, OSP_OPT_URI_PORT);
    if (to->port == local_port(x))
        return OSP_OK;
    port = osp_wr_reserve(&t->scratch, 4);
    return port ? osp_msg_add(req, OSP_OPT_URI_PORT, osp_opt_uint_make(to->port, port)) : OSP_E_NOSPACE;
}

/* The form a next proxy wants: Proxy-Scheme and Uri-*, whatever the client wrote [rfc8613#4.1.3.3]. */
enum osp_err
px_translate_to_proxy(struct px_turn *t, const struct osp_authority *to, struct osp_msg *req)
{
    enum osp_err e = OSP_OK;
    uint8_t     *port;

    osp_msg_remove(req, OSP_OPT_PROXY_SCHEME_NUMBER);
    if (!osp_msg_has(req, OSP_OPT_PROXY_SCHEME))
        e = osp_msg_add(req, OSP_OPT_PROXY_SCHEME, osp_slice_str(osp_scheme_name(to->scheme)));
    if (e == OSP_OK && !osp_msg_has(req, OSP_OPT_URI_HOST))
        e = osp_msg_add(req, OSP_OPT_URI_HOST, to->host);
    if (e == OSP_OK && !osp_msg_has(req, OSP_OPT_URI_PORT) && to->port != osp_scheme_port(to->scheme)) {
        port = osp_wr_reserve(&t->scratch, 4);
        e = port ? osp_msg_add(req, OSP_OPT_URI_PORT, osp_opt_uint_make(to->port, port)) : OSP_E_NOSPACE;
    }
    return e;
}

/* ---- reverse-proxy ---- */

static bool
host_matches(struct osp_slice pattern, bool has_host, struct osp_slice host)
{
    if (pattern.n == 0)
        return true;
    if (!has_host)
        return false;
    if (pattern.n > 2 && pattern.p[0] == '*' && pattern.p[1] == '.') {
        struct osp_slice below = osp_slice_tail(pattern, 1);    /* ".name" */
        return host.n > below.n && osp_slice_eq(osp_slice_tail(host, host.n - below.n), below);
    }
    return osp_slice_eq(pattern, host);
}

static bool
path_matches(const struct osp_route *r, const struct osp_msg *req)
{
    size_t n = 0;

    if (!r->has_path)
        return true;
    for (size_t i = 0; i < req->opt_count; i++) {
        if (req->opts[i].num != OSP_OPT_URI_PATH)
            continue;
        if (n < r->path_count ? !osp_slice_eq(req->opts[i].val, r->path[n]) : r->exact)
            return false;
        n++;
    }
    return n >= r->path_count;
}

/* More specific: a longer path, then an exact one, then a host, then a port. */
static bool
is_better(const struct osp_route *a, const struct osp_route *b)
{
    size_t la = a->has_path ? a->path_count + 1 : 0, lb = b->has_path ? b->path_count + 1 : 0;

    if ((a->host.n > 0) != (b->host.n > 0))
        return a->host.n > 0;
    if (la != lb)
        return la > lb;
    if (a->exact != b->exact)
        return a->exact;
    if (a->host.n != b->host.n)
        return a->host.n > b->host.n;
    return a->port && !b->port;
}

/* The authority that a request names for itself, as far as it may be believed. */
struct named {
    struct osp_slice host;      /* lower case */
    uint16_t         port;      /* 0: not known */
    bool             has_host, has_any;         /* has_any: a Uri-* option at all, without which it is none for a route */
};

static bool
has_uri_options(const struct osp_msg *req)
{
    return osp_msg_has(req, OSP_OPT_URI_HOST) || osp_msg_has(req, OSP_OPT_URI_PORT) || osp_msg_has(req, OSP_OPT_URI_PATH) ||
           osp_msg_has(req, OSP_OPT_URI_PATH_ABBREV);
}

/* `storage` is for the host. False: there is something that is no host or no port. */
static bool
name_host(struct osp_slice host, uint8_t storage[OSP_HOST_MAX + 1], struct named *out)
{
    struct osp_authority a;

    if (osp_authority_make(OSP_SCHEME_COAP, host, OSP_COAP_PORT, storage, OSP_HOST_MAX + 1, &a) != OSP_OK)
        return false;
    out->host = a.host;
    out->has_host = out->has_any = true;
    return true;
}

/* What the request says itself.  The port that it was sent to is protected by no layer. */
static bool
name_inside(const struct px_exchange *x, const struct osp_msg *req, uint8_t storage[OSP_HOST_MAX + 1], struct named *out)
{
    const struct osp_opt *host = get(req, OSP_OPT_URI_HOST);

    *out = (struct named){ .has_any = has_uri_options(req) };
    if (osp_msg_has(req, OSP_OPT_URI_PORT) || x->removed_count == 0) {
        if (port_of(req, local_port(x), &out->port) != OSP_OK)
            return false;
    }
    return !host || name_host(host->val, storage, out);
}

/* The name of the request, for which Uri-Host and Uri-Port outside of the layer count where there are none inside. */
static struct named
name_outside(const struct px_turn *t, const struct px_exchange *x, const struct named *inside, uint8_t storage[OSP_HOST_MAX + 1])
{
    struct named out = *inside;
    uint32_t     port = 0;

    if (!out.has_host && t->outer.has_host)
        (void)name_host(t->outer.host, storage, &out);
    if (!out.port && t->outer.has_port && osp_opt_uint(t->outer.port, &port) && port <= UINT16_MAX) {
        out.port = (uint16_t)port;
        out.has_any = true;
    }
    if (!out.port)
        out.port = local_port(x);
    return out;
}

const struct osp_route *
px_find_route(const struct px_turn *t, const struct px_exchange *x, const struct osp_msg *req)
{
    const struct osp_policy *p = x->policy;
    const struct osp_route  *best = NULL;
    uint8_t                  storage[2][OSP_HOST_MAX + 1];
    struct named             inside, both;

    if (!p->reverse || !name_inside(x, req, storage[0], &inside))
        return NULL;
    both = x->removed_count > 0 ? name_outside(t, x, &inside, storage[1]) : inside;
    for (size_t i = 0; i < p->route_count; i++) {
        const struct osp_route *r = &p->routes[i];
        const struct named     *n = r->outer_host ? &both : &inside;

        if (n->has_any && (r->port == 0 || r->port == n->port) && host_matches(r->host, n->has_host, n->host) &&
            path_matches(r, req) && (!best || is_better(r, best)))
            best = r;
    }
    return best;
}

/* ---- what is outside of a layer ---- */

void
px_outer_take(struct osp_msg *req, struct px_outer *outer)
{
    const struct osp_opt *host = get(req, OSP_OPT_URI_HOST), *port = get(req, OSP_OPT_URI_PORT);

    *outer = (struct px_outer){ .has_host = host != NULL, .has_port = port != NULL };
    if (host)
        outer->host = host->val;
    if (port)
        outer->port = port->val;
    osp_msg_remove(req, OSP_OPT_URI_HOST);
    osp_msg_remove(req, OSP_OPT_URI_PORT);
}

enum osp_err
px_outer_put_back(const struct px_outer *outer, struct osp_msg *req)
{
    enum osp_err e = OSP_OK;

    if (outer->has_host && !osp_msg_has(req, OSP_OPT_URI_HOST))
        e = osp_msg_add(req, OSP_OPT_URI_HOST, outer->host);
    if (e == OSP_OK && outer->has_port && !osp_msg_has(req, OSP_OPT_URI_PORT))
        e = osp_msg_add(req, OSP_OPT_URI_PORT, outer->port);
    return e;
}

/* Uri-Path: `strip` segments less, the upstream's prefix in front. */
static enum osp_err
translate_path(const struct osp_route *r, struct osp_msg *req)
{
    struct osp_slice rest[OSP_MSG_OPTS_MAX];
    size_t           n = 0, skipped = 0;
    enum osp_err     e = OSP_OK;

    for (size_t i = 0; i < req->opt_count; i++) {
        if (req->opts[i].num != OSP_OPT_URI_PATH)
            continue;
        if (skipped < r->strip)
            skipped++;
        else
            rest[n++] = req->opts[i].val;
    }
    osp_msg_remove(req, OSP_OPT_URI_PATH);
    for (size_t i = 0; i < r->prefix_count && e == OSP_OK; i++)
        e = osp_msg_add(req, OSP_OPT_URI_PATH, r->prefix[i]);
    for (size_t i = 0; i < n && e == OSP_OK; i++)
        e = osp_msg_add(req, OSP_OPT_URI_PATH, rest[i]);
    return e;
}

enum osp_err
px_translate_reverse(const struct osp_route *r, struct osp_msg *req)
{
    enum osp_err e = OSP_OK;

    if (r->strip || r->prefix_count)
        e = translate_path(r, req);
    osp_msg_remove(req, OSP_OPT_URI_PORT);
    if (!r->keep_host) {
        osp_msg_remove(req, OSP_OPT_URI_HOST);
        if (e == OSP_OK && !r->hop.to.is_ip)
            e = osp_msg_add(req, OSP_OPT_URI_HOST, r->hop.to.host);
    }
    return e;
}

/* ---- options on their way through ---- */

/* [rfc8768#3] */
enum osp_err
px_hop_limit(struct px_turn *t, const struct px_exchange *x, struct osp_msg *req)
{
    const struct osp_opt *o = get(req, OSP_OPT_HOP_LIMIT);
    bool                  to_proxy = !x->route && x->policy->has_next_hop;
    uint32_t              v = x->policy->hop_limit;
    uint8_t              *value;

    if (v == 0 && to_proxy)             /* an origin need not know the option, a proxy should */
        v = x->policy->next_hop_limit;
    if (!o && v == 0)
        return OSP_OK;
    if (o) {
        if (!osp_opt_uint(o->val, &v) || v == 0 || v > 255)
            return OSP_E_HOP_LIMIT_BAD;
        if (--v == 0)
            return OSP_E_HOP_LIMIT;
        osp_msg_remove(req, OSP_OPT_HOP_LIMIT);
    }
    value = osp_wr_reserve(&t->scratch, 4);
    return value ? osp_msg_add(req, OSP_OPT_HOP_LIMIT, osp_opt_uint_make(v, value)) : OSP_E_NOSPACE;
}

/*
 * Unknown options, and known ones whose length is out of range or that come too often, which count as
 * unknown [rfc7252#5.4.3] [rfc7252#5.4.5]: unsafe ones may not be forwarded [rfc7252#5.7.1].
 */
uint16_t
px_unsafe_option(const struct osp_msg *m)
{
    for (size_t i = 0; i < m->opt_count; i++) {
        uint16_t num = m->opts[i].num;
        bool     again = i > 0 && m->opts[i - 1].num == num;

        if (osp_opt_is_unsafe(num) && (!osp_opt_def(num) || !osp_opt_is_acceptable(&m->opts[i], again)))
            return num;
    }
    return 0;
}
