/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Third pass: what needs more than one item to see.  Runs after errors too, over what could be read; a value
 * that could not is NULL or zero here and passed over.
 */
#include "config/load.h"

#include <stdlib.h>

#include "crypto/crypto.h"

#define SECRET_MIN 16u          /* bytes of a Master Secret: the strength of AES-128 */
#define NONCE_TAKEN 6u          /* bytes of a nonce that are not the ID's [rfc8613#5.2] */

/* ---- one context ---- */

static bool
is_whole(const struct cfg_context *c)
{
    return c->name && c->master_secret.value.p && c->sender_id.p && c->recipient_id.p && osp_aead_info(c->aead);
}

static void
check_context(struct cfg_load *l, const struct cfg_context *c)
{
    const struct osp_aead_info *aead = osp_aead_info(c->aead);
    size_t                      max = aead->nonce_len - NONCE_TAKEN;
    bool                        sender = c->sender_id.n > max;

    if (c->master_secret.value.n < SECRET_MIN)
        cfg_error_key(l, &c->pos, "contexts", "%s: its master-secret has %zu bytes; at least %u", c->name,
                      c->master_secret.value.n, SECRET_MIN);
    if (sender || c->recipient_id.n > max)    /* [rfc8613#3.3] */
        cfg_error_key(l, &c->pos, "contexts", "%s: its %s has %zu bytes; with %s at most %zu", c->name,
                      sender ? "sender-id" : "recipient-id", sender ? c->sender_id.n : c->recipient_id.n, aead->name, max);
    if (c->rekey != CFG_REKEY_NONE && c->has_id_context)
        cfg_error_key(l, &c->pos, "contexts", "%s: has an id-context and rekey, which makes ID Contexts of its own", c->name);
    if (osp_slice_eq(cfg_slice(&c->sender_id), cfg_slice(&c->recipient_id)))
        cfg_error_key(l, &c->pos, "contexts", "%s: sender-id and recipient-id are the same, so both parties would have one key",
                      c->name);
}

/* ---- contexts among each other ---- */

/* One of the two keys of a context. */
struct entry { const struct cfg_context *c; struct osp_slice id; bool sends; };

static int
compare_int(long long a, long long b)
{
    return a < b ? -1 : a > b;
}

/* Of equal entries the one that stands later in the file is reported. */
static int
by_place(const struct entry *a, const struct entry *b)
{
    int c = compare_int(a->c - b->c, 0);

    return c ? c : compare_int(a->sends, b->sends);
}

static int
compare_name(const struct entry *a, const struct entry *b)
{
    return strcmp(a->c->name, b->c->name);
}

static int
compare_id_context(const struct cfg_context *a, const struct cfg_context *b)
{
    int c = compare_int(a->has_id_context, b->has_id_context);

    return c ? c : osp_slice_cmp(cfg_slice(&a->id_context), cfg_slice(&b->id_context));
}

static int
compare_kid(const struct entry *a, const struct entry *b)
{
    int c = osp_slice_cmp(cfg_slice(&a->c->recipient_id), cfg_slice(&b->c->recipient_id));

    return c ? c : compare_id_context(a->c, b->c);
}

/* HMAC fills its key up with zeroes, so salts that differ only in zeroes at their end count as equal. */
static struct osp_slice
salt_of(const struct cfg_context *c)
{
    struct osp_slice s = cfg_slice(&c->master_salt.value);

    while (s.n && s.p[s.n - 1] == 0)
        s.n--;
    return s;
}

/* Equal when the key derivation gives both entries one key [rfc8613#3.2.1]. */
static int
compare_key(const struct entry *a, const struct entry *b)
{
    int c = osp_slice_cmp(cfg_slice(&a->c->master_secret.value), cfg_slice(&b->c->master_secret.value));

    if (c == 0)
        c = osp_slice_cmp(salt_of(a->c), salt_of(b->c));
    if (c == 0)
        c = compare_id_context(a->c, b->c);
    if (c == 0)
        c = compare_int(a->c->aead, b->c->aead);
    if (c == 0)
        c = compare_int(a->c->hkdf, b->c->hkdf);
    return c ? c : osp_slice_cmp(a->id, b->id);
}

