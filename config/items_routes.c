/* SPDX-License-Identifier: BSD-2-Clause */
/* Where requests go: routes, upstreams, the next hop. */
#include "config/schema.h"

/* ---- names ---- */

static void
read_name(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    const char *text = n ? cfg_scalar(l, n, path, "a name") : NULL;
    char      **out = obj;

    if (!text)
        return;
    if (!cfg_is_name(text))
        cfg_error(l, &n->pos, path, "has to be " CFG_NAME_FORM);
    else
        *out = cfg_text(l, osp_slice_str(text));
}

static void
print_name(struct cfg_out *o, const char *key, const void *obj)
{
    char *const *name = obj;

    if (*name)
        cfg_out_text(o, key, *name);
}

const struct cfg_kind cfg_kind_name = { CFG_NAME_FORM, read_name, print_name, NULL };

static void
read_context(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    char **out = obj;

    read_name(l, n, path, obj);
    if (n && *out)
        cfg_refer(l, CFG_REF_CONTEXT, *out, &n->pos, path);
}

const struct cfg_kind cfg_kind_context = { "the name of a context", read_context, print_name, NULL };

/* ---- hops ---- */

#define HOP_FORM "coap://HOST[:PORT][/PATH]"

static void
read_uri(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    const char    *text = n ? cfg_scalar(l, n, path, HOP_FORM) : NULL;
    struct cfg_hop *hop = obj;
    size_t          len = text ? strlen(text) : 0;
    char            show[CFG_SHOW_MAX];

    if (!text)
        return;
    hop->uri = cfg_text(l, osp_slice(text, len));
    hop->uri_storage = cfg_get(l, len + 1);
    if (!hop->uri || !hop->uri_storage)
        return;
    if (osp_uri_split(osp_slice_str(hop->uri), hop->uri_storage, len, &hop->parsed) != OSP_OK ||
        hop->parsed.to.scheme == OSP_SCHEME_UNKNOWN) {
        cfg_error(l, &n->pos, path, "\"%s\" is not %s", cfg_show(text, show), HOP_FORM);
    } else if (hop->parsed.to.scheme != OSP_SCHEME_COAP) {
        cfg_error(l, &n->pos, path, "%s:// is not supported by this version; write coap://",
                  osp_scheme_name(hop->parsed.to.scheme));
    } else if (hop->parsed.has_query) {
        cfg_error(l, &n->pos, path, "\"%s\" has a query; queries are the client's", cfg_show(text, show));
    } else if (hop->parsed.to.is_ip && (osp_ip_is_multicast(&hop->parsed.to.ip) || osp_ip_is_any(&hop->parsed.to.ip))) {
        cfg_error(l, &n->pos, path, "\"%s\" is not the address of one server", cfg_show(text, show));
    }
}

static void
print_uri(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_hop *hop = obj;

    cfg_out_text(o, key, hop->uri);
}

static const struct cfg_kind kind_uri = { HOP_FORM, read_uri, print_uri, NULL };

/* ---- EDHOC towards a hop ---- */

#define AT_EDHOC(member) .at = offsetof(struct cfg_hop_edhoc, member)

static const char *const mode_names[] = { "require", "prefer", NULL };

static void
read_peer(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    const char *text = n ? cfg_scalar(l, n, path, "the name of a trusted credential, or a pattern with * and ?") : NULL;
    char      **out = obj;

    if (!text)
        return;
    *out = cfg_text(l, osp_slice_str(text));
    if (*out)
        cfg_refer(l, CFG_REF_CREDENTIALS, *out, &n->pos, path);
}

static void
read_subject(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    char **out = obj;

    if (n)
        *out = cfg_read_subject(l, n, path);
}

static const struct cfg_kind kind_subject = { CFG_SUBJECT_FORM, read_subject, print_name, NULL };

static const struct cfg_kind kind_peer = { "the name of a trusted credential, or a pattern with * and ?", read_peer, print_name,
                                           NULL };

