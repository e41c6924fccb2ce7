/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/setup/setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/list.h"
#include "crypto/crypto.h"
#include "daemon/ospreyd/setup/edhoc.h"
#include "daemon/ospreyd/setup/own.h"

/* A policy, and all memory behind it. */
struct box {
    struct osp_policy           policy;
    struct osp_cfg             *cfg;    /* taken; names and bytes of the policy are borrowed from it */
    struct osp_octx_configured *table;
    struct osp_setup_edhoc *edhoc;      /* NULL: none */
    struct block          *blocks;
    bool                   nomem;
};

struct block { struct block *next; max_align_t data[]; };

/* Zeroed memory for `count` things that lives as long as the box; latches `nomem`. */
static void *
take(struct box *b, size_t count, size_t size)
{
    struct block *n;

    if (count == 0)
        return NULL;
    n = count > SIZE_MAX / 2 / size ? NULL : calloc(1, sizeof(*n) + count * size);
    if (!n) {
        b->nomem = true;
        return NULL;
    }
    n->next = b->blocks;
    b->blocks = n;
    return n->data;
}

static void
free_box(struct box *b, bool with_cfg)
{
    struct block *n, *next;

    for (n = b->blocks; n; n = next) {
        next = n->next;
        free(n);
    }
    osp_octx_configured_free(b->table);
    osp_setup_edhoc_free(b->edhoc);
    if (with_cfg)
        cfg_free(b->cfg);
    free(b);
}

static void
release(struct osp_policy *p)
{
    free_box(OSP_CONTAINER(p, struct box, policy), true);
}

const struct osp_cfg *
osp_setup_cfg(const struct osp_policy *p)
{
    return ((const struct box *)(const void *)((const char *)p - offsetof(struct box, policy)))->cfg;
}

/* ---- contexts ---- */

static enum osp_err
make_table(struct box *b, const struct osp_ctxset *set, char why[OSP_STORE_WHY_MAX])
{
    struct osp_hash_key key;
    enum osp_err        e = osp_crypto_random((uint8_t *)&key, sizeof(key));

    if (e == OSP_OK)
        e = osp_octx_configured_new(set->count, key, &b->table);
    for (size_t i = 0; e == OSP_OK && i < set->count; i++) {
        e = osp_octx_configured_add(b->table, set->entries[i].octx);
        if (e != OSP_OK) {
            (void)snprintf(why, OSP_STORE_WHY_MAX, "context %s: %s", b->cfg->contexts[i].name,
                           e == OSP_E_EXISTS ? "another one has its recipient-id and id-context" : osp_err_text(e));
            return e;
        }
    }
    if (e != OSP_OK)
        (void)snprintf(why, OSP_STORE_WHY_MAX, "contexts: %s", osp_err_text(e));
    b->policy.contexts = b->table;
    return e;
}

/* The context of that name; NULL for the name NULL.  config/ has checked that the context exists. */
static struct osp_octx *
context_named(const struct box *b, const struct osp_ctxset *set, const char *name)
{
    for (size_t i = 0; name && i < set->count; i++) {
        if (strcmp(b->cfg->contexts[i].name, name) == 0)
            return set->entries[i].octx;
    }
    return NULL;
}

static void
set_bit(uint8_t *bits, size_t i)
{
    bits[i / 8] |= (uint8_t)(1u << (i % 8));
}

/* ---- clients ---- */

static const uint8_t *
match_contexts(struct box *b, const struct osp_ctxset *set, const struct cfg_client *c)
{
    uint8_t *bits = take(b, (size_t)set->label_end / 8 + 1, 1);

    for (size_t i = 0; bits && i < set->count; i++) {
        for (size_t g = 0; g < c->context_count; g++) {
            if (osp_glob_match(c->contexts[g], b->cfg->contexts[i].name))
                set_bit(bits, osp_octx_label(set->entries[i].octx));
        }
    }
    return bits;
}

/*
 * The name for unknown credentials (CFG_UNKNOWN_NAME) fits only if it is written out.  A pattern is for trusted credentials: it
 * must not let in somebody whose credential nobody vouches for.
 */
static bool
fits_credential(const char *pattern, const char *name)
{
    return strcmp(name, CFG_UNKNOWN_NAME) == 0 ? strcmp(pattern, name) == 0 : osp_glob_match(pattern, name);
}

