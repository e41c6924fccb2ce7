/* SPDX-License-Identifier: BSD-2-Clause */
/* Our own addresses and names: listen, status, names, hosts. */
#include "config/schema.h"

#include <strings.h>

#define LISTEN_MAX 256u
#define HOSTS_MAX 10000u
#define NAMES_MAX 1000u

/* ---- listen ---- */

#define LISTEN_FORM "coap://ADDRESS[:PORT], such as coap://[::]:5683 or coap://192.0.2.1"

/* Reads a URI that is an address and perhaps a port, without a path; t->port is 0 without a port. */
static bool
parse_place(const char *text, struct osp_target *t)
{
    struct osp_slice s = osp_slice_str(text);

    if (s.n > 0 && s.p[s.n - 1] == '/')
        s.n--;
    return osp_target_parse(s, t) == OSP_OK && t->kind == OSP_TARGET_NET && t->bits == 128;
}

/* Reads an address to listen at.  Port 0 asks for a free port; osp_target_parse() does not accept it, so it is cut off first. */
static bool
parse_listen(const char *text, struct osp_target *t)
{
    struct osp_slice s = osp_slice_str(text);
    char             head[128];

    if (s.n < 2 || s.n >= sizeof(head) || !osp_slice_eq(osp_slice_tail(s, s.n - 2), osp_slice_str(":0"))) {
        if (!parse_place(text, t))
            return false;
        t->port = t->port ? t->port : osp_scheme_port(t->scheme);
        return true;
    }
    (void)osp_slice_copy(osp_slice_head(s, s.n - 2), head, sizeof(head));
    head[s.n - 2] = '\0';
    return parse_place(head, t) && t->port == 0;
}

static void
read_listen_one(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, struct cfg_listen *out)
{
    const char       *text = cfg_scalar(l, n, path, LISTEN_FORM);
    struct osp_target t;
    enum osp_scheme   scheme;
    char              show[CFG_SHOW_MAX];

    out->pos = n->pos;
    if (!text)
        return;
    scheme = osp_scheme_of(osp_slice(text, strcspn(text, ":")));
    if (scheme != OSP_SCHEME_UNKNOWN && scheme != OSP_SCHEME_COAP) {
        cfg_error(l, &n->pos, path, "%s:// is not supported by this version; write coap://", osp_scheme_name(scheme));
        return;
    }
    if (!parse_listen(text, &t)) {
        cfg_error(l, &n->pos, path, "\"%s\" is not %s", cfg_show(text, show), LISTEN_FORM);
        return;
    }
    if (osp_ip_is_multicast(&t.net)) {
        cfg_error(l, &n->pos, path, "multicast is not supported by this version; write an address of this machine");
        return;
    }
    out->scheme = t.scheme;
    out->ip = t.net;
    out->port = t.port;
}

static void
read_listen(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct osp_cfg        *cfg = obj;
    const struct cfg_node *c = NULL;
    size_t                 count = n ? cfg_each(l, n, path, LISTEN_FORM, &c) : 0;
    struct cfg_listen     *all = count && count <= LISTEN_MAX ? cfg_get(l, count * sizeof(*all)) : NULL;

    if (count > LISTEN_MAX)
        cfg_error(l, &n->pos, path, "%zu addresses; at most %u", count, LISTEN_MAX);
    for (size_t i = 0; all && i < count; i++, c = c->next) {
        struct cfg_path at = { path, NULL, i };

        read_listen_one(l, c, &at, &all[i]);
    }
    cfg->listen = all;
    cfg->listen_count = all ? count : 0;
}

