/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UDP sockets, read and written in batches: one system call for up to 64 datagrams.
 *
 * For each datagram, a listener knows the address that it was sent to, so that the answer leaves from there.  The other sockets
 * are for our own requests.  Errors of the network (ICMP, a full send queue) count as loss; they are never fatal.  Everything
 * here but osp_udp_open() belongs to one thread.
 */
#ifndef OSP_DAEMON_OSPREYD_NET_UDP_H
#define OSP_DAEMON_OSPREYD_NET_UDP_H

#include "msg/txq.h"

#define OSP_UDP_BATCH 64

struct osp_udp_sock {
    int             fd;         /* -1: closed; datagrams to be sent through it are dropped */
    int             family;
    bool            listener;
    bool            tells;      /* bound to all addresses: the system says for each datagram to which one it was sent */
    struct osp_addr at;         /* the address it is bound to */
};

struct osp_udp_stats {
    uint64_t rx_datagrams, rx_batches, rx_truncated, rx_errors;
    uint64_t tx_datagrams, tx_batches, tx_errors, tx_full /* send queue of the system full */;
};

struct osp_udp_how {
    bool   listener;
    bool   share;               /* several sockets of this process are bound to this address */
    size_t receive_buffer;      /* bytes; 0: the default of the system */
};

/*
 * Opens a non-blocking socket bound to `at` (port 0: any; written to s->at).  An unspecified IPv6
 * address takes IPv4 too.
 *   OSP_E_EXISTS    the address is in use
 *   OSP_E_INVALID   anything else; errno says what
 */
OSP_CHECKED enum osp_err osp_udp_open(const struct osp_addr *at, const struct osp_udp_how *how, struct osp_udp_sock *s);
/* A socket that is closed already is fine. */
void osp_udp_close(struct osp_udp_sock *s);

/*
 * Finds out whether `at` is free; opening a socket with `share` would not notice.
 *   OSP_E_EXISTS   somebody is bound to it, perhaps this process
 *   OSP_E_INVALID  the address cannot be used; errno says why
 */
OSP_CHECKED enum osp_err osp_udp_probe(const struct osp_addr *at);

/* ---- batches ---- */

struct osp_udp_io;

/* Buffers for datagrams of up to `max` bytes; longer ones are dropped. OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_udp_io_new(size_t max, struct osp_udp_io **out);
void osp_udp_io_free(struct osp_udp_io *io);
const struct osp_udp_stats *osp_udp_io_stats(const struct osp_udp_io *io);

/* Reads one batch from `s`; returns the number of datagrams. */
size_t osp_udp_receive(struct osp_udp_io *io, const struct osp_udp_sock *s);

/*
 * Datagram `i` of the last batch, borrowed until the next batch, and where it came from and to (flow->sock is `index`).
 * False: it was truncated; skip it.
 */
bool osp_udp_datagram(struct osp_udp_io *io, const struct osp_udp_sock *s, size_t i, uint16_t index,
                      struct osp_flow *flow, struct osp_slice *bytes);

/* Sends all datagrams of `q`, in batches by socket (socks[flow.sock]), and empties `q`. */
void osp_udp_flush(struct osp_udp_io *io, const struct osp_udp_sock *socks, size_t count, struct osp_txq *q);

#endif
