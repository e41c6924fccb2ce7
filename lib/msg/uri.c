/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * URIs by way of libcoap, which splits and decodes well what is well-formed.  What it is given is
 * judged here first, because it
 *   - reads past the end at a "%" cut short, and may then never stop
 *   - takes upper-case schemes partly ("COAP:" but not "COAPS:"), and user info for a host
 *   - refuses a query without a path ("coap://h?q"), and cannot tell "?" from no query
 *   - drops "." and ".." segments instead of resolving them, and does not see them as "%2e"
 *   - drops what it cannot decode or has no room for without a word
 */
#include "msg/uri.h"

#include <coap3/coap.h>

#define SEGMENT_MAX 255         /* bytes of a Uri-Path or Uri-Query [rfc7252#5.10] */
#define OPT_HEAD_MAX 3          /* bytes of an option's head with delta 0 */

/* ---- schemes ---- */

static const struct {
    const char *name;
    uint16_t    port;
} schemes[OSP_SCHEME_UNKNOWN] = {
    [OSP_SCHEME_COAP] = { "coap", OSP_COAP_PORT },
    [OSP_SCHEME_COAPS] = { "coaps", OSP_COAPS_PORT },
    [OSP_SCHEME_COAP_TCP] = { "coap+tcp", OSP_COAP_PORT },
    [OSP_SCHEME_COAPS_TCP] = { "coaps+tcp", OSP_COAPS_PORT },
};

static uint8_t
lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

const char *
osp_scheme_name(enum osp_scheme s)
{
    return (unsigned)s < OSP_SCHEME_UNKNOWN ? schemes[s].name : NULL;
}

enum osp_scheme
osp_scheme_of(struct osp_slice name)
{
    for (unsigned s = 0; s < OSP_SCHEME_UNKNOWN; s++) {
        struct osp_slice want = osp_slice_str(schemes[s].name);
        size_t           i = 0;

        while (i < name.n && i < want.n && lower(name.p[i]) == want.p[i])
            i++;
        if (i == name.n && i == want.n)
            return (enum osp_scheme)s;
    }
    return OSP_SCHEME_UNKNOWN;
}

uint16_t
osp_scheme_port(enum osp_scheme s)
{
    return (unsigned)s < OSP_SCHEME_UNKNOWN ? schemes[s].port : OSP_COAP_PORT;
}

enum osp_transport_id
osp_scheme_transport(enum osp_scheme s)
{
    switch (s) {
    case OSP_SCHEME_COAP:
        return OSP_TRANSPORT_UDP;
    case OSP_SCHEME_COAPS:
        return OSP_TRANSPORT_DTLS;
    case OSP_SCHEME_COAP_TCP:
        return OSP_TRANSPORT_TCP;
    case OSP_SCHEME_COAPS_TCP:
        return OSP_TRANSPORT_TLS;
    case OSP_SCHEME_UNKNOWN:
        break;
    }
    return OSP_TRANSPORTS;
}

/* ---- characters [RFC 3986, 2] ---- */

static bool
is_alpha(uint8_t c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool
is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool
is_hex(uint8_t c)
{
    return osp_hex_digit(c) >= 0;
}

static bool
is_one_of(uint8_t c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

static bool
is_unreserved(uint8_t c)
{
    return is_alpha(c) || is_digit(c) || is_one_of(c, "-._~");
}

#define SUB_DELIMS "!$&'()*+,;="

/* True if `s` consists of unreserved characters, characters in `more`, and well-formed escapes. */
static bool
is_encoded(struct osp_slice s, const char *more)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%') {
            if (s.n - i < 3 || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
                return false;
            i += 2;
        } else if (!is_unreserved(s.p[i]) && !is_one_of(s.p[i], more)) {
            return false;
        }
    }
    return true;
}

/* The number of bytes before the first `c`; s.n if `s` has no `c`. */
static size_t
span_to(struct osp_slice s, uint8_t c)
{
    const uint8_t *at = s.n ? memchr(s.p, c, s.n) : NULL;

    return at ? (size_t)(at - s.p) : s.n;
}

