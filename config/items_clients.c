/* SPDX-License-Identifier: BSD-2-Clause */
/* The section `clients`: who may do what. */
#include "config/schema.h"

#define AT(member) .at = offsetof(struct cfg_client, member)

/* ---- match ---- */

#define CONTEXT_FORM "the name of a context, or a pattern with * and ?"

/* True if `s` is a name as cfg_is_name() has it, with * and ? possible in it. */
static bool
is_name_glob(const char *s)
{
    char   plain[CFG_NAME_MAX + 2];
    size_t n = 0;

    for (; s[n] && n <= CFG_NAME_MAX; n++)
        plain[n] = s[n] == '*' || s[n] == '?' ? 'x' : s[n];
    plain[n] = '\0';
    return cfg_is_name(plain);
}

/* Reads one pattern or a list of patterns for names of the kind `what`.  A wrong one is reported and becomes an empty text. */
static char **
read_names(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const char *form, enum cfg_ref_kind what,
           size_t *out)
{
    const struct cfg_node *c = NULL;
    size_t                 count = n ? cfg_each(l, n, path, form, &c) : 0;
    char                 **all = count ? cfg_get(l, count * sizeof(*all)) : NULL;
    char                   show[CFG_SHOW_MAX];

    for (size_t i = 0; all && i < count; i++, c = c->next) {
        struct cfg_path at = { path, NULL, i };
        const char     *text = cfg_scalar(l, c, &at, form);
        bool            good = text && is_name_glob(text);

        if (text && !good)
            cfg_error(l, &c->pos, &at, "\"%s\" is not %s", cfg_show(text, show), form);
        all[i] = cfg_text(l, osp_slice_str(good ? text : ""));
        if (good && all[i])
            cfg_refer(l, what, all[i], &c->pos, n->kind == CFG_LIST ? &at : path);
    }
    *out = all ? count : 0;
    return all;
}

static void
read_contexts(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct cfg_client *client = obj;

    client->contexts = read_names(l, n, path, CONTEXT_FORM, CFG_REF_CONTEXTS, &client->context_count);
}

static void
print_texts(struct cfg_out *o, const char *key, char *const *all, size_t count)
{
    if (count == 0)
        return;
    cfg_out_begin(o, key);
    for (size_t i = 0; i < count; i++)
        cfg_out_text(o, NULL, all[i]);
    cfg_out_end(o);
}

static void
print_contexts(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_client *client = obj;

    print_texts(o, key, client->contexts, client->context_count);
}

static const struct cfg_kind kind_contexts = { "one or a list of names of contexts, with * and ?", read_contexts,
                                               print_contexts, NULL };

#define NET_FORM "an address or a network such as 192.0.2.0/24 or 2001:db8::/32"

static void
read_net(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, struct cfg_net *out)
{
    const char       *text = cfg_scalar(l, n, path, NET_FORM);
    struct osp_target t;
    struct osp_ip     given;
    char              uri[128], show[CFG_SHOW_MAX], right[OSP_TARGET_TEXT_MAX];

    if (!text)
        return;
    (void)snprintf(uri, sizeof(uri), "coap://[%.100s]", text);
    if (strlen(text) > 100 || osp_target_parse(osp_slice_str(uri), &t) != OSP_OK) {
        cfg_error(l, &n->pos, path, "\"%s\" is not %s", cfg_show(text, show), NET_FORM);
        return;
    }
    if (osp_ip_parse(osp_slice(text, strcspn(text, "/")), &given) && !osp_ip_eq(&given, &t.net)) {
        osp_ip_print(&t.net, right, sizeof(right));
        cfg_error(l, &n->pos, path, "%s has bits behind its length; write %s%s", cfg_show(text, show), right, strchr(text, '/'));
        return;
    }
    out->ip = t.net;
    out->bits = t.bits;
}

static void
read_address(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct cfg_client     *client = obj;
    const struct cfg_node *c = NULL;
    size_t                 count = n ? cfg_each(l, n, path, NET_FORM, &c) : 0;
    struct cfg_net        *all = count ? cfg_get(l, count * sizeof(*all)) : NULL;

    for (size_t i = 0; all && i < count; i++, c = c->next) {
        struct cfg_path at = { path, NULL, i };

        read_net(l, c, &at, &all[i]);
    }
    client->nets = all;
    client->net_count = all ? count : 0;
}