static int
sort_name(const void *a, const void *b)
{
    int c = compare_name(a, b);

    return c ? c : by_place(a, b);
}

static int
sort_kid(const void *a, const void *b)
{
    int c = compare_kid(a, b);

    return c ? c : by_place(a, b);
}

static int
sort_key(const void *a, const void *b)
{
    int c = compare_key(a, b);

    return c ? c : by_place(a, b);
}

static void
say_clash(struct cfg_load *l, const struct cfg_context *later, const struct cfg_context *first, const char *what)
{
    cfg_error_key(l, &later->pos, "contexts", "%s: %s %s (%s:%u)", later->name, what, first->name, first->pos.file,
                  first->pos.line);
}

/* Sorts the entries; of those that are equal, reports each but the first. */
static void
check_run(struct cfg_load *l, struct entry *e, size_t n, int (*sort)(const void *, const void *),
          int (*compare)(const struct entry *, const struct entry *), const char *what)
{
    qsort(e, n, sizeof(*e), sort);
    for (size_t i = 1, first = 0; i < n; i++) {
        if (compare(&e[first], &e[i]) != 0)
            first = i;
        else
            say_clash(l, e[i].c, e[first].c, what);
    }
}

/* Where one context is the other side of another, both of its keys clash: the second message is left out. */
static bool
told_by_other_key(const struct entry *later, const struct entry *first)
{
    return !later->sends && first->sends && osp_slice_eq(cfg_slice(&later->c->sender_id), cfg_slice(&first->c->recipient_id));
}

/*
 * A Sender Key belongs to one Sender Context: a second one would count its sequence numbers from the start again
 * and use (key, nonce) pairs twice.  It may not be the Recipient Key of another context either.
 */
static void
check_keys(struct cfg_load *l, struct entry *e, size_t n)
{
    qsort(e, n, sizeof(*e), sort_key);
    for (size_t i = 1, first = 0; i < n; i++) {
        if (compare_key(&e[first], &e[i]) != 0) {
            first = i;
        } else if (e[i].c != e[first].c && (e[i].sends || e[first].sends) && !told_by_other_key(&e[i], &e[first])) {
            say_clash(l, e[i].c, e[first].c,
                      e[i].sends && e[first].sends ? "has the same Sender Key (secret, salt, id-context and sender-id) as"
                                                   : "has a key the other way round as");
        }
    }
}

void
cfg_check_contexts(struct cfg_load *l, const struct cfg_context *c, size_t count)
{
    struct cfg_arena *scratch = cfg_arena_new();
    struct entry     *e = scratch ? cfg_arena_get(scratch, (2 * count + 1) * sizeof(*e)) : NULL;
    size_t            n = 0;

    for (size_t i = 0; e && i < count; i++) {
        if (!is_whole(&c[i]))
            continue;
        check_context(l, &c[i]);
        e[n++] = (struct entry){ &c[i], cfg_slice(&c[i].sender_id), true };
    }
    if (e) {
        check_run(l, e, n, sort_name, compare_name, "has the name of");
        check_run(l, e, n, sort_kid, compare_kid, "has the recipient-id and id-context of");
        for (size_t i = 0, half = n; i < half; i++)
            e[n++] = (struct entry){ e[i].c, cfg_slice(&e[i].c->recipient_id), false };
        check_keys(l, e, n);
    }
    l->nomem = l->nomem || !e;
    cfg_arena_free(scratch);
}

/* ---- references ---- */

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts names for bsearch(); returns `n`. */
static size_t
sort_names(const char **names, size_t n)
{
    qsort(names, n, sizeof(*names), by_text);
    return n;
}

static bool
has_name(const char *const *names, size_t n, const char *name)
{
    return n > 0 && bsearch(&name, names, n, sizeof(*names), by_text) != NULL;
}

