/* SPDX-License-Identifier: BSD-2-Clause */
/* The sockets of a worker: those to listen at, which a change brings, and those for requests of ours, which it opens itself. */
#include "daemon/ospreyd/worker/impl.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/ospreyd/log.h"

#define PORT_RETRY_US OSP_SEC(1)        /* after one could not be opened */

static enum osp_err
grow(struct osp_worker *w, size_t count)
{
    struct osp_udp_sock *s = reallocarray(w->socks, count, sizeof(*s));
    struct port        **p;

    if (!s)
        return OSP_E_NOMEM;
    w->socks = s;
    p = reallocarray(w->ports, count, sizeof(*w->ports));
    if (!p)
        return OSP_E_NOMEM;
    w->ports = p;
    for (; w->sock_count < count; w->sock_count++) {
        w->socks[w->sock_count] = (struct osp_udp_sock){ .fd = -1 };
        w->ports[w->sock_count] = NULL;
    }
    return OSP_OK;
}

void
worker_close_port(struct osp_worker *w, uint16_t index)
{
    if (w->ports[index]) {
        osp_watch_free(w->ports[index]->watch);
        free(w->ports[index]);
        w->ports[index] = NULL;
    }
    osp_udp_close(&w->socks[index]);
}

/* Takes `s` over, also on an error. */
static enum osp_err
set_port(struct osp_worker *w, uint16_t index, struct osp_udp_sock *s)
{
    struct port *p;

    if (index >= w->sock_count && grow(w, (size_t)index + 1) != OSP_OK) {
        osp_udp_close(s);
        return OSP_E_NOMEM;
    }
    worker_close_port(w, index);
    w->socks[index] = *s;
    s->fd = -1;
    if (w->socks[index].fd == -1)
        return OSP_OK;
    p = calloc(1, sizeof(*p));
    if (p) {
        *p = (struct port){ .worker = w, .index = index };
        w->ports[index] = p;
        if (osp_watch_new(w->loop, w->socks[index].fd, worker_on_readable, p, &p->watch) == OSP_OK)
            return OSP_OK;
    }
    worker_close_port(w, index);
    return OSP_E_NOMEM;
}

/* Opens the next upstream port. */
enum osp_err
worker_open_upstream(struct osp_worker *w)
{
    struct osp_udp_how  how = { .receive_buffer = w->cfg.receive_buffer };
    struct osp_addr     any = { 0 };
    struct osp_udp_sock s;
    enum osp_err        e = osp_udp_open(&any, &how, &s);

    if (e != OSP_OK && errno == EAFNOSUPPORT) { /* a machine without IPv6 */
        any.ip = osp_ip_v4(0, 0, 0, 0);
        e = osp_udp_open(&any, &how, &s);
    }
    if (e == OSP_OK)
        e = set_port(w, (uint16_t)w->now.upstream_ports, &s);
    if (e == OSP_OK)
        w->now.upstream_ports++;
    return e;
}

enum osp_err
osp_worker_apply(struct osp_worker *w, struct osp_change *c)
{
    enum osp_err e = OSP_OK, first = OSP_OK;

    osp_proxy_set_policy(w->proxy, c->policy);
    for (size_t i = 0; i < c->slot_count; i++) {
        e = set_port(w, c->slots[i].index, &c->slots[i].sock);
        first = first == OSP_OK ? e : first;
    }
    osp_change_free(c);
    return first;
}

void
worker_open_ahead(struct osp_worker *w, const struct osp_ep_stats *ep, struct osp_time now)
{
    enum osp_err e;

    if (ep->socks_used < w->now.upstream_ports || w->now.upstream_ports >= w->cfg.upstream_ports ||
        !osp_time_due(w->port_retry, now))
        return;
    e = worker_open_upstream(w);
    if (e == OSP_OK) {
        osp_ep_set_socks(w->ep, (uint16_t)w->now.upstream_ports);
        return;
    }
    w->port_retry = osp_time_after(now, PORT_RETRY_US);
    if (osp_shortage_has_begun(&w->shortages.ports, ++w->now.ports_failed, now))
        log_warning("upstream-port-failed", "worker=%u open=%zu reason=%s", w->cfg.index, w->now.upstream_ports,
                    e == OSP_E_INVALID ? strerror(errno) : osp_err_text(e));
}