/* ---- percent-decoding ---- */

typedef int (*split_fn)(const uint8_t *s, size_t n, unsigned char *buf, size_t *buf_len);

static size_t
decoded_len(struct osp_slice s)
{
    size_t n = s.n;

    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '%')
            n -= 2;
    return n;
}

/*
 * Appends to `w` one well-formed `piece`, decoded by libcoap into an option of delta 0 whose
 * value becomes *out.
 */
static enum osp_err
decode_piece(struct osp_slice piece, split_fn split, struct osp_wr *w, struct osp_slice *out)
{
    size_t        want = decoded_len(piece);
    size_t        n;
    uint8_t      *at;
    coap_option_t o;

    if (want > SEGMENT_MAX)
        return OSP_E_BAD_URI;
    n = coap_opt_encode_size(0, want);
    at = osp_wr_reserve(w, n);
    if (!at)
        return OSP_E_NOSPACE;
    if (split(piece.n ? piece.p : (const uint8_t *)"", piece.n, at, &n) != 1)
        return OSP_E_BAD_URI;
    if (coap_opt_parse(at, n, &o) != n || o.length != want)
        return OSP_E_BAD_URI;
    *out = want ? osp_slice(o.value, want) : OSP_EMPTY;
    return OSP_OK;
}

/* ---- authority ---- */

/*
 * Checks a decoded host and reads it as an address.  Control characters, blanks and an empty first
 * label are refused: nothing a resolver, a log or a rule such as "*.example.org" should ever see.
 */
static enum osp_err
fill_host(uint8_t *host, size_t n, bool brackets, struct osp_authority *a)
{
    if (n == 0 || n > OSP_HOST_MAX || host[0] == '.')
        return OSP_E_BAD_URI;
    for (size_t i = 0; i < n; i++) {
        if (host[i] <= ' ' || host[i] == 0x7f)
            return OSP_E_BAD_URI;
        host[i] = lower(host[i]);           /* [rfc7252#6.4] step 5 */
    }
    a->host = osp_slice(host, n);
    a->is_ip = osp_ip_parse(a->host, &a->ip);
    if (brackets && (!a->is_ip || span_to(a->host, ':') == n))
        return OSP_E_BAD_URI;
    return OSP_OK;
}

enum osp_err
osp_authority_make(enum osp_scheme scheme, struct osp_slice host, uint16_t port, uint8_t *storage, size_t cap,
                   struct osp_authority *out)
{
    struct osp_authority a = { .scheme = scheme, .port = port };
    bool                 brackets = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    enum osp_err         err;

    if (!osp_scheme_name(scheme) || port == 0)
        return OSP_E_BAD_URI;
    if (brackets)
        host = osp_slice_head(osp_slice_tail(host, 1), host.n - 2);
    if (!osp_slice_copy(host, storage, cap))
        return OSP_E_NOSPACE;
    err = fill_host(storage, host.n, brackets, &a);
    if (err)
        return err;
    *out = a;
    return OSP_OK;
}

/* The host of a URI, as split off by libcoap, `n` bytes at `host`, decoded in place. */
static enum osp_err
decode_host(uint8_t *host, size_t n, bool brackets, struct osp_authority *a)
{
    uint8_t          buf[OSP_HOST_MAX + OPT_HEAD_MAX];
    struct osp_wr    w = osp_wr_to(buf, sizeof(buf));
    struct osp_slice raw = osp_slice(host, n), plain = raw;
    enum osp_err     err;

    if (!brackets && !is_encoded(raw, SUB_DELIMS))
        return OSP_E_BAD_URI;
    if (!brackets && span_to(raw, '%') < n) {
        err = decode_piece(raw, coap_split_path, &w, &plain);
        if (err)
            return err;
        if (!osp_slice_copy(plain, host, n))
            return OSP_E_BAD_URI;
    }
    return fill_host(host, plain.n, brackets, a);
}