/* A bit for each name of a credential, set if one of the patterns fits. */
static const uint8_t *
match_credentials(struct box *b, char *const *patterns, size_t count)
{
    const struct osp_edhoc_conf *e = b->policy.edhoc;
    uint8_t                     *bits = e ? take(b, (size_t)e->name_count / 8 + 1, 1) : NULL;

    for (size_t i = 0; bits && i < e->name_count; i++) {
        for (size_t g = 0; g < count && *e->names[i]; g++) {
            if (fits_credential(patterns[g], e->names[i]))
                set_bit(bits, i);
        }
    }
    return bits;
}

/* The bit of the peers that the trusted authority vouches for is set if `fits`; no bit if there is no authority. */
static const uint8_t *
match_authority(struct box *b, bool fits)
{
    const struct osp_edhoc_conf *e = b->policy.edhoc;
    uint8_t                     *bits = e ? take(b, (size_t)e->name_count / 8 + 1, 1) : NULL;

    if (bits && fits && e->profile.anchors)
        set_bit(bits, e->profile.chain_label & ~OSP_RECIPE_LABEL);
    return bits;
}

static const uint8_t *
match_routes(struct box *b, const char *pattern)
{
    uint8_t *bits = take(b, b->cfg->route_count / 8 + 1, 1);

    for (size_t i = 0; bits && i < b->cfg->route_count; i++) {
        if (osp_glob_match(pattern, b->cfg->routes[i].name))
            set_bit(bits, i);
    }
    return bits;
}

static const struct osp_allow *
make_allow(struct box *b, const struct cfg_client *c)
{
    struct osp_allow *a = take(b, c->allow_count, sizeof(*a));

    for (size_t i = 0; a && i < c->allow_count; i++) {
        if (c->allow[i].kind == CFG_ALLOW_FORWARD)
            a[i] = (struct osp_allow){ .kind = OSP_ALLOW_FORWARD, .target = c->allow[i].target };
        else
            a[i] = (struct osp_allow){ .kind = OSP_ALLOW_ROUTE, .routes = match_routes(b, c->allow[i].route) };
    }
    return a;
}

static const struct osp_net *
make_nets(struct box *b, const struct cfg_client *c)
{
    struct osp_net *n = take(b, c->net_count, sizeof(*n));

    for (size_t i = 0; n && i < c->net_count; i++)
        n[i] = (struct osp_net){ c->nets[i].ip, c->nets[i].bits };
    return n;
}

/* A subject is known only for peers that the authority vouches for. */
static const uint8_t *
match_edhoc(struct box *b, const struct cfg_client *c)
{
    const struct cfg_credential *ca = cfg_edhoc_authority(&b->cfg->edhoc);
    const char                  *name = ca ? ca->name : NULL;
    bool                         fits = c->credential_count == 0;

    if (c->subject_count == 0)
        return c->credential_count ? match_credentials(b, c->credentials, c->credential_count) : NULL;
    for (size_t i = 0; name && i < c->credential_count; i++)
        fits = fits || fits_credential(c->credentials[i], name);
    return match_authority(b, fits);
}

static void
make_rules(struct box *b, const struct osp_ctxset *set)
{
    struct osp_rule *r = take(b, b->cfg->client_count, sizeof(*r));

    for (size_t i = 0; r && i < b->cfg->client_count; i++) {
        const struct cfg_client *c = &b->cfg->clients[i];

        r[i].any = c->any;
        r[i].contexts = c->context_count ? match_contexts(b, set, c) : NULL;
        r[i].context_count = c->context_count ? set->label_end : 0;
        r[i].credentials = match_edhoc(b, c);
        r[i].subjects = c->subjects;
        r[i].subject_count = c->subject_count;
        r[i].credential_count = r[i].credentials ? b->policy.edhoc->name_count : 0;
        r[i].nets = make_nets(b, c);
        r[i].net_count = c->net_count;
        r[i].allow = make_allow(b, c);
        r[i].allow_count = c->allow_count;
        r[i].rate = c->rate;
        r[i].burst = c->burst;
    }
    b->policy.rules = r;
    b->policy.rule_count = r ? b->cfg->client_count : 0;
}

/* ---- where to ---- */

/*
 * True if the configuration says which credentials are meant for this way, so that the host's name need not be proven: the only
 * credential there is, one that is named, or a pattern for a way to `one` host.  With a pattern for many hosts, each host could
 * pass for another.
 */
static bool
is_named(const struct box *b, const struct cfg_hop_edhoc *c, bool one)
{
    const char *who = c->credential;
    bool        says = who && strspn(who, "*") < strlen(who);

    if (says && !strpbrk(who, "*?"))
        return true;
    return (says && one) || cfg_edhoc_count(&b->cfg->edhoc, who) == 1;
}

