/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/control/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/common/sockaddr.h"
#include "daemon/ospreyd/daemon_impl.h"
#include "daemon/ospreyd/control/http.h"
#include "daemon/ospreyd/control/oneshot.h"

#define CONNECTIONS_MAX 32
#define REQUEST_MAX 4095
#define DEADLINE_US OSP_SEC(10)
#define BACKLOG 64

#define FIELDS "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n" \
               "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"

struct osp_status {
    struct osp_oneshot *connections;
    struct osp_daemon  *daemon;
    uint64_t            foreign;        /* requests under a host name that is not ours */
};

static void
fill_metrics(struct osp_daemon *d, FILE *to)
{
    struct osp_metrics m;

    osp_daemon_metrics(d, &m);
    osp_metrics_render(&m, to);
}

static void
fill_health(struct osp_daemon *d, FILE *to)
{
    (void)d;
    (void)fprintf(to, "ok\n");
}

static void
fill_sick(struct osp_daemon *d, FILE *to)
{
    (void)d;
    (void)fprintf(to, "stopping, or a worker does not answer\n");
}

static void
put_escaped(FILE *to, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        switch (s[i]) {
        case '<': (void)fputs("&lt;", to); break;
        case '>': (void)fputs("&gt;", to); break;
        case '&': (void)fputs("&amp;", to); break;
        case '"': (void)fputs("&quot;", to); break;
        default: (void)fputc(s[i], to); break;
        }
    }
}

/* Writes "key: value" lines as rows of an HTML table. */
static void
put_table(FILE *to, const char *lines)
{
    while (*lines) {
        size_t n = strcspn(lines, "\n"), key = strcspn(lines, ":");

        if (key < n) {
            (void)fputs("<tr><th>", to);
            put_escaped(to, lines, key);
            (void)fputs("</th><td>", to);
            put_escaped(to, lines + key + 1, n - key - 1);
            (void)fputs("</td></tr>\n", to);
        }
        lines += n + (lines[n] == '\n');
    }
}

static void
fill_page(struct osp_daemon *d, FILE *to)
{
    char  *lines = NULL;
    size_t n = 0;
    FILE  *status = open_memstream(&lines, &n);

    if (status)
        osp_daemon_status(d, status);
    (void)fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Osprey</title><style>"
                "body{font:16px/1.5 sans-serif;max-width:48em;margin:2em auto;padding:0 1em}"
                "th{text-align:left;font-weight:normal;color:#555;padding-right:2em;vertical-align:top}"
                "td{font-variant-numeric:tabular-nums}</style></head><body>\n<h1>Osprey</h1>\n<table>\n", to);
    if (status && fclose(status) == 0 && lines)
        put_table(to, lines);
    (void)fputs("</table>\n<p><a href=\"/metrics\">metrics</a> &middot; <a href=\"/healthz\">health</a></p>\n</body></html>\n",
                to);
    free(lines);
}

/* ---- answers ---- */

static void
fill_refusal(struct osp_daemon *d, FILE *to)
{
    (void)d;
    (void)fputs("no such page, or not asked for as it should be\n", to);
}

struct page { unsigned status; const char *type; void (*fill)(struct osp_daemon *, FILE *); };

static struct page
page_of(const struct osp_status *s, struct osp_slice path)
{
    static const char text[] = "text/plain; charset=utf-8";

    if (osp_slice_eq(path, osp_slice_str("/")))
        return (struct page){ 200, "text/html; charset=utf-8", fill_page };
    if (osp_slice_eq(path, osp_slice_str("/metrics")))
        return (struct page){ 200, "text/plain; version=0.0.4; charset=utf-8", fill_metrics };
    if (!osp_slice_eq(path, osp_slice_str("/healthz")))
        return (struct page){ 404, text, fill_refusal };
    if (osp_daemon_is_healthy(s->daemon))
        return (struct page){ 200, text, fill_health };
    return (struct page){ 503, text, fill_sick };
}