/* ---- splitting ---- */

/* The scheme in front of the first colon; an empty slice when there is none. */
static struct osp_slice
scheme_part(struct osp_slice text)
{
    struct osp_slice s = osp_slice_head(text, span_to(text, ':'));

    if (s.n == text.n || s.n == 0 || !is_alpha(s.p[0]))
        return OSP_EMPTY;
    for (size_t i = 1; i < s.n; i++)
        if (!is_alpha(s.p[i]) && !is_digit(s.p[i]) && !is_one_of(s.p[i], "+-."))
            return OSP_EMPTY;
    return s;
}

/* Splits "scheme://authority/path" in `base`, `n` bytes with the scheme in lower case. */
static enum osp_err
split_base(uint8_t *base, size_t n, size_t host_at, struct osp_uri *u)
{
    coap_uri_t   c;
    bool         brackets;
    enum osp_err err;

    if (coap_split_uri(base, n, &c) < 0 || c.port == 0)
        return OSP_E_BAD_URI;
    brackets = base[host_at] == '[';
    if (brackets)
        host_at++;
    err = decode_host(base + host_at, c.host.length, brackets, &u->to);
    if (err)
        return err;
    u->to.port = c.port;
    u->path = c.path.length ? osp_slice(c.path.s, c.path.length) : OSP_EMPTY;
    return is_encoded(u->path, SUB_DELIMS ":@/") ? OSP_OK : OSP_E_BAD_URI;
}

enum osp_err
osp_uri_split(struct osp_slice text, uint8_t *storage, size_t cap, struct osp_uri *out)
{
    struct osp_slice scheme = scheme_part(text);
    struct osp_slice base = osp_slice_head(text, span_to(text, '?'));
    struct osp_uri   u = { .to.scheme = osp_scheme_of(scheme) };
    enum osp_err     err;

    if (scheme.n == 0)
        return OSP_E_BAD_URI;
    if (u.to.scheme == OSP_SCHEME_UNKNOWN) {
        *out = u;
        return OSP_OK;
    }
    if (cap < text.n)
        return OSP_E_NOSPACE;
    u.has_query = base.n < text.n;
    u.query = osp_slice_tail(text, base.n + 1);
    if (!is_encoded(u.query, SUB_DELIMS ":@/?"))       /* a fragment too ends here [rfc7252#6.4] */
        return OSP_E_BAD_URI;
    if (base.n < scheme.n + 4 || memcmp(base.p + scheme.n, "://", 3) != 0)
        return OSP_E_BAD_URI;
    for (size_t i = 0; i < base.n; i++)
        storage[i] = i < scheme.n ? lower(base.p[i]) : base.p[i];
    err = split_base(storage, base.n, scheme.n + 3, &u);
    if (err)
        return err;
    *out = u;
    return OSP_OK;
}

/* ---- to options ---- */

struct pieces {
    struct osp_slice at[OSP_MSG_OPTS_MAX];
    size_t           count;
};

/* 1 for ".", 2 for "..", also where a dot is written "%2e"; 0 for everything else. */
static int
dots(struct osp_slice s)
{
    int n = 0;

    while (s.n > 0 && n < 3) {
        if (s.p[0] == '.')
            s = osp_slice_tail(s, 1);
        else if (s.n >= 3 && s.p[0] == '%' && s.p[1] == '2' && lower(s.p[2]) == 'e')
            s = osp_slice_tail(s, 3);
        else
            return 0;
        n++;
    }
    return n < 3 ? n : 0;
}

/* True if `s`, cut at its slashes, has a piece that is a dot segment; `escaped`: a dot may be written "%2e". */
static bool
has_dots(struct osp_slice s, bool escaped)
{
    for (bool more = s.n > 0; more;) {
        size_t           n = span_to(s, '/');
        struct osp_slice piece = osp_slice_head(s, n);

        if (dots(piece) > 0 && (escaped || piece.n < 3))
            return true;
        more = n < s.n;
        s = osp_slice_tail(s, n + 1);
    }
    return false;
}