/* A credential that a rule or a hop names has to be among the trusted ones. */
static void
check_credential(struct cfg_load *l, const struct osp_cfg *cfg, const struct cfg_ref *r)
{
    char show[CFG_SHOW_MAX];

    if (!cfg->edhoc.file)
        cfg_error_key(l, &r->pos, r->key, "EDHOC is off: set edhoc.credentials");
    else if (!strpbrk(r->name, "*?") && !l->bad_credentials && !cfg_edhoc_knows(&cfg->edhoc, r->name))
        cfg_error_key(l, &r->pos, r->key, "there is no trusted credential \"%s\"", cfg_show(r->name, show));
}

/* A pattern may fit nothing yet; a name without wildcards has to exist. */
static void
check_refs(struct cfg_load *l, const struct osp_cfg *cfg)
{
    const char **contexts = cfg_get(l, (cfg->context_count + 1) * sizeof(*contexts));
    const char **routes = cfg_get(l, (cfg->route_count + 1) * sizeof(*routes));
    size_t       cn = 0, rn = 0;
    char         show[CFG_SHOW_MAX];

    if (!contexts || !routes)
        return;
    for (size_t i = 0; i < cfg->context_count; i++) {
        if (cfg->contexts[i].name)
            contexts[cn++] = cfg->contexts[i].name;
    }
    for (size_t i = 0; i < cfg->route_count; i++) {
        if (cfg->routes[i].name)
            routes[rn++] = cfg->routes[i].name;
    }
    cn = sort_names(contexts, cn);
    rn = sort_names(routes, rn);
    for (const struct cfg_ref *r = l->refs; r; r = r->next) {
        bool is_route = r->kind == CFG_REF_ROUTES;

        if (r->kind == CFG_REF_CREDENTIALS) {
            check_credential(l, cfg, r);
            continue;
        }
        if ((is_route ? l->bad_routes : l->bad_contexts) || (r->kind != CFG_REF_CONTEXT && strpbrk(r->name, "*?")))
            continue;
        if (!has_name(is_route ? routes : contexts, is_route ? rn : cn, r->name))
            cfg_error_key(l, &r->pos, r->key, "there is no %s \"%s\"", is_route ? "route" : "context", cfg_show(r->name, show));
    }
}

/* ---- ways to a next hop ---- */

/* A peer that is trusted is not by that the next hop: the configuration has to say who that is [rfc9528#D.2]. */
static void
check_who(struct cfg_load *l, const struct cfg_edhoc *edhoc, const struct cfg_hop_edhoc *h, const char *key)
{
    const struct cfg_credential *ca = cfg_edhoc_authority(edhoc);
    bool                         by_name = h->credential && !strpbrk(h->credential, "*?");

    if (!h->credential && !h->subject && cfg_edhoc_count(edhoc, NULL) > 1)
        cfg_error_key(l, &h->pos, key, "several credentials are trusted, so any of them could pass for the next hop; write "
                      "credential, or subject");
    if (h->subject && by_name && !(ca && ca->name && strcmp(ca->name, h->credential) == 0) &&
        !osp_glob_match(h->subject, h->credential))
        cfg_error_key(l, &h->pos, key, "nobody fits both; of a credential that is no ca, its own name is the subject");
}

static void
check_way(struct cfg_load *l, const struct osp_cfg *cfg, const struct cfg_pos *pos, const char *key, const char *context,
          const struct cfg_hop_edhoc *edhoc)
{
    if (edhoc->on && context)
        cfg_error_key(l, pos, key, "has both a context and edhoc; one of them protects the way");
    if (edhoc->on && !cfg->edhoc.file && !edhoc->credential)    /* with a credential, check_credential() has reported it */
        cfg_error_key(l, &edhoc->pos, key, "EDHOC is off: set edhoc.credentials");
    if (edhoc->on && cfg->edhoc.file && !l->bad_credentials)
        check_who(l, &cfg->edhoc, edhoc, key);
}