static void
print_address(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_client *client = obj;

    if (client->net_count == 0)
        return;
    cfg_out_begin(o, key);
    for (size_t i = 0; i < client->net_count; i++) {
        const struct cfg_net *net = &client->nets[i];
        bool                  v4 = osp_ip_is_v4(&net->ip) && net->bits >= 96;
        char                  ip[OSP_ADDR_TEXT_MAX], text[OSP_ADDR_TEXT_MAX + 8];

        osp_ip_print(&net->ip, ip, sizeof(ip));
        (void)snprintf(text, sizeof(text), "%.45s/%u", ip, v4 ? net->bits - 96 : net->bits);
        cfg_out_text(o, NULL, text);
    }
    cfg_out_end(o);
}

static const struct cfg_kind kind_address = { "one or a list of addresses and networks", read_address, print_address, NULL };

#define CREDENTIAL_FORM "the name of a trusted credential, or a pattern with * and ?"

static void
read_credentials(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct cfg_client *client = obj;

    client->credentials = read_names(l, n, path, CREDENTIAL_FORM, CFG_REF_CREDENTIALS, &client->credential_count);
}

static void
print_credentials(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_client *client = obj;

    print_texts(o, key, client->credentials, client->credential_count);
}

static const struct cfg_kind kind_credentials = { "one or a list of names of credentials, with * and ?", read_credentials,
                                                  print_credentials, NULL };

#define SUBJECT_MAX 255