static const struct cfg_item edhoc_items[] = {
    { .key = "credential", .type = CFG_OTHER, .reload = CFG_LIVE, AT_EDHOC(credential), .kind = &kind_peer,
      .dflt_text = "the only trusted one",
      .doc = "whom the next hop has to prove to be. Where several are trusted, this or `subject` has to be there. `unknown`, of "
             "`edhoc.unknown: accept`, fits only where it is meant by its name", .example = "plant-gw" },
    { .key = "subject", .type = CFG_OTHER, .reload = CFG_LIVE, AT_EDHOC(subject), .kind = &kind_subject,
      .dflt_text = "the host that requests go to",
      .doc = "the name that the next hop has to have: a dNSName or address in its certificate, or else what its credential is "
             "called among `trusted`. By default a certificate from the trusted `ca` has to name the host of the URI; and so has "
             "the name of a credential that only a pattern fits, in `upstreams` for several hosts",
      .example = "gw.plant.example" },
    { .key = "mode", .type = CFG_CHOICE, .reload = CFG_LIVE, AT_EDHOC(mode), .choices = mode_names,
      .doc = "what happens to a request when no context can be established: `require` refuses it, `prefer` forwards it without "
             "a layer of ours, and tries again a minute later; but never where there is one already" },
    { .key = "method", .type = CFG_UINT, .reload = CFG_LIVE, .min = 0, .max = 3, .dflt = 3, AT_EDHOC(method),
      .doc = "the method of RFC 9528; suites are those of `edhoc.suites`" },
    { .key = "combined", .type = CFG_BOOL, .reload = CFG_LIVE, .dflt = false, AT_EDHOC(combined),
      .doc = "message_3 goes with the first request (RFC 9668), which saves a round trip; a next hop that does not know that is "
             "asked in two steps" },
    { .key = NULL },
};

static void
read_edhoc(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct cfg_hop_edhoc *e = obj;

    if (!n || (n->kind == CFG_SCALAR && n->text && strcmp(n->text, "false") == 0))
        return;
    if (n->kind == CFG_SCALAR && (!n->text || strcmp(n->text, "true") != 0)) {
        cfg_error(l, &n->pos, path, "is neither true, false nor a map");
        return;
    }
    e->on = true;
    e->pos = n->pos;
    cfg_read_map(l, n->kind == CFG_SCALAR ? NULL : n, path, edhoc_items, e);
}

static void
print_edhoc(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_hop_edhoc *e = obj;

    if (!e->on)
        return;
    cfg_out_begin(o, key);
    cfg_out_map(o, edhoc_items, e);
    cfg_out_end(o);
}

static const struct cfg_kind kind_edhoc = { "true, or a map", read_edhoc, print_edhoc, edhoc_items };

#define NESTED_DOC "false: a request that has an OSCORE layer for somebody behind us goes there without a layer of ours, since " \
                   "the next hop does not take one around another"
#define EDHOC_DOC "instead of `context`: one that is established with EDHOC when it is needed"

#define HOP_ITEMS \
    { .key = "uri", .type = CFG_OTHER, .reload = CFG_LIVE, .flags = CFG_REQ, .kind = &kind_uri,                        \
      .doc = "where to; write coap://HOST[:PORT][/PATH]" },                                                            \
    { .key = "context", .type = CFG_OTHER, .reload = CFG_LIVE, .at = offsetof(struct cfg_hop, context),                \
      .kind = &cfg_kind_context,                                                                                       \
      .dflt_text = "no layer of ours",                                                                                 \
      .doc = "the context that protects the way there" },                                                              \
    { .key = "edhoc", .type = CFG_OTHER, .reload = CFG_LIVE, .at = offsetof(struct cfg_hop, edhoc),                    \
      .kind = &kind_edhoc, .dflt_text = "false",                                                                       \
      .doc = EDHOC_DOC, .example = "{ credential: plant-gw }" },                                                       \
    { .key = "nested", .type = CFG_BOOL, .reload = CFG_LIVE, .dflt = true, .at = offsetof(struct cfg_hop, nested),     \
      .doc = NESTED_DOC },

static const struct cfg_item hop_items[] = {
    HOP_ITEMS
    { .key = NULL },
};