bool
osp_path_has_dots(const struct osp_msg *m, uint16_t num)
{
    for (size_t i = 0; i < m->opt_count; i++)
        if (m->opts[i].num == num && has_dots(m->opts[i].val, false))
            return true;
    return false;
}

bool
osp_uri_has_dots(const struct osp_uri *uri)
{
    return has_dots(uri->path, true);
}

/*
 * The segments of a path, dot segments removed [RFC 3986, 5.2.4]: a Uri-Path is never "." or
 * "..", which the next hop might resolve in its own way [rfc7252#5.10.1].
 */
static enum osp_err
split_path(struct osp_slice path, struct pieces *s)
{
    bool more = path.n > 0;

    s->count = 0;
    while (more) {
        size_t           n = span_to(path, '/');
        struct osp_slice seg = osp_slice_head(path, n);
        int              d = dots(seg);

        more = n < path.n;
        path = osp_slice_tail(path, n + 1);
        if (d == 2 && s->count > 0)
            s->count--;
        if (d > 0 && more)
            continue;
        if (s->count == OSP_MSG_OPTS_MAX)
            return OSP_E_OPTION_COUNT;
        s->at[s->count++] = d > 0 ? OSP_EMPTY : seg;    /* "a/." and "a/.." end in a slash */
    }
    if (s->count == 1 && s->at[0].n == 0)   /* [rfc7252#6.4] step 8: "/" has no Uri-Path */
        s->count = 0;
    return OSP_OK;
}

/* The arguments of a query; "?" alone has one, an empty one [rfc7252#6.4] step 9. */
static enum osp_err
split_query(struct osp_slice query, struct pieces *s)
{
    bool more = true;

    for (s->count = 0; more; s->count++) {
        size_t n = span_to(query, '&');

        if (s->count == OSP_MSG_OPTS_MAX)
            return OSP_E_OPTION_COUNT;
        s->at[s->count] = osp_slice_head(query, n);
        more = n < query.n;
        query = osp_slice_tail(query, n + 1);
    }
    return OSP_OK;
}

static enum osp_err
decode_pieces(struct pieces *s, split_fn split, struct osp_wr *storage)
{
    for (size_t i = 0; i < s->count; i++) {
        enum osp_err err = decode_piece(s->at[i], split, storage, &s->at[i]);
        if (err)
            return err;
    }
    return OSP_OK;
}

static enum osp_err
add_pieces(struct osp_msg *m, uint16_t num, const struct pieces *s)
{
    for (size_t i = 0; i < s->count; i++) {
        enum osp_err err = osp_msg_add(m, num, s->at[i]);
        if (err)
            return err;
    }
    return OSP_OK;
}

enum osp_err
osp_uri_to_options(const struct osp_uri *uri, struct osp_msg *m, struct osp_wr *storage)
{
    struct pieces path, query = { .count = 0 };
    enum osp_err  err;

    if (!is_encoded(uri->path, SUB_DELIMS ":@/") || !is_encoded(uri->query, SUB_DELIMS ":@/?"))
        return OSP_E_BAD_URI;
    err = split_path(uri->path, &path);
    if (!err && uri->has_query)
        err = split_query(uri->query, &query);
    if (!err && path.count + query.count > (size_t)OSP_MSG_OPTS_MAX - m->opt_count)
        err = OSP_E_OPTION_COUNT;
    if (!err)
        err = decode_pieces(&path, coap_split_path, storage);
    if (!err)
        err = decode_pieces(&query, coap_split_query, storage);
    if (!err)
        err = add_pieces(m, OSP_OPT_URI_PATH, &path);
    if (!err)
        err = add_pieces(m, OSP_OPT_URI_QUERY, &query);
    return err;
}

/* ---- printing ---- */