char *
cfg_read_subject(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path)
{
    const char *text = cfg_scalar(l, n, path, CFG_SUBJECT_FORM);
    size_t      len = text ? strlen(text) : 0;
    char       *out, show[CFG_SHOW_MAX];

    if (!text)
        return NULL;
    if (len == 0 || len > SUBJECT_MAX ||
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:*?") != len) {
        cfg_error(l, &n->pos, path, "\"%s\" is not " CFG_SUBJECT_FORM, cfg_show(text, show));
        return NULL;
    }
    out = cfg_text(l, osp_slice(text, len));
    for (char *c = out; c && *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
    return out;
}

static void
read_subjects(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct cfg_client     *client = obj;
    const struct cfg_node *c = NULL;
    size_t                 count = n ? cfg_each(l, n, path, CFG_SUBJECT_FORM, &c) : 0;
    char                 **all = count ? cfg_get(l, count * sizeof(*all)) : NULL;

    for (size_t i = 0; all && i < count; i++, c = c->next) {
        struct cfg_path at = { path, NULL, i };
        char           *text = cfg_read_subject(l, c, n->kind == CFG_LIST ? &at : path);

        all[i] = text ? text : cfg_text(l, OSP_EMPTY);
    }
    client->subjects = all;
    client->subject_count = all ? count : 0;
}

static void
print_subjects(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_client *client = obj;

    print_texts(o, key, client->subjects, client->subject_count);
}

static const struct cfg_kind kind_subjects = { "one or a list of names, with * and ?", read_subjects, print_subjects, NULL };

static const struct cfg_item edhoc_items[] = {
    { .key = "credential", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &kind_credentials, .dflt_text = "not looked at",
      .doc = "who the peer proved to be when the context of the last layer removed was made: the name of a trusted "
             "credential, or `unknown`, which no pattern fits", .example = "\"meter-*\"" },
    { .key = "subject", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &kind_subjects, .dflt_text = "not looked at",
      .doc = "whom the peer's certificate names, of those that the trusted `ca` vouches for: its first dNSName, or else its "
             "common name, as `ospreyctl contexts` shows it; with `credential`, both have to fit",
      .example = "\"*.meters.example\"" },
    { .key = NULL },
};

static void
read_edhoc(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    if (n)
        cfg_read_map(l, n, path, edhoc_items, obj);
}

static void
print_edhoc(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_client *client = obj;

    if (client->credential_count + client->subject_count == 0)
        return;
    cfg_out_begin(o, key);
    cfg_out_map(o, edhoc_items, obj);
    cfg_out_end(o);
}

static const struct cfg_kind kind_edhoc = { "a map", read_edhoc, print_edhoc, edhoc_items };

static const struct cfg_item match_items[] = {
    { .key = "context", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &kind_contexts, .dflt_text = "not looked at",
      .doc = "the context of the last layer removed from the request", .example = "\"meter-*\"" },
    { .key = "edhoc", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &kind_edhoc, .dflt_text = "not looked at",
      .doc = "a context that EDHOC made; beside `context`, one of both has to fit", .example = "{ credential: meter-17 }" },
    { .key = "address", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &kind_address, .dflt_text = "not looked at",
      .doc = "the client's address, which anybody on the way can forge; with `context`, both have to fit",
      .example = "2001:db8::/32" },
    { .key = "any", .type = CFG_BOOL, .reload = CFG_LIVE, .dflt = false, AT(any),
      .doc = "every client, also one without a layer for us; stands alone" },
    { .key = NULL },
};

static void
check_match(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const void *obj)
{
    const struct cfg_client *client = obj;
    bool                     given = cfg_child(n, "context") || cfg_child(n, "edhoc") || cfg_child(n, "address");

    if (client->any && given)
        cfg_error(l, &n->pos, path, "`any: true` fits every client; take it out, or the rest");
    if (n->kind == CFG_MAP && !client->any && !given)
        cfg_error(l, &n->pos, path, "fits nobody; write context, edhoc, address, or `any: true`");
}

/* ---- allow ---- */

#define ALLOW_FORM "\"forward TARGET\" or \"route NAME\""
#define TARGET_FORM "coap://HOST[:PORT], where HOST is a name, *.NAME, an address, a network, or *"

bool
cfg_read_target(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const char *text,
                struct osp_target *out)
{
    char show[CFG_SHOW_MAX];

    if (osp_target_parse(osp_slice_str(text), out) != OSP_OK) {
        cfg_error(l, &n->pos, path, "\"%s\" is not %s", cfg_show(text, show), TARGET_FORM);
        return false;
    }
    if (out->scheme == OSP_SCHEME_COAP || out->scheme == OSP_SCHEME_UNKNOWN)
        return true;
    cfg_error(l, &n->pos, path, "%s:// is not supported by this version; write coap://", osp_scheme_name(out->scheme));
    return false;
}

static void
read_allow_one(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, struct cfg_allow *out)
{
    const char *text = cfg_scalar(l, n, path, ALLOW_FORM);
    size_t      verb = text ? strcspn(text, " ") : 0;
    const char *rest;
    char        show[CFG_SHOW_MAX];

    if (!text)
        return;
    rest = text + verb + strspn(text + verb, " ");
    if (verb == 7 && strncmp(text, "forward", 7) == 0 && *rest) {
        (void)cfg_read_target(l, n, path, rest, &out->target);
        out->kind = CFG_ALLOW_FORWARD;
    } else if (verb == 5 && strncmp(text, "route", 5) == 0 && is_name_glob(rest)) {
        out->kind = CFG_ALLOW_ROUTE;
        out->route = cfg_text(l, osp_slice_str(rest));
        if (out->route)
            cfg_refer(l, CFG_REF_ROUTES, out->route, &n->pos, path);
    } else {
        cfg_error(l, &n->pos, path, "\"%s\" is not %s", cfg_show(text, show), ALLOW_FORM);
    }
}

static void
read_allow(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct cfg_client     *client = obj;
    const struct cfg_node *c = NULL;
    size_t                 count = n && !(n->kind == CFG_LIST && n->count == 0) ? cfg_each(l, n, path, ALLOW_FORM, &c) : 0;
    struct cfg_allow      *all = count ? cfg_get(l, count * sizeof(*all)) : NULL;

    for (size_t i = 0; all && i < count; i++, c = c->next) {
        struct cfg_path at = { path, NULL, i };

        read_allow_one(l, c, &at, &all[i]);
    }
    client->allow = all;
    client->allow_count = all ? count : 0;
}

static void
print_allow(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_client *client = obj;

    if (client->allow_count == 0) {
        cfg_out_word(o, key, "[]");
        return;
    }
    cfg_out_begin(o, key);
    for (size_t i = 0; i < client->allow_count; i++) {
        char text[OSP_TARGET_TEXT_MAX + 16], target[OSP_TARGET_TEXT_MAX];

        if (client->allow[i].kind == CFG_ALLOW_FORWARD) {
            osp_target_print(&client->allow[i].target, target, sizeof(target));
            (void)snprintf(text, sizeof(text), "forward %s", target);
        } else {
            (void)snprintf(text, sizeof(text), "route %s", client->allow[i].route);
        }
        cfg_out_text(o, NULL, text);
    }
    cfg_out_end(o);
}

static const struct cfg_kind kind_allow = { "a list of " ALLOW_FORM, read_allow, print_allow, NULL };

/* ---- rate ---- */

#define RATE_MAX 1000000u
#define RATE_FORM "a number of requests per second, such as 50/s"

static void
read_requests(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    const char *text = n ? cfg_scalar(l, n, path, RATE_FORM) : NULL;
    char        number[16], show[CFG_SHOW_MAX];
    size_t      len;
    uint64_t    v;

    if (!text)
        return;
    len = strcspn(text, "/");
    if (strcmp(text + len, "/s") != 0 || len == 0 || len >= sizeof(number) || strspn(text, "0123456789") != len) {
        cfg_error(l, &n->pos, path, "\"%s\" is not %s", cfg_show(text, show), RATE_FORM);
        return;
    }
    (void)osp_slice_copy(osp_slice(text, len), number, sizeof(number));
    number[len] = '\0';
    if (cfg_number(l, n, path, number, 1, RATE_MAX, &v))
        *(uint32_t *)obj = (uint32_t)v;
}

static void
print_requests(struct cfg_out *o, const char *key, const void *obj)
{
    char text[CFG_QUANTITY_MAX];

    (void)snprintf(text, sizeof(text), "%lu/s", (unsigned long)*(const uint32_t *)obj);
    cfg_out_word(o, key, text);
}

static const struct cfg_kind kind_requests = { RATE_FORM " (1/s to 1000000/s)", read_requests, print_requests, NULL };

static const struct cfg_item rate_items[] = {
    { .key = "requests", .type = CFG_OTHER, .reload = CFG_LIVE, .flags = CFG_REQ, AT(rate), .kind = &kind_requests,
      .doc = "requests one client may make in the long run; more are answered 4.29" },
    { .key = "burst", .type = CFG_UINT, .reload = CFG_LIVE, .min = 1, .max = RATE_MAX, AT(burst),
      .dflt_text = "as many as `requests`",
      .doc = "requests it may make at once" },
    { .key = NULL },
};

static void
read_rate(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct cfg_client *client = obj;

    if (!n || (n->kind == CFG_SCALAR && strcmp(n->text, "none") == 0))
        return;
    cfg_read_map(l, n, path, rate_items, client);
    if (client->burst == 0)
        client->burst = client->rate;
}

static void
print_rate(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_client *client = obj;

    if (client->rate == 0) {
        cfg_out_word(o, key, "none");
        return;
    }
    cfg_out_begin(o, key);
    cfg_out_map(o, rate_items, client);
    cfg_out_end(o);
}

static const struct cfg_kind kind_rate = { .form = "none, or a map", .read = read_rate, .print = print_rate,
                                           .items = rate_items };

const struct cfg_item cfg_client_items[] = {
    { .key = "match", .type = CFG_SECTION, .flags = CFG_REQ, .items = match_items, .check = check_match,
      .doc = "the clients this rule is for" },
    { .key = "allow", .type = CFG_OTHER, .reload = CFG_LIVE, .flags = CFG_REQ, .kind = &kind_allow,
      .doc = "what they may do: forward to targets (no port: any port), use routes; an empty list allows nothing",
      .example = "[ \"forward coap://*.example.org\", \"route plant\" ]" },
    { .key = "rate", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &kind_rate, .dflt_text = "none",
      .doc = "how often, for each client by itself, over all workers",
      .example = "{ requests: 50/s, burst: 100 }" },
    { .key = NULL },
};
