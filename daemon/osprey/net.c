/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/osprey/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "daemon/common/sockaddr.h"

#define POOL_LIMIT (64u << 20)
#define CONTROL_CAP 64

struct osp_time
osprey_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (struct osp_time){ (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u };
}

static void
fill_random(void *ctx, uint8_t *dst, size_t n)
{
    (void)ctx;
    if (osp_crypto_random(dst, n) != OSP_OK) {
        fputs("osprey: the system gives no random bytes\n", stderr);
        abort();
    }
}

struct osp_rand
osprey_random(void)
{
    return (struct osp_rand){ fill_random, NULL };
}

/* ---- opening ---- */

static bool
complain(const char *what, const struct osp_addr *a)
{
    int  saved = errno;
    char text[OSP_ADDR_TEXT_MAX];

    osp_addr_print(a, text, sizeof(text));
    fprintf(stderr, "osprey: %s %s: %s\n", what, text, strerror(saved));
    return false;
}

/* Asks the system for the address that each request was sent to, so that the answer leaves from it. */
static void
want_pktinfo(const struct osprey_net *n)
{
    int on = 1;

    if (n->family == AF_INET)
        (void)setsockopt(n->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
    else
        (void)setsockopt(n->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
}

static bool
open_socket(struct osprey_net *n, const struct osp_addr *bind_to, const struct osp_addr *peer)
{
    const struct osp_addr  *a = bind_to ? bind_to : peer;
    struct sockaddr_storage sa;
    socklen_t               len;
    int                     off = 0;

    n->family = osp_addr_family(a);
    n->fd = socket(n->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (n->fd == -1)
        return complain("no socket for", a);
    if (bind_to && n->family == AF_INET6 && osp_ip_is_any(&a->ip))
        (void)setsockopt(n->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)); /* [::] serves IPv4 as well */
    len = osp_addr_to_sockaddr(a, n->family, &sa);
    if (bind_to && bind(n->fd, (struct sockaddr *)&sa, len) == -1)
        return complain("cannot listen on", a);
    if (!bind_to && connect(n->fd, (struct sockaddr *)&sa, len) == -1)
        return complain("cannot reach", a);
    n->connected = !bind_to;
    want_pktinfo(n);
    len = sizeof(sa);
    if (getsockname(n->fd, (struct sockaddr *)&sa, &len) == -1 || !osp_addr_from_sockaddr(&sa, &n->local))
        return complain("no address for", a);
    return true;
}

bool
osprey_net_open(struct osprey_net *n, const struct osp_addr *bind_to, const struct osp_addr *peer)
{
    struct osp_ep_cfg cfg;
    enum osp_err      e;

    memset(n, 0, sizeof(*n));
    n->fd = -1;
    if (!open_socket(n, bind_to, peer))
        return false;
    osp_ep_cfg_default(&cfg);
    cfg.max_datagram = OSP_DATAGRAM_MAX;
    cfg.max_messages = 4096;
    cfg.max_requests = 64;
    cfg.max_peers = 256;
    cfg.upstream_socks = 1;
    osp_pool_init(&n->pool, POOL_LIMIT);
    n->rx = malloc(OSP_DATAGRAM_MAX + 1);
    e = n->rx ? osp_txq_init(&n->tx, 64, 4 * (OSP_DATAGRAM_MAX + 1)) : OSP_E_NOMEM;
    if (e == OSP_OK)
        e = osp_ep_new(&cfg, osprey_random(), &n->pool, osprey_now(), &n->ep);
    if (e != OSP_OK) {
        fprintf(stderr, "osprey: %s\n", osp_err_text(e));
        osprey_net_close(n);
        return false;
    }
    return true;
}

void
osprey_net_close(struct osprey_net *n)
{
    if (n->ep) {
        osp_ep_free(n->ep);
        osp_txq_fini(&n->tx);
        osp_pool_fini(&n->pool);
    }
    free(n->rx);
    if (n->fd != -1)
        close(n->fd);
    memset(n, 0, sizeof(*n));
    n->fd = -1;
}

/* ---- signals ---- */

static volatile sig_atomic_t *stop_flag;

static void
on_signal(int sig)
{
    (void)sig;
    *stop_flag = 1;
}

/* The signals are blocked except during a wait, so that none is lost between reading the flag and the wait. */
void
osprey_net_stop_on_signals(struct osprey_net *n, volatile sig_atomic_t *flag)
{
    struct sigaction sa = { .sa_handler = on_signal };
    sigset_t         block;

    stop_flag = flag;
    n->stop = flag;
    sigemptyset(&sa.sa_mask);
    sigemptyset(&block);
    sigaddset(&block, SIGINT);
    sigaddset(&block, SIGTERM);
    sigprocmask(SIG_BLOCK, &block, &n->wait_mask);
    sigdelset(&n->wait_mask, SIGINT);
    sigdelset(&n->wait_mask, SIGTERM);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

/* ---- datagrams ---- */

static void
set_source(struct msghdr *mh, int family, const struct osp_flow *to, void *control, size_t cap)
{
    struct in_pktinfo  info4 = { 0 };
    struct in6_pktinfo info6 = { 0 };
    struct cmsghdr    *c;

    if (osp_ip_is_any(&to->local))
        return;
    memset(control, 0, cap);
    mh->msg_control = control;
    mh->msg_controllen = family == AF_INET ? CMSG_SPACE(sizeof(info4)) : CMSG_SPACE(sizeof(info6));
    c = CMSG_FIRSTHDR(mh);
    if (family == AF_INET) {
        memcpy(&info4.ipi_spec_dst, &to->local.b[12], 4);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info4));
        memcpy(CMSG_DATA(c), &info4, sizeof(info4));
    } else {
        memcpy(&info6.ipi6_addr, to->local.b, 16);
        info6.ipi6_ifindex = to->ifindex;
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info6));
        memcpy(CMSG_DATA(c), &info6, sizeof(info6));
    }
}

