/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/net/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/common/sockaddr.h"

#define CONTROL_BYTES 64        /* room for one pktinfo message of either family */
#define STRIDE_MORE 64          /* keeps the buffers at different offsets of their pages, so in different cache lines */

union control {
    struct cmsghdr align;
    uint8_t        bytes[CONTROL_BYTES];
};

struct osp_udp_io {
    struct mmsghdr          msg[OSP_UDP_BATCH];
    struct iovec            iov[OSP_UDP_BATCH];
    struct sockaddr_storage name[OSP_UDP_BATCH];
    union control           control[OSP_UDP_BATCH];
    struct mmsghdr          tx_msg[OSP_UDP_BATCH];
    struct iovec            tx_iov[OSP_UDP_BATCH];
    struct sockaddr_storage tx_name[OSP_UDP_BATCH];
    union control           tx_control[OSP_UDP_BATCH];
    struct osp_udp_stats    stats;
    size_t                  max, stride;
    uint8_t                *buffer;
};

/* ---- sockets ---- */

static bool
set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

static bool
set_options(int fd, int family, bool tells, const struct osp_udp_how *how)
{
    int bytes = how->receive_buffer > INT32_MAX ? INT32_MAX : (int)how->receive_buffer;

    if (family == AF_INET6 && !set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0))
        return false;
    if (how->share && !set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1))
        return false;
    if (tells && family == AF_INET6 && !set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1))
        return false;
    if (tells && family == AF_INET && !set_int(fd, IPPROTO_IP, IP_PKTINFO, 1))
        return false;
    /* SO_RCVBUFFORCE needs a capability; SO_RCVBUF is limited by net.core.rmem_max. */
    if (bytes && !set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes))
        (void)set_int(fd, SOL_SOCKET, SO_RCVBUF, bytes);
    return true;
}

static bool
read_name(int fd, struct osp_addr *out)
{
    struct sockaddr_storage sa;
    socklen_t               len = sizeof(sa);

    return getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && osp_addr_from_sockaddr(&sa, out);
}