/* Makes the answer to a request; false: out of memory. */
static bool
write_page(const struct osp_status *s, const struct page *p, bool head, struct osp_oneshot_answer *out)
{
    struct osp_oneshot_answer body = { 0 };
    FILE                     *to = open_memstream(&body.text, &body.n), *all;
    bool                      ok = to != NULL;

    if (to)
        p->fill(s->daemon, to);
    ok = ok && fclose(to) == 0;
    all = ok ? open_memstream(&out->text, &out->n) : NULL;
    if (all) {
        osp_http_head(all, p->status, p->type, FIELDS, body.n);
        if (!head)
            (void)fwrite(body.text, 1, body.n, all);
        ok = fclose(all) == 0;
    }
    free(body.text);
    return ok && all;
}

static enum osp_oneshot_verdict
ask(void *ctx, int fd, char *text, size_t n, struct osp_oneshot_answer *out)
{
    struct osp_status      *s = ctx;
    const struct osp_cfg   *cfg = osp_daemon_cfg(s->daemon);
    struct osp_slice        all = osp_slice(text, n);
    struct osp_http_request r = { .head = false };
    struct page             p = { 0, "text/plain; charset=utf-8", fill_refusal };

    (void)fd;
    if (!osp_http_is_complete(all))
        return OSP_ONESHOT_MORE;
    p.status = osp_http_read(all, &r);
    if (p.status == 0 && r.host.n > 0 && !osp_http_host_is_ours(r.host, cfg->names, cfg->name_count)) {
        s->foreign++;
        p.status = 421;
    }
    if (p.status == 0)
        p = page_of(s, r.path);
    return write_page(s, &p, r.head, out) ? OSP_ONESHOT_ANSWER : OSP_ONESHOT_DROP;
}

/* ---- the socket ---- */

/* Opens the listening socket; -1: errno says why. */
static int
listen_at(const struct osp_addr *at)
{
    struct sockaddr_storage sa;
    int                     family = osp_addr_family(at), on = 1, saved;
    socklen_t               len = osp_addr_to_sockaddr(at, family, &sa);
    int                     fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd == -1)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 && bind(fd, (struct sockaddr *)&sa, len) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

enum osp_err
osp_status_new(struct osp_loop *l, const struct osp_addr *at, struct osp_daemon *d, struct osp_status **out,
               char why[OSP_STORE_WHY_MAX])
{
    struct osp_status     *s = calloc(1, sizeof(*s));
    struct osp_oneshot_cfg cfg = { .name = "status", .fd = listen_at(at), .connections = CONNECTIONS_MAX,
                                   .question_max = REQUEST_MAX, .deadline_us = DEADLINE_US, .ask = ask, .ctx = s };
    char                   ip[OSP_ADDR_TEXT_MAX];

    if (cfg.fd == -1) {
        osp_ip_print(&at->ip, ip, sizeof(ip));
        (void)snprintf(why, OSP_STORE_WHY_MAX, "status http://%s port %u: %s", ip, at->port, strerror(errno));
        free(s);
        return OSP_E_INVALID;
    }
    if (!s || osp_oneshot_new(l, &cfg, &s->connections) != OSP_OK) {
        if (!s)
            (void)close(cfg.fd);
        free(s);
        (void)snprintf(why, OSP_STORE_WHY_MAX, "status: out of memory");
        return OSP_E_NOMEM;
    }
    s->daemon = d;
    *out = s;
    return OSP_OK;
}

struct osp_oneshot_stats
osp_status_stats(const struct osp_status *s, uint64_t *foreign)
{
    *foreign = s ? s->foreign : 0;
    return osp_oneshot_stats(s ? s->connections : NULL);
}

void
osp_status_free(struct osp_status *s)
{
    if (!s)
        return;
    osp_oneshot_free(s->connections);
    free(s);
}