static const struct cfg_item next_hop_items[] = {
    HOP_ITEMS
    { .key = "hop-limit", .type = CFG_UINT, .reload = CFG_LIVE, .min = 0, .max = 255, .dflt = 16,
      .at = offsetof(struct cfg_hop, hop_limit),
      .doc = "Hop-Limit (RFC 8768) put into a request that has none on its way there, so that a loop of proxies ends, unless "
             "`forward-proxy.hop-limit` puts another one in; 0: none is put in, for a proxy that cannot take the option" },
    { .key = NULL },
};

static void
read_hop_of(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const struct cfg_item *items,
            struct cfg_hop *hop)
{
    if (!n)
        return;
    hop->pos = n->pos;
    hop->present = true;
    cfg_read_map(l, n, path, items, hop);
}

static void
read_hop(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    read_hop_of(l, n, path, hop_items, obj);
}

static void
print_hop(struct cfg_out *o, const char *key, const void *obj)
{
    cfg_out_begin(o, key);
    cfg_out_map(o, hop_items, obj);
    cfg_out_end(o);
}

static const struct cfg_kind kind_hop = { .form = "a map", .read = read_hop, .print = print_hop, .items = hop_items };

static void
read_next_hop(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct cfg_hop *hop = obj;

    if (!n || (n->kind == CFG_SCALAR && n->text && strcmp(n->text, "none") == 0))
        return;
    read_hop_of(l, n, path, next_hop_items, hop);
    if (hop->parsed.path.n > 0)
        cfg_error(l, &n->pos, path, "its uri has a path; requests keep theirs on the way to a proxy");
}

static void
print_next_hop(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_hop *hop = obj;

    if (!hop->present) {
        cfg_out_word(o, key, "none");
        return;
    }
    cfg_out_begin(o, key);
    cfg_out_map(o, next_hop_items, hop);
    cfg_out_end(o);
}

const struct cfg_kind cfg_kind_next_hop = { .form = "none, or a map", .read = read_next_hop, .print = print_next_hop,
                                            .items = next_hop_items };

/* ---- routes ---- */

#define AT(member) .at = offsetof(struct cfg_route, member)

static void
read_route_host(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    const char *text = n ? cfg_scalar(l, n, path, "a host name, or *. and a host name") : NULL;
    char      **out = obj;

    if (text)
        *out = cfg_host_name(l, &n->pos, path, text, true);
}

static const struct cfg_kind kind_route_host = { "a host name, or *. and a host name", read_route_host, print_name, NULL };

static void
read_port(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    const char *text = n ? cfg_scalar(l, n, path, "a port") : NULL;
    uint64_t    v;

    if (text && cfg_number(l, n, path, text, 1, UINT16_MAX, &v))
        *(uint16_t *)obj = (uint16_t)v;
}

static void
print_port(struct cfg_out *o, const char *key, const void *obj)
{
    uint16_t port = *(const uint16_t *)obj;
    char     text[8];

    (void)snprintf(text, sizeof(text), "%u", (unsigned)port);
    if (port)
        cfg_out_word(o, key, text);
}

static const struct cfg_kind kind_port = { "a number, 1 to 65535", read_port, print_port, NULL };

#define ROUTE_PATH_MAX 1000
#define PATH_FORM "a path such as /plant or /plant/* (everything below)"

/* Copies the decoded path segments of `m` as texts; false: one has a zero byte. */
static bool
take_segments(struct cfg_load *l, const struct osp_msg *m, struct cfg_route *r)
{
    size_t n = m->opt_count;

    r->path = n ? cfg_get(l, n * sizeof(*r->path)) : NULL;
    for (size_t i = 0; r->path && i < n; i++) {
        struct osp_slice v = m->opts[i].val;

        if (v.n && memchr(v.p, 0, v.n))
            return false;
        r->path[i] = cfg_text(l, v);
        r->path_count += r->path[i] != NULL;
    }
    return true;
}