enum osp_err
osp_udp_open(const struct osp_addr *at, const struct osp_udp_how *how, struct osp_udp_sock *s)
{
    struct osp_udp_sock     n = { .family = osp_addr_family(at), .listener = how->listener };
    struct sockaddr_storage sa;
    socklen_t               len;
    int                     saved;

    n.fd = socket(n.family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
    if (n.fd == -1)
        return OSP_E_INVALID;
    n.tells = how->listener && osp_ip_is_any(&at->ip); /* a socket bound to one address needs not be told which */
    len = osp_addr_to_sockaddr(at, n.family, &sa);
    if (set_options(n.fd, n.family, n.tells, how) && bind(n.fd, (struct sockaddr *)&sa, len) == 0 && read_name(n.fd, &n.at)) {
        *s = n;
        return OSP_OK;
    }
    saved = errno;
    (void)close(n.fd);
    errno = saved;
    return saved == EADDRINUSE ? OSP_E_EXISTS : OSP_E_INVALID;
}

void
osp_udp_close(struct osp_udp_sock *s)
{
    if (s->fd != -1)
        (void)close(s->fd);
    s->fd = -1;
}

enum osp_err
osp_udp_probe(const struct osp_addr *at)
{
    struct osp_udp_how  alone = { .listener = true };
    struct osp_udp_sock s;
    enum osp_err        e = osp_udp_open(at, &alone, &s);

    if (e == OSP_OK)
        osp_udp_close(&s);
    return e;
}

/* ---- receiving ---- */

enum osp_err
osp_udp_io_new(size_t max, struct osp_udp_io **out)
{
    struct osp_udp_io *io = calloc(1, sizeof(*io));

    if (!io)
        return OSP_E_NOMEM;
    io->max = max;
    io->stride = (max + STRIDE_MORE - 1) / STRIDE_MORE * STRIDE_MORE + STRIDE_MORE;
    io->buffer = calloc(OSP_UDP_BATCH, io->stride);
    if (!io->buffer) {
        free(io);
        return OSP_E_NOMEM;
    }
    for (size_t i = 0; i < OSP_UDP_BATCH; i++) {
        io->iov[i] = (struct iovec){ io->buffer + i * io->stride, max };
        io->msg[i].msg_hdr.msg_iov = &io->iov[i];
        io->msg[i].msg_hdr.msg_iovlen = 1;
        io->msg[i].msg_hdr.msg_name = &io->name[i];
    }
    *out = io;
    return OSP_OK;
}

void
osp_udp_io_free(struct osp_udp_io *io)
{
    if (!io)
        return;
    free(io->buffer);
    free(io);
}

const struct osp_udp_stats *
osp_udp_io_stats(const struct osp_udp_io *io)
{
    return &io->stats;
}

size_t
osp_udp_receive(struct osp_udp_io *io, const struct osp_udp_sock *s)
{
    int n;

    for (size_t i = 0; i < OSP_UDP_BATCH; i++) {
        struct msghdr *h = &io->msg[i].msg_hdr;

        h->msg_namelen = sizeof(io->name[i]);
        h->msg_control = s->tells ? &io->control[i] : NULL;
        h->msg_controllen = s->tells ? CONTROL_BYTES : 0;
        h->msg_flags = 0;
    }
    n = recvmmsg(s->fd, io->msg, OSP_UDP_BATCH, MSG_DONTWAIT, NULL);
    if (n <= 0) {
        /* An ICMP error of an earlier datagram, a signal, out of memory: try again next turn. */
        if (n == -1 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            io->stats.rx_errors++;
        return 0;
    }
    io->stats.rx_batches++;
    io->stats.rx_datagrams += (uint64_t)n;
    return (size_t)n;
}

/* The address of ours that a datagram was sent to; not for multicast. */
static void
read_local(struct msghdr *h, struct osp_flow *flow)
{
    struct in6_pktinfo six;
    struct in_pktinfo  four;
    struct osp_ip      ip = { { 0 } };

    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            memcpy(&six, CMSG_DATA(c), sizeof(six));
            memcpy(ip.b, &six.ipi6_addr, sizeof(ip.b));
            flow->ifindex = osp_ip_is_link_local(&ip) ? (uint32_t)six.ipi6_ifindex : 0;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            uint8_t b[4];

            memcpy(&four, CMSG_DATA(c), sizeof(four));
            memcpy(b, &four.ipi_addr, sizeof(b));
            ip = osp_ip_v4(b[0], b[1], b[2], b[3]);
        }
    }
    if (!osp_ip_is_multicast(&ip))
        flow->local = ip;
}

bool
osp_udp_datagram(struct osp_udp_io *io, const struct osp_udp_sock *s, size_t i, uint16_t index, struct osp_flow *flow,
                 struct osp_slice *bytes)
{
    struct msghdr *h = &io->msg[i].msg_hdr;

    if (h->msg_flags & MSG_TRUNC) {
        io->stats.rx_truncated++;
        return false;
    }
    memset(flow, 0, sizeof(*flow));
    flow->sock = index;
    if (!osp_addr_from_sockaddr(&io->name[i], &flow->peer) || flow->peer.port == 0)
        return false;
    if (s->tells)
        read_local(h, flow);
    else if (s->listener)
        flow->local = s->at.ip;
    *bytes = osp_slice(io->iov[i].iov_base, io->msg[i].msg_len);
    return true;
}

/* ---- sending ---- */

