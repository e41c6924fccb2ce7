/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Patterns of authorities.  Text that is not clearly of one of the forms is refused: a pattern decides which
 * client may reach which host, so a wrong guess would open or close the wrong door.
 */
#include "msg/target.h"

#include <stdio.h>

#include "base/glob.h"

#define V4_BITS 96u             /* where an IPv4 address begins in its mapped form */
#define IP_BITS 128u

/* The number of bytes before the first `c`; s.n if `s` has no `c`. */
static size_t
span_to(struct osp_slice s, uint8_t c)
{
    const uint8_t *at = s.n ? memchr(s.p, c, s.n) : NULL;

    return at ? (size_t)(at - s.p) : s.n;
}

/* A decimal number up to `max`, without leading zeroes. */
static bool
parse_number(struct osp_slice s, unsigned max, unsigned *out)
{
    unsigned v = 0;

    if (s.n == 0 || (s.n > 1 && s.p[0] == '0'))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (unsigned)(s.p[i] - '0');
        if (v > max)
            return false;
    }
    *out = v;
    return true;
}

/* Clears what follows the first `bits`. */
static void
mask(struct osp_ip *ip, unsigned bits)
{
    for (unsigned i = bits / 8; i < sizeof(ip->b); i++) {
        unsigned keep = i == bits / 8 ? 0xff00u >> bits % 8 : 0;

        ip->b[i] = (uint8_t)(ip->b[i] & keep);
    }
}

/* "address" or "address/bits"; an IPv4 length counts from the start of the IPv4 address. */
static bool
parse_net(struct osp_slice text, struct osp_target *t)
{
    size_t           n = span_to(text, '/');
    struct osp_slice ip = osp_slice_head(text, n);
    bool             dotted = span_to(ip, ':') == ip.n;
    unsigned         skip = dotted ? V4_BITS : 0, bits = IP_BITS - skip;

    if (!osp_ip_parse(ip, &t->net))
        return false;
    if (n < text.n && !parse_number(osp_slice_tail(text, n + 1), IP_BITS - skip, &bits))
        return false;
    t->kind = OSP_TARGET_NET;
    t->bits = skip + bits;
    mask(&t->net, t->bits);
    return true;
}

static bool
parse_name(struct osp_slice text, struct osp_target *t)
{
    struct osp_authority a;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == 0 || strchr("/?#[]@:*%\\\"<>^`{|}", text.p[i]) != NULL)
            return false;
    }
    if (osp_authority_make(OSP_SCHEME_COAP, text, OSP_COAP_PORT, (uint8_t *)t->name, sizeof(t->name) - 1, &a) != OSP_OK)
        return false;
    t->name[a.host.n] = '\0';
    return !a.is_ip;
}

static bool
parse_host(struct osp_slice text, bool brackets, struct osp_target *t)
{
    static const struct osp_slice star = { (const uint8_t *)"*", 1 }, below = { (const uint8_t *)"*.", 2 };

    if (brackets)
        return parse_net(text, t);
    if (osp_slice_eq(text, star)) {
        t->kind = OSP_TARGET_ANY;
        return true;
    }
    if (osp_slice_eq(osp_slice_head(text, 2), below)) {
        t->kind = OSP_TARGET_BELOW;
        return parse_name(osp_slice_tail(text, 2), t);
    }
    if (parse_net(text, t))
        return true;
    t->kind = OSP_TARGET_NAME;
    return parse_name(text, t);
}

/* "host", "host:port", "[address]", "[address]:port" */
static bool
parse_authority(struct osp_slice text, struct osp_target *t)
{
    bool             brackets = text.n > 0 && text.p[0] == '[';
    size_t           n = span_to(text, brackets ? ']' : ':');
    struct osp_slice host = osp_slice_head(text, n), rest = osp_slice_tail(text, n);
    unsigned         port = 0;

    if (brackets) {
        if (rest.n == 0)
            return false;
        host = osp_slice_tail(host, 1);
        rest = osp_slice_tail(rest, 1);
    }
    if (rest.n > 0 && (rest.p[0] != ':' || !parse_number(osp_slice_tail(rest, 1), UINT16_MAX, &port) || port == 0))
        return false;
    t->port = (uint16_t)port;
    return parse_host(host, brackets, t);
}