static bool
is_one_host(const struct osp_target *t)
{
    return t->kind == OSP_TARGET_NAME || (t->kind == OSP_TARGET_NET && t->bits == 8 * sizeof(t->net.b));
}

static const struct osp_hop_edhoc *
make_hop_edhoc(struct box *b, const struct cfg_hop_edhoc *c, bool one)
{
    static char           anybody[] = "*";
    struct osp_hop_edhoc *h = c->on && b->policy.edhoc ? take(b, 1, sizeof(*h)) : NULL;
    char                 *who = c->credential ? c->credential : anybody;

    if (!h)
        return NULL;
    *h = (struct osp_hop_edhoc){ .who = who, .subject = c->subject, .credentials = match_credentials(b, &who, 1),
                                 .named = is_named(b, c, one), .method = (uint8_t)c->method,
                                 .prefer = c->mode == CFG_EDHOC_PREFER, .combined = c->combined };
    h->credential_count = h->credentials ? b->policy.edhoc->name_count : 0;
    return h;
}

static struct osp_next_hop
make_hop(struct box *b, const struct osp_ctxset *set, const struct cfg_hop *h)
{
    return (struct osp_next_hop){ .to = h->parsed.to, .ctx = context_named(b, set, h->context),
                                  .edhoc = make_hop_edhoc(b, &h->edhoc, true), .single = !h->nested };
}

/* The path of the upstream's URI as segments, which go in front of the remaining path of a request. */
static void
make_prefix(struct box *b, const struct cfg_hop *h, struct osp_route *r)
{
    struct osp_msg    m;
    struct osp_wr     w = osp_wr_to(NULL, 0);
    size_t            room = h->parsed.path.n + h->parsed.query.n + 3 * (OSP_MSG_OPTS_MAX + 1);
    struct osp_slice *segments;
    struct osp_uri    path_only = h->parsed;

    if (h->parsed.path.n == 0)
        return;
    path_only.has_query = false;
    path_only.query = OSP_EMPTY;
    osp_msg_init(&m, OSP_GET);
    w = osp_wr_to(take(b, room, 1), room);
    if (!w.p || osp_uri_to_options(&path_only, &m, &w) != OSP_OK) {
        b->nomem = true; /* config/ has checked the URI, so this is the only possible error */
        return;
    }
    segments = take(b, m.opt_count, sizeof(*segments));
    for (size_t i = 0; segments && i < m.opt_count; i++) {
        if (m.opts[i].num == OSP_OPT_URI_PATH)
            segments[r->prefix_count++] = m.opts[i].val;
    }
    r->prefix = segments;
}

static void
make_route(struct box *b, const struct osp_ctxset *set, const struct cfg_route *c, struct osp_route *r)
{
    struct osp_slice *path = take(b, c->path_count, sizeof(*path));

    for (size_t i = 0; path && i < c->path_count; i++)
        path[i] = osp_slice_str(c->path[i]);
    *r = (struct osp_route){
        .name = c->name,
        .host = osp_slice_str(c->host),
        .port = c->port,
        .path = path,
        .path_count = c->path_count,
        .exact = c->exact,
        .has_path = c->has_path,
        .strip = c->strip,
        .pass = c->pass,
        .hop = make_hop(b, set, &c->upstream),
        .keep_host = c->keep_host,
        .outer_host = c->outer_host,
    };
    make_prefix(b, &c->upstream, r);
}

static void
make_ways(struct box *b, const struct osp_ctxset *set)
{
    const struct osp_cfg *c = b->cfg;
    struct osp_route     *routes = take(b, c->route_count, sizeof(*routes));
    struct osp_upstream  *ups = take(b, c->upstream_count, sizeof(*ups));
    struct osp_host      *hosts = take(b, c->host_count, sizeof(*hosts));

    if (b->nomem)
        return;
    for (size_t i = 0; i < c->route_count; i++)
        make_route(b, set, &c->routes[i], &routes[i]);
    for (size_t i = 0; i < c->upstream_count; i++)
        ups[i] = (struct osp_upstream){ c->upstreams[i].match, context_named(b, set, c->upstreams[i].context),
                                        make_hop_edhoc(b, &c->upstreams[i].edhoc, is_one_host(&c->upstreams[i].match)),
                                        !c->upstreams[i].nested };
    for (size_t i = 0; i < c->host_count; i++)
        hosts[i] = (struct osp_host){ c->hosts[i].name, c->hosts[i].ip };
    b->policy.routes = routes;
    b->policy.route_count = c->route_count;
    b->policy.upstreams = ups;
    b->policy.upstream_count = c->upstream_count;
    b->policy.hosts = hosts;
    b->policy.host_count = c->host_count;
    b->policy.reverse = c->route_count > 0;
    b->policy.forward = c->forward.enabled;
    b->policy.has_next_hop = c->forward.next_hop.present;
    b->policy.next_hop_limit = c->forward.next_hop.hop_limit;
    if (c->forward.next_hop.present)
        b->policy.next_hop = make_hop(b, set, &c->forward.next_hop);
}