/* Sets the source address of message `i`. */
static void
write_local(struct osp_udp_io *io, size_t i, int family, const struct osp_flow *flow)
{
    struct msghdr     *h = &io->tx_msg[i].msg_hdr;
    struct cmsghdr    *c = &io->tx_control[i].align;
    struct in6_pktinfo six = { .ipi6_ifindex = flow->ifindex };
    struct in_pktinfo  four = { .ipi_ifindex = (int)flow->ifindex };

    memset(&io->tx_control[i], 0, sizeof(io->tx_control[i]));
    h->msg_control = c;
    if (family == AF_INET) {
        memcpy(&four.ipi_spec_dst, &flow->local.b[12], sizeof(four.ipi_spec_dst));
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(four));
        memcpy(CMSG_DATA(c), &four, sizeof(four));
        h->msg_controllen = CMSG_SPACE(sizeof(four));
    } else {
        memcpy(&six.ipi6_addr, flow->local.b, sizeof(six.ipi6_addr));
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(six));
        memcpy(CMSG_DATA(c), &six, sizeof(six));
        h->msg_controllen = CMSG_SPACE(sizeof(six));
    }
}

static bool
is_set(const struct osp_ip *ip)
{
    static const struct osp_ip none;

    return !osp_ip_eq(ip, &none);
}

/* Prepares message `i`.  False: the datagram cannot leave through a socket of this family. */
static bool
prepare(struct osp_udp_io *io, size_t i, const struct osp_udp_sock *s, const struct osp_tx *tx)
{
    struct msghdr *h = &io->tx_msg[i].msg_hdr;
    socklen_t      len = osp_addr_to_sockaddr(&tx->to.peer, s->family, &io->tx_name[i]);

    if (len == 0)
        return false;
    /* sendmmsg only reads, but struct iovec has no const */
    io->tx_iov[i].iov_base = (void *)(uintptr_t)tx->bytes.p;
    io->tx_iov[i].iov_len = tx->bytes.n;
    *h = (struct msghdr){ .msg_name = &io->tx_name[i], .msg_namelen = len, .msg_iov = &io->tx_iov[i], .msg_iovlen = 1 };
    if (s->tells && (is_set(&tx->to.local) || tx->to.ifindex))
        write_local(io, i, s->family, &tx->to);
    return true;
}

static void
send_batch(struct osp_udp_io *io, int fd, size_t n)
{
    size_t done = 0;

    while (done < n) {
        int sent = sendmmsg(fd, &io->tx_msg[done], (unsigned)(n - done), MSG_DONTWAIT | MSG_NOSIGNAL);

        io->stats.tx_batches++;
        if (sent > 0) {
            io->stats.tx_datagrams += (uint64_t)sent;
            done += (size_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            io->stats.tx_full += n - done; /* counts as loss, which retransmission mends */
            return;
        } else if (errno != EINTR) {
            io->stats.tx_errors++; /* the first datagram is unreachable, forbidden or too long: go on after it */
            done++;
        }
    }
}

/* Sends the items that go through socket `index`, from item `first` on, and marks them as sent. */
static void
flush_socket(struct osp_udp_io *io, const struct osp_udp_sock *s, uint16_t index, size_t first, struct osp_txq *q)
{
    size_t n = 0;

    for (size_t i = first; i < q->count; i++) {
        if (q->items[i].to.sock != index || !q->items[i].bytes.p)
            continue;
        if (!s || s->fd == -1 || !prepare(io, n, s, &q->items[i]))
            io->stats.tx_errors++;
        else
            n++;
        q->items[i].bytes.p = NULL;
        if (n == OSP_UDP_BATCH) {
            send_batch(io, s->fd, n);
            n = 0;
        }
    }
    if (n)
        send_batch(io, s->fd, n);
}

void
osp_udp_flush(struct osp_udp_io *io, const struct osp_udp_sock *socks, size_t count, struct osp_txq *q)
{
    for (size_t i = 0; i < q->count; i++) {
        uint16_t s = q->items[i].to.sock;

        if (q->items[i].bytes.p)
            flush_socket(io, s < count ? &socks[s] : NULL, s, i, q);
    }
    osp_txq_reset(q);
}
