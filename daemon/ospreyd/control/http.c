/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/control/http.h"

#include <string.h>
#include <strings.h>

#include "base/addr.h"

static const struct { unsigned status; const char *reason; } reasons[] = {
    { 200, "OK" },          { 400, "Bad Request" },         { 404, "Not Found" },           { 405, "Method Not Allowed" },
    { 421, "Misdirected Request" },                         { 500, "Internal Server Error" },
    { 503, "Service Unavailable" },                         { 505, "HTTP Version Not Supported" },
};

static bool
is(struct osp_slice s, const char *text)
{
    return s.n == strlen(text) && strncasecmp((const char *)s.p, text, s.n) == 0;
}

/* Takes the text before the next `end` off `rest`, and that byte; without such a byte, all of `rest`. */
static struct osp_slice
take(struct osp_slice *rest, char end)
{
    const uint8_t   *at = rest->n ? memchr(rest->p, end, rest->n) : NULL;
    size_t           n = at ? (size_t)(at - rest->p) : rest->n;
    struct osp_slice got = osp_slice_head(*rest, n);

    *rest = osp_slice_tail(*rest, at ? n + 1 : n);
    return got;
}

static struct osp_slice
take_line(struct osp_slice *rest)
{
    struct osp_slice l = take(rest, '\n');

    if (l.n > 0 && l.p[l.n - 1] == '\r')
        l.n--;
    return l;
}

static struct osp_slice
trim(struct osp_slice s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = osp_slice_tail(s, 1);
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

bool
osp_http_is_complete(struct osp_slice text)
{
    struct osp_slice rest = text;

    while (rest.n > 0) {
        const uint8_t   *at = memchr(rest.p, '\n', rest.n);
        struct osp_slice l;

        if (!at)
            return false;
        l = take_line(&rest);
        if (l.n == 0)
            return true;
    }
    return false;
}

/* The host of "[::1]:9683" or "proxy.example:9683", without brackets and port. */
static struct osp_slice
without_port(struct osp_slice s)
{
    if (s.n > 0 && s.p[0] == '[') {
        s = osp_slice_tail(s, 1);
        return take(&s, ']');
    }
    return take(&s, ':');
}

/* [rfc9112#3.2] Reads the origin form or the absolute form; the authority of the latter counts instead of the Host field. */
static bool
read_target(struct osp_slice target, struct osp_http_request *r)
{
    static const char scheme[] = "http://";
    size_t            n = sizeof(scheme) - 1;

    target = take(&target, '?');
    if (target.n > n && strncasecmp((const char *)target.p, scheme, n) == 0) {
        struct osp_slice rest = osp_slice_tail(target, n), authority = take(&rest, '/');

        r->host = without_port(authority);
        r->path = authority.n + n < target.n ? osp_slice_tail(target, n + authority.n) : osp_slice_str("/");
        return r->host.n > 0;
    }
    r->path = target;
    return target.n > 0 && target.p[0] == '/';
}

static unsigned
read_fields(struct osp_slice rest, bool absolute, struct osp_http_request *r)
{
    bool has_host = false;

    for (;;) {
        struct osp_slice value = take_line(&rest), name;

        if (value.n == 0)
            return 0;
        name = take(&value, ':');
        if (!is(name, "Host"))
            continue;
        if (has_host)           /* [rfc9112#3.2] */
            return 400;
        has_host = true;
        if (!absolute)
            r->host = without_port(trim(value));
    }
}

unsigned
osp_http_read(struct osp_slice text, struct osp_http_request *out)
{
    struct osp_http_request r = { .host = OSP_EMPTY };
    struct osp_slice        rest = text, line = take_line(&rest), method = take(&line, ' '), target = take(&line, ' ');
    unsigned                refusal;

    if (!is(line, "HTTP/1.1") && !is(line, "HTTP/1.0"))
        return line.n >= 5 && memcmp(line.p, "HTTP/", 5) == 0 ? 505 : 400;
    r.head = is(method, "HEAD");
    if (!r.head && !is(method, "GET"))
        return 405;
    if (!read_target(target, &r))
        return 400;
    refusal = read_fields(rest, r.host.n > 0, &r);
    if (refusal)
        return refusal;
    if (r.host.n == 0 && is(line, "HTTP/1.1"))
        return 400;
    *out = r;
    return 0;
}

bool
osp_http_host_is_ours(struct osp_slice host, char *const *names, size_t count)
{
    struct osp_ip ip;

    if (is(host, "localhost") || osp_ip_parse(host, &ip))
        return true;
    for (size_t i = 0; i < count; i++)
        if (is(host, names[i]))
            return true;
    return false;
}

void
osp_http_head(FILE *to, unsigned status, const char *type, const char *more, size_t n)
{
    const char *reason = "";

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            reason = reasons[i].reason;
    (void)fprintf(to, "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n", status,
                  reason, type, n, more);
}