static void
check_ways(struct cfg_load *l, const struct osp_cfg *cfg)
{
    const struct cfg_hop *next = &cfg->forward.next_hop;

    if (next->present)
        check_way(l, cfg, &next->pos, "forward-proxy.next-hop", next->context, &next->edhoc);
    for (size_t i = 0; i < cfg->route_count; i++)
        check_way(l, cfg, &cfg->routes[i].upstream.pos, "routes.upstream", cfg->routes[i].upstream.context,
                  &cfg->routes[i].upstream.edhoc);
    for (size_t i = 0; i < cfg->upstream_count; i++) {
        const struct cfg_upstream *u = &cfg->upstreams[i];

        check_way(l, cfg, &u->pos, "upstreams", u->context, &u->edhoc);
        if (!u->context && !u->edhoc.on && l->errors == 0)      /* with errors, it may have one that could not be read */
            cfg_error_key(l, &u->pos, "upstreams", "has neither a context nor edhoc: take it out");
    }
}

/* A rule for a `subject` needs a trusted authority: only peers with a certificate from it have a subject. */
static void
check_subjects(struct cfg_load *l, const struct osp_cfg *cfg)
{
    const struct cfg_credential *ca = cfg_edhoc_authority(&cfg->edhoc);

    for (size_t i = 0; i < cfg->client_count; i++) {
        const struct cfg_client *c = &cfg->clients[i];
        bool                     fits = c->credential_count == 0;

        for (size_t k = 0; ca && ca->name && k < c->credential_count; k++)
            fits = fits || osp_glob_match(c->credentials[k], ca->name);
        if (c->subject_count == 0 || l->bad_credentials)
            continue;
        if (!cfg->edhoc.file)
            cfg_error_key(l, &c->pos, "clients.match.edhoc.subject", "EDHOC is off: set edhoc.credentials");
        else if (!ca)
            cfg_error_key(l, &c->pos, "clients.match.edhoc.subject", "fits nobody; none of those trusted has a ca");
        else if (!fits)
            cfg_error_key(l, &c->pos, "clients.match.edhoc.subject", "fits nobody; only those that %s vouches for have a subject",
                          ca->name ? ca->name : "the ca");
    }
}

/* ---- routes ---- */

/* True if `a` fits every host that `b` fits. */
static bool
host_covers(const char *a, const char *b)
{
    size_t na, nb;

    if (!a || !b)
        return !a;
    if (strcmp(a, b) == 0)
        return true;
    na = strlen(a);
    nb = strlen(b);
    return a[0] == '*' && nb >= na && strcmp(a + 1, b + (nb - (na - 1))) == 0;
}

/* True if `a` fits every path that `b` fits. */
static bool
path_covers(const struct cfg_route *a, const struct cfg_route *b)
{
    if (!a->has_path || (!a->exact && a->path_count == 0))
        return true;
    if (!b->has_path || a->path_count > b->path_count || (a->exact && (!b->exact || a->path_count != b->path_count)))
        return false;
    for (size_t i = 0; i < a->path_count; i++) {
        if (strcmp(a->path[i], b->path[i]) != 0)
            return false;
    }
    return true;
}

static size_t
length(const char *s)
{
    return s ? strlen(s) : 0;
}

/* The order in which lib/proxy chooses among routes that fit: >0 when `a` goes first wherever both fit. */
static int
compare_routes(const struct cfg_route *a, const struct cfg_route *b)
{
    int c = compare_int(a->host != NULL, b->host != NULL);

    if (c == 0)
        c = compare_int(a->has_path ? (long long)a->path_count : -1, b->has_path ? (long long)b->path_count : -1);
    if (c == 0)
        c = compare_int(a->exact, b->exact);
    if (c == 0)
        c = compare_int((long long)length(a->host), (long long)length(b->host));
    return c ? c : compare_int(a->port != 0, b->port != 0);
}

/* The first other route that is chosen for every request that `r` fits, so that `r` is never used; NULL: no route. */
static const struct cfg_route *
covering(const struct osp_cfg *cfg, const struct cfg_route *r)
{
    for (size_t i = 0; i < cfg->route_count; i++) {
        const struct cfg_route *e = &cfg->routes[i];
        int                     c = compare_routes(e, r);

        if (e != r && (c > 0 || (c == 0 && e < r)) && host_covers(e->host, r->host) && path_covers(e, r) &&
            (e->port == 0 || e->port == r->port) && (e->outer_host || !r->outer_host))
            return e;
    }
    return NULL;
}