static void
send_one(struct osprey_net *n, const struct osp_tx *t)
{
    _Alignas(struct cmsghdr) uint8_t control[CONTROL_CAP];
    struct sockaddr_storage          sa;
    struct iovec                     iov = { .iov_len = t->bytes.n };
    struct msghdr                    mh = { .msg_iov = &iov, .msg_iovlen = 1 };

    memcpy(&iov.iov_base, &t->bytes.p, sizeof(iov.iov_base)); /* sendmsg() only reads it */
    if (!n->connected) {
        mh.msg_name = &sa;
        mh.msg_namelen = osp_addr_to_sockaddr(&t->to.peer, n->family, &sa);
        set_source(&mh, n->family, &t->to, control, sizeof(control));
    }
    if (n->wire)
        n->wire(n->wire_ctx, true, &t->to.peer, t->bytes);
    (void)sendmsg(n->fd, &mh, 0); /* an error counts as loss on the way */
}

void
osprey_net_flush(struct osprey_net *n)
{
    for (size_t i = 0; i < n->tx.count; i++)
        send_one(n, &n->tx.items[i]);
    osp_txq_reset(&n->tx);
}

static void
read_destination(struct msghdr *mh, struct osp_flow *from)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        struct in_pktinfo  info4;
        struct in6_pktinfo info6;

        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            memcpy(&info4, CMSG_DATA(c), sizeof(info4));
            from->local.b[10] = from->local.b[11] = 0xff;
            memcpy(&from->local.b[12], &info4.ipi_spec_dst, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            memcpy(&info6, CMSG_DATA(c), sizeof(info6));
            memcpy(from->local.b, &info6.ipi6_addr, 16);
            from->ifindex = info6.ipi6_ifindex;
        }
    }
}

/* Reads one datagram.  OSP_E_INCOMPLETE: there is none. */
static enum osp_err
receive_one(struct osprey_net *n, struct osp_flow *from, struct osp_slice *datagram)
{
    _Alignas(struct cmsghdr) uint8_t control[CONTROL_CAP * 2];
    struct sockaddr_storage          sa = { 0 };
    struct iovec                     iov = { n->rx, OSP_DATAGRAM_MAX + 1 };
    struct msghdr                    mh = { .msg_name = &sa, .msg_namelen = sizeof(sa), .msg_iov = &iov, .msg_iovlen = 1,
                                            .msg_control = control, .msg_controllen = sizeof(control) };
    ssize_t                          len = recvmsg(n->fd, &mh, 0);

    memset(from, 0, sizeof(*from));
    if (len == -1 && n->connected && (errno == ECONNREFUSED || errno == EHOSTUNREACH || errno == ENETUNREACH))
        return OSP_E_UNREACHABLE;
    if (len == -1 || (mh.msg_flags & MSG_TRUNC) || !osp_addr_from_sockaddr(&sa, &from->peer))
        return OSP_E_INCOMPLETE;
    read_destination(&mh, from);
    *datagram = osp_slice(n->rx, (size_t)len);
    return OSP_OK;
}

/* Waits until the socket can be read, a signal comes, or `until`. */
static void
wait_readable(struct osprey_net *n, struct osp_time until)
{
    struct pollfd   p = { .fd = n->fd, .events = POLLIN };
    uint64_t        us = osp_time_between(osprey_now(), until);
    struct timespec ts = { (time_t)(us / 1000000u), (long)(us % 1000000u) * 1000 };

    (void)ppoll(&p, 1, &ts, n->stop ? &n->wait_mask : NULL);
}

enum osp_err
osprey_net_wait(struct osprey_net *n, struct osp_time until, struct osp_event *ev)
{
    struct osp_slice datagram;
    struct osp_flow  from;
    enum osp_err     e;

    for (;;) {
        struct osp_time deadline = until, timer;

        ev->kind = OSP_EV_NONE;
        while (ev->kind == OSP_EV_NONE && osp_ep_expire(n->ep, osprey_now(), &n->tx, ev))
            osprey_net_flush(n);
        osprey_net_flush(n);
        if (ev->kind != OSP_EV_NONE)
            return OSP_OK;
        if (n->stop && *n->stop)
            return OSP_E_CANCELLED;
        if (osp_time_due(until, osprey_now()))
            return OSP_E_TIMEOUT;
        if (osp_ep_deadline(n->ep, &timer) && timer.us < deadline.us)
            deadline = timer;
        wait_readable(n, deadline);
        e = receive_one(n, &from, &datagram);
        if (e == OSP_E_UNREACHABLE)
            return e;
        if (e != OSP_OK)
            continue;
        if (n->wire)
            n->wire(n->wire_ctx, false, &from.peer, datagram);
        osp_ep_input(n->ep, &from, datagram, osprey_now(), &n->tx, ev);
        osprey_net_flush(n);
        if (ev->kind != OSP_EV_NONE)
            return OSP_OK;
    }
}