enum osp_err
osp_target_parse(struct osp_slice text, struct osp_target *out)
{
    struct osp_target t;
    size_t            n = span_to(text, ':');

    memset(&t, 0, sizeof(t));           /* padding too: equal patterns are equal bytes */
    t.scheme = OSP_SCHEME_UNKNOWN;
    if (text.n == 1 && text.p[0] == '*') {
        *out = t;
        return OSP_OK;
    }
    t.scheme = osp_scheme_of(osp_slice_head(text, n));
    if (t.scheme == OSP_SCHEME_UNKNOWN || !osp_slice_eq(osp_slice_head(osp_slice_tail(text, n), 3), osp_slice_str("://")))
        return OSP_E_BAD_URI;
    if (!parse_authority(osp_slice_tail(text, n + 3), &t))
        return OSP_E_BAD_URI;
    if (t.kind != OSP_TARGET_NAME && t.kind != OSP_TARGET_BELOW)
        memset(t.name, 0, sizeof(t.name));
    *out = t;
    return OSP_OK;
}

static bool
is_v4_net(const struct osp_target *t)
{
    return osp_ip_is_v4(&t->net) && t->bits >= V4_BITS;
}

/* An IPv6 network does not cover IPv4 addresses: "[::/0]" must not open what "0.0.0.0/0" would. */
bool
osp_target_names_ip(const struct osp_target *t, const struct osp_ip *ip)
{
    return t->kind == OSP_TARGET_NET && osp_ip_is_v4(ip) == is_v4_net(t) && osp_ip_in_prefix(ip, &t->net, t->bits);
}

static bool
is_below(struct osp_slice host, struct osp_slice name)
{
    struct osp_slice tail;

    if (host.n < name.n + 2)            /* a label and a dot in front */
        return false;
    tail = osp_slice_tail(host, host.n - name.n - 1);
    return tail.p[0] == '.' && osp_slice_eq(osp_slice_tail(tail, 1), name);
}

bool
osp_target_match(const struct osp_target *t, const struct osp_authority *a)
{
    if (t->scheme != OSP_SCHEME_UNKNOWN && t->scheme != a->scheme)
        return false;
    if (t->port != 0 && t->port != a->port)
        return false;
    switch (t->kind) {
    case OSP_TARGET_ANY:
        return true;
    case OSP_TARGET_NAME:
        return !a->is_ip && osp_slice_eq(a->host, osp_slice_str(t->name));
    case OSP_TARGET_BELOW:
        return !a->is_ip && is_below(a->host, osp_slice_str(t->name));
    case OSP_TARGET_NET:
        return a->is_ip && osp_target_names_ip(t, &a->ip);
    }
    return false;
}

static void
print_net(struct osp_wr *w, const struct osp_target *t)
{
    bool     v4 = is_v4_net(t);
    unsigned bits = v4 ? t->bits - V4_BITS : t->bits;
    char     ip[OSP_ADDR_TEXT_MAX], text[OSP_ADDR_TEXT_MAX + 8];

    osp_ip_print(&t->net, ip, sizeof(ip));
    if (t->bits == IP_BITS)
        (void)snprintf(text, sizeof(text), v4 ? "%.45s" : "[%.45s]", ip);
    else
        (void)snprintf(text, sizeof(text), v4 ? "%.45s/%u" : "[%.45s/%u]", ip, bits);
    osp_wr_put(w, osp_slice_str(text));
}

void
osp_target_print(const struct osp_target *t, char *dst, size_t cap)
{
    struct osp_wr w = osp_wr_to(dst, cap - 1);
    const char   *scheme = osp_scheme_name(t->scheme);
    char          port[8];

    if (scheme) {
        osp_wr_put(&w, osp_slice_str(scheme));
        osp_wr_put(&w, osp_slice_str("://"));
    }
    if (t->kind == OSP_TARGET_NET)
        print_net(&w, t);
    else if (t->kind != OSP_TARGET_NAME)
        osp_wr_put(&w, osp_slice_str(t->kind == OSP_TARGET_ANY ? "*" : "*."));
    if (t->kind == OSP_TARGET_NAME || t->kind == OSP_TARGET_BELOW)
        osp_wr_put(&w, osp_slice_str(t->name));
    if (t->port != 0) {
        (void)snprintf(port, sizeof(port), ":%u", (unsigned)t->port);
        osp_wr_put(&w, osp_slice_str(port));
    }
    dst[w.n] = '\0';
}

bool
osp_glob_match(const char *pattern, const char *text)
{
    return osp_glob(osp_slice_str(pattern), osp_slice_str(text));
}