/* A route that could not be read has no name. */
static const char *
name_of(const struct cfg_route *r)
{
    return r->name ? r->name : "?";
}

/* The first route before `r` that has its name; NULL: no route. */
static const struct cfg_route *
namesake(const struct osp_cfg *cfg, const struct cfg_route *r)
{
    for (const struct cfg_route *e = cfg->routes; e < r; e++) {
        if (e->name && r->name && strcmp(e->name, r->name) == 0)
            return e;
    }
    return NULL;
}

static void
check_routes(struct cfg_load *l, const struct osp_cfg *cfg)
{
    for (size_t i = 0; i < cfg->route_count; i++) {
        const struct cfg_route *r = &cfg->routes[i], *twin = namesake(cfg, r), *cover = covering(cfg, r);

        if (r->strip > r->path_count)
            cfg_error_key(l, &r->pos, "routes", "%s: strips %u segments, but its match has %zu", name_of(r), r->strip,
                          r->path_count);
        if (twin)
            cfg_error_key(l, &r->pos, "routes", "%s: has the name of the route in line %u", name_of(r), twin->pos.line);
        if (cover)
            cfg_error_key(l, &r->pos, "routes", "%s: is never reached; all its requests go to %s (line %u)",
                          name_of(r), name_of(cover), cover->pos.line);
    }
}

/* ---- addresses ---- */

static bool
is_own(const struct osp_cfg *cfg, const struct osp_authority *to)
{
    for (size_t i = 0; to->is_ip && i < cfg->listen_count; i++) {
        const struct cfg_listen *own = &cfg->listen[i];

        if (own->port != to->port || own->scheme != to->scheme)
            continue;
        if (osp_ip_eq(&own->ip, &to->ip) || (osp_ip_is_any(&own->ip) && osp_ip_is_loopback(&to->ip)))
            return true;
    }
    return false;
}

static void
check_hop(struct cfg_load *l, const struct osp_cfg *cfg, const struct cfg_hop *h, const char *key)
{
    if (h->present && is_own(cfg, &h->parsed.to))
        cfg_error_key(l, &h->pos, key, "is an address of this proxy itself");
}

static void
check_places(struct cfg_load *l, const struct osp_cfg *cfg)
{
    for (size_t i = 0; i < cfg->listen_count; i++) {
        for (size_t k = 0; k < i; k++) {
            const struct cfg_listen *a = &cfg->listen[k], *b = &cfg->listen[i];

            if (b->port != 0 && a->scheme == b->scheme && a->port == b->port && osp_ip_eq(&a->ip, &b->ip))
                cfg_error_key(l, &b->pos, "listen", "stands here a second time");
        }
    }
    check_hop(l, cfg, &cfg->forward.next_hop, "forward-proxy.next-hop");
    for (size_t i = 0; i < cfg->route_count; i++)
        check_hop(l, cfg, &cfg->routes[i].upstream, "routes: upstream");
}

/* ---- all ---- */

static void
check_rules(struct cfg_load *l, const struct osp_cfg *cfg)
{
    for (size_t i = 0; i + 1 < cfg->client_count; i++) {
        if (cfg->clients[i].any && cfg->clients[i].context_count + cfg->clients[i].net_count == 0) {
            cfg_error_key(l, &cfg->clients[i + 1].pos, "clients",
                          "is never reached; the rule in line %u before it fits every client", cfg->clients[i].pos.line);
            return;
        }
    }
}

void
cfg_check(struct cfg_load *l, const struct osp_cfg *cfg)
{
    cfg_check_contexts(l, cfg->contexts, cfg->context_count);
    if (cfg->context_count > 0 && !cfg->state)      /* [rfc8613#7.5] */
        cfg_error_key(l, &cfg->contexts[0].pos, "state",
                      "is missing; contexts need a directory where sequence numbers and replay windows outlive a restart, "
                      "such as /var/lib/osprey");
    check_refs(l, cfg);
    if (!l->bad_routes)
        check_routes(l, cfg);
    check_ways(l, cfg);
    check_subjects(l, cfg);
    check_places(l, cfg);
    check_rules(l, cfg);
}
