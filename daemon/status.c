/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>

#define HEADERS_MAX 8192
#define BODY_MAX 1024
#define TIMEOUT_S 10

struct osp_status {
    struct evhttp     *http;
    struct osp_daemon *daemon;
};

/* Sends what `fill` writes. */
static void
answer(struct evhttp_request *req, int code, const char *reason, const char *type, void (*fill)(struct osp_daemon *, FILE *),
       struct osp_daemon *d)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    struct evbuffer  *out = evhttp_request_get_output_buffer(req);
    char             *text = NULL;
    size_t            n = 0;
    FILE             *to = open_memstream(&text, &n);

    if (!to) {
        evhttp_send_error(req, HTTP_INTERNAL, NULL);
        return;
    }
    fill(d, to);
    if (fclose(to) != 0 || evbuffer_add(out, text, n) != 0) {
        free(text);
        evhttp_send_error(req, HTTP_INTERNAL, NULL);
        return;
    }
    free(text);
    (void)evhttp_add_header(headers, "Content-Type", type);
    (void)evhttp_add_header(headers, "Cache-Control", "no-store");
    (void)evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    (void)evhttp_add_header(headers, "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
    evhttp_send_reply(req, code, reason, NULL);
}

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

/* The "key: value" lines as a table. */
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

static void
on_page(struct evhttp_request *req, void *arg)
{
    struct osp_status *s = arg;
    const char        *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));

    if (!path || strcmp(path, "/") == 0 || *path == '\0')
        answer(req, HTTP_OK, "OK", "text/html; charset=utf-8", fill_page, s->daemon);
    else if (strcmp(path, "/metrics") == 0)
        answer(req, HTTP_OK, "OK", "text/plain; version=0.0.4; charset=utf-8", fill_metrics, s->daemon);
    else if (strcmp(path, "/healthz") != 0)
        evhttp_send_error(req, HTTP_NOTFOUND, NULL);
    else if (osp_daemon_is_healthy(s->daemon))
        answer(req, HTTP_OK, "OK", "text/plain; charset=utf-8", fill_health, s->daemon);
    else
        answer(req, HTTP_SERVUNAVAIL, "Service Unavailable", "text/plain; charset=utf-8", fill_sick, s->daemon);
}

enum osp_err
osp_status_new(struct osp_loop *l, const struct osp_addr *at, struct osp_daemon *d, struct osp_status **out,
               char why[OSP_STORE_WHY_MAX])
{
    struct osp_status *s = calloc(1, sizeof(*s));
    char               ip[OSP_ADDR_TEXT_MAX];

    osp_ip_print(&at->ip, ip, sizeof(ip));
    if (s)
        s->http = evhttp_new(osp_loop_base(l));
    if (!s || !s->http) {
        free(s);
        (void)snprintf(why, OSP_STORE_WHY_MAX, "status: out of memory");
        return OSP_E_NOMEM;
    }
    s->daemon = d;
    evhttp_set_max_headers_size(s->http, HEADERS_MAX);
    evhttp_set_max_body_size(s->http, BODY_MAX);
    evhttp_set_timeout(s->http, TIMEOUT_S);
    evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_gencb(s->http, on_page, s);
    if (evhttp_bind_socket(s->http, ip, at->port) != 0) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "status http://%s port %u: %s", ip, at->port, strerror(errno));
        osp_status_free(s);
        return OSP_E_INVALID;
    }
    *out = s;
    return OSP_OK;
}

void
osp_status_free(struct osp_status *s)
{
    if (!s)
        return;
    evhttp_free(s->http);
    free(s);
}
