/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small transport that is reliable, for OSP_TRANSPORT_TCP: the second implementation of the exchange interface, to show that
 * lib/proxy speaks to any.  Messages have the framing of TCP [rfc8323#3.2].  There is no connection, no time and no loss: what
 * the proxy sends is in a list at once, and the test says what comes back.
 */
#ifndef OSP_TESTS_TOY_H
#define OSP_TESTS_TOY_H

#include "msg/exchange.h"

#define TOY_LONGEST 65536
#define TOY_PLACES 16

/* A request that came in, or one that went out, while it is open. */
struct toy_open {
    uint64_t        handle;     /* 0: the place is free */
    uint64_t        user;
    struct osp_flow flow;
    struct osp_time deadline;
    uint8_t         token[8];
    uint8_t         token_len;
    bool            keep, has_deadline, answered, ours;
};

/* What the proxy sent, decoded; `m` borrows from `bytes`. */
struct toy_sent { struct osp_flow to; struct osp_msg m; size_t n; uint8_t bytes[TOY_LONGEST]; };

struct toy {
    struct osp_transport transport;
    struct osp_peer_can  can;
    uint64_t             next_handle;
    struct toy_open      open[TOY_PLACES];
    struct toy_sent     *sent[TOY_PLACES];      /* oldest first */
    size_t               sent_count;
    unsigned             confirmable;   /* requests and responses that asked for it: no matter here */
    struct osp_msg       msg;           /* of the event */
    uint8_t              bytes[TOY_LONGEST];
};

/* The transport, with nothing under way. */
struct osp_transport *toy_init(struct toy *t);

/* `m` comes in from `from`, in its framing: as a request, or as a response to what was sent with its Token. */
void toy_receive(struct toy *t, const struct osp_flow *from, const struct osp_msg *m, struct osp_event *ev);

/* The connection to `peer` is lost: ends one request that is open on it, and says so; false when there is none left. */
bool toy_lose(struct toy *t, const struct osp_addr *peer, struct osp_event *ev);

/* The next message that the proxy sent; fails when there is none.  Valid until toy_drop(). */
const struct toy_sent *toy_next(struct toy *t);
void toy_drop(struct toy *t);

/* How many requests are open, in both directions. */
size_t toy_open_count(const struct toy *t);

#endif