/* ---- who we are ---- */

#define HOST_NAME_BYTES 256

/* The configured node name, or the host name of the machine, with characters replaced that a payload of 5.08 cannot carry. */
static const char *
make_node_name(struct box *b)
{
    char *name;

    if (b->cfg->node_name)
        return b->cfg->node_name;
    name = take(b, HOST_NAME_BYTES, 1);
    if (name && (gethostname(name, HOST_NAME_BYTES - 1) != 0 || !*name))
        (void)snprintf(name, HOST_NAME_BYTES, "osprey");
    for (char *c = name; c && *c; c++) {
        if (*c <= ' ' || *c > '~')
            *c = '-';
    }
    return name;
}

static void
make_identity(struct box *b, const struct osp_sock_ports *ports)
{
    uint16_t            *port = take(b, ports->count, sizeof(*port));
    struct osp_own_port *own_ports = take(b, b->cfg->listen_count, sizeof(*own_ports));
    struct osp_target   *own;
    size_t               count = 0;

    osp_setup_own_targets(b->cfg, NULL, &count);
    own = take(b, count, sizeof(*own));
    if (own)
        osp_setup_own_targets(b->cfg, own, &count);
    b->policy.own_port_count = own_ports ? osp_setup_own_ports(b->cfg, own_ports) : 0;
    b->policy.own_ports = own_ports;
    for (size_t i = 0; port && i < ports->count; i++)
        port[i] = ports->port[i];
    b->policy.own = own;
    b->policy.own_count = own ? count : 0;
    b->policy.sock_port = port;
    b->policy.sock_count = ports->count;
    b->policy.node_name = make_node_name(b);
}

static enum osp_err
make_edhoc(struct box *b, const struct osp_edhoc_parts *parts, char why[OSP_STORE_WHY_MAX])
{
    enum osp_err e;

    if (!parts->kept)
        return OSP_OK;
    b->policy.runtime = osp_kept_runtime(parts->kept);
    if (!b->cfg->edhoc.file)
        return OSP_OK;
    e = osp_setup_edhoc_new(&b->cfg->edhoc, parts->kept, parts->responder, &b->edhoc, why);
    if (e == OSP_OK)
        b->policy.edhoc = osp_setup_edhoc_conf(b->edhoc);
    return e;
}

enum osp_err
osp_setup_policy(struct osp_cfg *cfg, const struct osp_ctxset *set, const struct osp_sock_ports *ports,
                 const struct osp_edhoc_parts *edhoc, struct osp_policy **out, char why[OSP_STORE_WHY_MAX])
{
    struct box  *b = calloc(1, sizeof(*b));
    enum osp_err e;

    if (!b) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "policy: out of memory");
        return OSP_E_NOMEM;
    }
    b->cfg = cfg;
    atomic_init(&b->policy.refs, 1);
    b->policy.release = release;
    b->policy.otp_compat = cfg->otp_compat;
    b->policy.max_layers = cfg->forward.max_layers;
    b->policy.hop_limit = cfg->forward.hop_limit;
    b->policy.response_timeout_us = cfg->limits.response_timeout_us;
    b->policy.serve_stale = cfg->cache.serve_stale;
    b->policy.max_age = (uint32_t)(cfg->cache.max_age_us / OSP_SEC(1));
    b->policy.single_flight = cfg->cache.single_flight;
    e = make_table(b, set, why);
    if (e == OSP_OK)
        e = make_edhoc(b, edhoc, why);
    if (e == OSP_OK) {
        make_rules(b, set);
        make_ways(b, set);
        make_identity(b, ports);
        if (b->nomem) {
            (void)snprintf(why, OSP_STORE_WHY_MAX, "policy: out of memory");
            e = OSP_E_NOMEM;
        }
    }
    if (e != OSP_OK) {
        free_box(b, false);
        return e;
    }
    *out = &b->policy;
    return OSP_OK;
}