static void
read_route_path(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    const char       *text = n ? cfg_scalar(l, n, path, PATH_FORM) : NULL;
    struct cfg_route *r = obj;
    struct osp_slice  s = osp_slice_str(text);
    struct osp_msg    m;
    uint8_t           storage[ROUTE_PATH_MAX + 3 * (OSP_MSG_OPTS_MAX + 1)];
    struct osp_wr     w = osp_wr_to(storage, sizeof(storage));
    struct osp_uri    uri = { 0 };
    char              show[CFG_SHOW_MAX];
    bool              ok;

    if (!text)
        return;
    r->has_path = true;
    r->exact = s.n < 2 || !osp_slice_eq(osp_slice_tail(s, s.n - 2), osp_slice_str("/*"));
    if (!r->exact)
        s.n -= 2;
    osp_msg_init(&m, OSP_GET);
    uri.path = osp_slice_tail(s, 1);
    ok = text[0] == '/' && s.n <= ROUTE_PATH_MAX && !memchr(text, '*', s.n) && osp_uri_to_options(&uri, &m, &w) == OSP_OK;
    if (!ok || !take_segments(l, &m, r))
        cfg_error(l, &n->pos, path, "\"%s\" is not %s; a literal * is written %%2A", cfg_show(text, show), PATH_FORM);
}

/* Writes one path segment, percent-encoded so that it is read back as one segment. */
static void
put_segment(struct osp_wr *w, const char *s)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *s; s++) {
        uint8_t c = (uint8_t)*s;
        bool    alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (alnum || strchr("-_~!$&'()+,;=:@.", c)) {
            osp_wr_u8(w, c);
        } else {
            osp_wr_u8(w, '%');
            osp_wr_u8(w, (uint8_t)digits[c >> 4]);
            osp_wr_u8(w, (uint8_t)digits[c & 15]);
        }
    }
}

static void
print_route_path(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_route *r = obj;
    char                    text[4 * ROUTE_PATH_MAX];
    struct osp_wr           w = osp_wr_to(text, sizeof(text) - 1);

    if (!r->has_path)
        return;
    for (size_t i = 0; i < r->path_count; i++) {
        osp_wr_u8(&w, '/');
        put_segment(&w, r->path[i]);
    }
    if (!r->exact)
        osp_wr_put(&w, osp_slice_str("/*"));
    else if (r->path_count == 0)
        osp_wr_u8(&w, '/');
    text[w.n] = '\0';
    cfg_out_text(o, key, text);
}

static const struct cfg_kind kind_route_path = { PATH_FORM, read_route_path, print_route_path, NULL };

static const struct cfg_item route_match_items[] = {
    { .key = "host", .type = CFG_OTHER, .reload = CFG_LIVE, AT(host), .kind = &kind_route_host, .dflt_text = "not looked at",
      .doc = "the request's Uri-Host; of a request that had a layer for us, the one inside of it, unless the route has "
             "`outer-host: true`" },
    { .key = "port", .type = CFG_OTHER, .reload = CFG_LIVE, AT(port), .kind = &kind_port, .dflt_text = "not looked at",
      .doc = "the request's Uri-Port, or the port it was received at; of a request that had a layer for us, the Uri-Port inside "
             "of it, unless the route has `outer-host: true`" },
    { .key = "path", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &kind_route_path, .dflt_text = "not looked at",
      .doc = "the request's Uri-Path, percent-encoded: exactly this, or with `/*` at the end also everything below it; the "
             "longest that fits decides" },
    { .key = NULL },
};

static void
check_route_match(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const void *obj)
{
    (void)obj;
    if (n->kind == CFG_MAP && n->count == 0)
        cfg_error(l, &n->pos, path, "is empty; write host, port or path (`path: /*` fits every request)");
}

static const char *const oscore_choices[] = { "terminate", "pass", NULL };

static void
read_pass(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    const char *text = n ? cfg_scalar(l, n, path, "terminate or pass") : NULL;
    char        show[CFG_SHOW_MAX];

    if (!text)
        return;
    if (strcmp(text, oscore_choices[0]) != 0 && strcmp(text, oscore_choices[1]) != 0)
        cfg_error(l, &n->pos, path, "\"%s\" is not terminate or pass", cfg_show(text, show));
    *(bool *)obj = strcmp(text, oscore_choices[1]) == 0;
}