static void
print_listen(struct cfg_out *o, const char *key, const void *obj)
{
    const struct osp_cfg *cfg = obj;
    char                  at[OSP_ADDR_TEXT_MAX], text[OSP_ADDR_TEXT_MAX + 16];

    cfg_out_begin(o, key);
    for (size_t i = 0; i < cfg->listen_count; i++) {
        struct osp_addr a = { .ip = cfg->listen[i].ip, .port = cfg->listen[i].port };

        osp_addr_print(&a, at, sizeof(at));
        (void)snprintf(text, sizeof(text), "%s://%s", osp_scheme_name(cfg->listen[i].scheme), at);
        cfg_out_text(o, NULL, text);
    }
    cfg_out_end(o);
}

const struct cfg_kind cfg_kind_listen = { "one or a list of " LISTEN_FORM "; port 0: one that is free", read_listen, print_listen,
                                          NULL };

/* ---- status ---- */

#define STATUS_FORM "http://ADDRESS:PORT, such as http://127.0.0.1:9683, or none"

static void
read_status(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    const char       *text = n ? cfg_scalar(l, n, path, STATUS_FORM) : NULL;
    struct osp_cfg   *cfg = (struct osp_cfg *)(void *)((char *)obj - offsetof(struct osp_cfg, status));
    struct osp_target t;
    char              as_coap[128], show[CFG_SHOW_MAX];

    if (!text || strcmp(text, "none") == 0)
        return;
    if (strncmp(text, "https://", 8) == 0) {
        cfg_error(l, &n->pos, path, "https:// is not supported; write http:// and a loopback address");
        return;
    }
    /* An address and port are written as in a CoAP URI, so the parser for these reads them. */
    (void)snprintf(as_coap, sizeof(as_coap), "coap%.100s", strncmp(text, "http", 4) == 0 ? text + 4 : "");
    if (strlen(text) > 100 || !parse_place(as_coap, &t) || t.port == 0 || t.scheme != OSP_SCHEME_COAP) {
        cfg_error(l, &n->pos, path, "\"%s\" is not %s", cfg_show(text, show), STATUS_FORM);
        return;
    }
    cfg->status.enabled = true;
    cfg->status.ip = t.net;
    cfg->status.port = t.port;
}

static void
print_status(struct cfg_out *o, const char *key, const void *obj)
{
    const struct osp_cfg *cfg = (const struct osp_cfg *)(const void *)((const char *)obj - offsetof(struct osp_cfg, status));
    struct osp_addr       a = { .ip = cfg->status.ip, .port = cfg->status.port };
    char                  at[OSP_ADDR_TEXT_MAX], text[OSP_ADDR_TEXT_MAX + 16];

    if (!cfg->status.enabled) {
        cfg_out_word(o, key, "none");
        return;
    }
    osp_addr_print(&a, at, sizeof(at));
    (void)snprintf(text, sizeof(text), "http://%s", at);
    cfg_out_text(o, key, text);
}

const struct cfg_kind cfg_kind_status = { STATUS_FORM, read_status, print_status, NULL };

/* ---- names ---- */

#define NAME_FORM "a host name"

char *
cfg_host_name(struct cfg_load *l, const struct cfg_pos *pos, const struct cfg_path *path, const char *text, bool below)
{
    struct osp_target t;
    char              uri[OSP_TARGET_TEXT_MAX], show[CFG_SHOW_MAX];
    bool              ok;

    (void)snprintf(uri, sizeof(uri), "coap://%.260s", text);
    ok = strlen(text) <= 257 && osp_target_parse(osp_slice_str(uri), &t) == OSP_OK && t.port == 0 && strchr(text, ':') == NULL;
    if (!ok || (t.kind != OSP_TARGET_NAME && !(below && t.kind == OSP_TARGET_BELOW))) {
        cfg_error(l, pos, path, "\"%s\" is not a host name%s", cfg_show(text, show), below ? ", nor *. and a host name" : "");
        return NULL;
    }
    (void)snprintf(uri, sizeof(uri), "%s%s", t.kind == OSP_TARGET_BELOW ? "*." : "", t.name);
    return cfg_text(l, osp_slice_str(uri));
}