/* One character, escaped unless unreserved or in `more`; whole or not at all. */
static void
print_char(struct osp_wr *w, uint8_t c, const char *more)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t           esc[3] = { '%', (uint8_t)digits[c >> 4], (uint8_t)digits[c & 15] };

    if (is_unreserved(c) || is_one_of(c, more))
        osp_wr_u8(w, c);
    else
        osp_wr_put(w, osp_slice(esc, sizeof(esc)));
}

static void
print_escaped(struct osp_wr *w, struct osp_slice s, const char *more)
{
    for (size_t i = 0; i < s.n; i++)
        print_char(w, s.p[i], more);
}

static void
print_str(struct osp_wr *w, const char *s)
{
    osp_wr_put(w, osp_slice_str(s));
}

static void
print_uint(struct osp_wr *w, uint32_t v)
{
    uint8_t text[10];
    size_t  at = sizeof(text);

    do {
        text[--at] = (uint8_t)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    osp_wr_put(w, osp_slice_tail(osp_slice(text, sizeof(text)), at));
}

static void
print_host(struct osp_wr *w, struct osp_slice host)
{
    struct osp_ip ip;
    bool          literal = span_to(host, ':') < host.n && osp_ip_parse(host, &ip);
    bool          brackets = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';

    if (brackets)
        literal = osp_ip_parse(osp_slice_head(osp_slice_tail(host, 1), host.n - 2), &ip);
    if (literal && !brackets)
        osp_wr_u8(w, '[');
    print_escaped(w, host, literal ? ":[]" : SUB_DELIMS);
    if (literal && !brackets)
        osp_wr_u8(w, ']');
}

static void
print_authority(struct osp_wr *w, const struct osp_msg *m, const struct osp_authority *dflt)
{
    const struct osp_opt *scheme = osp_msg_get(m, OSP_OPT_PROXY_SCHEME);
    const struct osp_opt *host = osp_msg_get(m, OSP_OPT_URI_HOST);
    const struct osp_opt *port = osp_msg_get(m, OSP_OPT_URI_PORT);
    const char           *name = osp_scheme_name(dflt->scheme);
    enum osp_scheme       s = scheme ? osp_scheme_of(scheme->val) : dflt->scheme;
    uint32_t              n = scheme ? osp_scheme_port(s) : dflt->port;

    if (scheme)
        print_escaped(w, scheme->val, "+");
    else
        print_str(w, name ? name : "coap");
    print_str(w, "://");
    print_host(w, host ? host->val : dflt->host);
    if (port && !osp_opt_uint(port->val, &n))
        n = osp_scheme_port(s);
    if (n != osp_scheme_port(s)) {
        osp_wr_u8(w, ':');
        print_uint(w, n);
    }
}

static void
print_options(struct osp_wr *w, const struct osp_msg *m)
{
    const struct osp_opt *last = NULL;

    if (!osp_msg_has(m, OSP_OPT_URI_PATH))  /* [rfc7252#6.5] step 7 */
        osp_wr_u8(w, '/');
    for (size_t i = 0; i < m->opt_count; i++) {
        const struct osp_opt *o = &m->opts[i];

        if (o->num == OSP_OPT_URI_PATH) {
            osp_wr_u8(w, '/');
            print_escaped(w, o->val, SUB_DELIMS ":@");
        } else if (o->num == OSP_OPT_URI_QUERY) {
            osp_wr_u8(w, last && last->num == OSP_OPT_URI_QUERY ? '&' : '?');
            print_escaped(w, o->val, "!$'()*+,;=:@/?");
        }
        last = o;
    }
}

void
osp_uri_print(const struct osp_msg *m, const struct osp_authority *dflt, char *dst, size_t cap)
{
    const struct osp_opt *whole = osp_msg_get(m, OSP_OPT_PROXY_URI);
    struct osp_wr         w = osp_wr_to(dst, cap - 1);

    if (whole) {                            /* it wins over Uri-* [rfc7252#5.10.2] */
        print_escaped(&w, whole->val, SUB_DELIMS ":/?#[]@%");
    } else {
        print_authority(&w, m, dflt);
        print_options(&w, m);
    }
    dst[w.n] = '\0';
}