static void
print_pass(struct cfg_out *o, const char *key, const void *obj)
{
    cfg_out_word(o, key, oscore_choices[*(const bool *)obj]);
}

static const struct cfg_kind kind_pass = { "terminate or pass", read_pass, print_pass, NULL };

const struct cfg_item cfg_route_items[] = {
    { .key = "name", .type = CFG_OTHER, .reload = CFG_LIVE, .flags = CFG_REQ, AT(name), .kind = &cfg_kind_name,
      .doc = "what rules and logs call it" },
    { .key = "match", .type = CFG_SECTION, .flags = CFG_REQ, .items = route_match_items, .check = check_route_match,
      .doc = "the requests it is for; all that is given has to fit" },
    { .key = "strip", .type = CFG_UINT, .reload = CFG_LIVE, .min = 0, .max = OSP_MSG_OPTS_MAX, .dflt = 0, AT(strip),
      .doc = "Uri-Path segments taken off the front; at most those of `match`" },
    { .key = "oscore", .type = CFG_OTHER, .reload = CFG_LIVE, AT(pass), .kind = &kind_pass, .dflt_text = "terminate",
      .doc = "`terminate` removes a layer that is for us, `pass` leaves every layer to the upstream" },
    { .key = "keep-host", .type = CFG_BOOL, .reload = CFG_LIVE, .dflt = false, AT(keep_host),
      .doc = "forward Uri-Host as it came, instead of the host of the upstream" },
    { .key = "outer-host", .type = CFG_BOOL, .reload = CFG_LIVE, .dflt = false, AT(outer_host),
      .doc = "for a request that had a layer for us: where there is no Uri-Host inside of it (no Uri-Port), the one outside "
             "counts, and the port it was received at; anybody on the way can write those, and so move the request to this route "
             "or away from it. By default only what is protected chooses" },
    { .key = "upstream", .type = CFG_OTHER, .reload = CFG_LIVE, .flags = CFG_REQ, AT(upstream), .kind = &kind_hop,
      .doc = "the server that answers; the path of its URI goes in front of what `strip` leaves",
      .example = "{ uri: \"coap://192.0.2.7\", context: plant-gw }" },
    { .key = NULL },
};

/* ---- upstreams ---- */

static void
read_match(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    const char *text = n ? cfg_scalar(l, n, path, "a target such as coap://*.plant.example") : NULL;

    if (text)
        (void)cfg_read_target(l, n, path, text, obj);
}

static void
print_match(struct cfg_out *o, const char *key, const void *obj)
{
    char text[OSP_TARGET_TEXT_MAX];

    osp_target_print(obj, text, sizeof(text));
    cfg_out_text(o, key, text);
}

static const struct cfg_kind kind_match = { "a target, as in `allow`", read_match, print_match, NULL };

const struct cfg_item cfg_upstream_items[] = {
    { .key = "match", .type = CFG_OTHER, .reload = CFG_LIVE, .flags = CFG_REQ, .at = offsetof(struct cfg_upstream, match),
      .kind = &kind_match,
      .doc = "hosts it is for", .example = "\"coap://*.plant.example\"" },
    { .key = "context", .type = CFG_OTHER, .reload = CFG_LIVE, .at = offsetof(struct cfg_upstream, context),
      .kind = &cfg_kind_context,
      .dflt_text = "no layer of ours",
      .doc = "the context that protects the way there" },
    { .key = "edhoc", .type = CFG_OTHER, .reload = CFG_LIVE, .at = offsetof(struct cfg_upstream, edhoc), .kind = &kind_edhoc,
      .dflt_text = "false",
      .doc = EDHOC_DOC, .example = "true" },
    { .key = "nested", .type = CFG_BOOL, .reload = CFG_LIVE, .dflt = true, .at = offsetof(struct cfg_upstream, nested),
      .doc = NESTED_DOC },
    { .key = NULL },
};