static void
read_names(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct osp_cfg        *cfg = obj;
    const struct cfg_node *c = NULL;
    size_t                 count = n && !(n->kind == CFG_LIST && n->count == 0) ? cfg_each(l, n, path, NAME_FORM, &c) : 0;
    char                 **all = count && count <= NAMES_MAX ? cfg_get(l, count * sizeof(*all)) : NULL;
    char                   show[CFG_SHOW_MAX];

    if (count > NAMES_MAX)
        cfg_error(l, &n->pos, path, "%zu names; at most %u", count, NAMES_MAX);
    for (size_t i = 0; all && i < count; i++, c = c->next) {
        struct cfg_path at = { path, NULL, i };
        const char     *text = cfg_scalar(l, c, &at, NAME_FORM);

        all[i] = text ? cfg_host_name(l, &c->pos, &at, text, false) : NULL;
        for (size_t k = 0; all[i] && k < i; k++) {
            if (all[k] && strcmp(all[k], all[i]) == 0)
                cfg_error(l, &c->pos, &at, "%s stands here twice", cfg_show(all[i], show));
        }
    }
    cfg->names = all;
    cfg->name_count = all ? count : 0;
}

static void
print_names(struct cfg_out *o, const char *key, const void *obj)
{
    const struct osp_cfg *cfg = obj;

    if (cfg->name_count == 0) {
        cfg_out_word(o, key, "[]");
        return;
    }
    cfg_out_begin(o, key);
    for (size_t i = 0; i < cfg->name_count; i++)
        cfg_out_text(o, NULL, cfg->names[i]);
    cfg_out_end(o);
}

const struct cfg_kind cfg_kind_names = { "a list of host names", read_names, print_names, NULL };

/* ---- hosts ---- */

static void
read_hosts(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct osp_cfg  *cfg = obj;
    struct cfg_host *all = NULL;
    size_t           i = 0;
    char             show[CFG_SHOW_MAX];

    if (n && n->kind != CFG_MAP) {
        cfg_error(l, &n->pos, path, "has to be a map: lines of the form \"name: address\"");
        return;
    }
    if (n && n->count > HOSTS_MAX) {
        cfg_error(l, &n->pos, path, "%zu hosts; at most %u", n->count, HOSTS_MAX);
        return;
    }
    if (n && n->count)
        all = cfg_get(l, n->count * sizeof(*all));
    for (const struct cfg_node *c = n ? n->first : NULL; all && c; c = c->next, i++) {
        struct cfg_path at = { path, c->key, 0 };
        const char     *ip = cfg_scalar(l, c, &at, "an IP address");

        all[i].name = cfg_host_name(l, &c->key_pos, &at, c->key, false);
        if (ip && !osp_ip_parse(osp_slice_str(ip), &all[i].ip))
            cfg_error(l, &c->pos, &at, "\"%s\" is not an IP address", cfg_show(ip, show));
        for (const struct cfg_node *b = n->first; b != c; b = b->next) {
            if (strcmp(b->key, c->key) != 0 && strcasecmp(b->key, c->key) == 0)
                cfg_error(l, &c->key_pos, &at, "is the same name as in line %u", b->key_pos.line);
        }
    }
    cfg->hosts = all;
    cfg->host_count = all ? i : 0;
}

static void
print_hosts(struct cfg_out *o, const char *key, const void *obj)
{
    const struct osp_cfg *cfg = obj;
    char                  ip[OSP_ADDR_TEXT_MAX];

    if (cfg->host_count == 0) {
        cfg_out_word(o, key, "{}");
        return;
    }
    cfg_out_begin(o, key);
    for (size_t i = 0; i < cfg->host_count; i++) {
        osp_ip_print(&cfg->hosts[i].ip, ip, sizeof(ip));
        cfg_out_entry(o, cfg->hosts[i].name, ip);
    }
    cfg_out_end(o);
}

const struct cfg_kind cfg_kind_hosts = { "a map of host names to IP addresses", read_hosts, print_hosts, NULL };
