/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The message layer of CoAP over UDP [rfc7252#4] [rfc7252#5.2] [rfc7252#5.3], both roles, as a state
 * machine without I/O.
 *
 * Datagrams and the time go in; datagrams (into a txq), at most one event a call, and the next
 * deadline come out.  One endpoint belongs to one worker and serves all its sockets.
 *
 *   server role   A request comes up as OSP_EV_REQUEST with a handle.  The caller answers it with
 *                 osp_ep_respond() in the same call chain (the answer is then piggybacked) or later
 *                 (an empty ACK has been sent by then, the answer is a separate response), or lets
 *                 it go with osp_ep_dismiss().  Duplicates are answered from the stored reply with
 *                 the same bytes and never come up.
 *   client role   osp_ep_request() sends; exactly one OSP_EV_RESPONSE or OSP_EV_FAILED comes back for
 *                 it (more responses only for a request sent with `keep`).
 *
 * Events and what a request or a response asks for are those of the exchange interface (msg/exchange.h): a confirmable one
 * is a CON.  osp_ep_transport() makes the endpoint a transport of it.
 *
 * Memory comes from the pool; all tables are bounded by the configuration.
 */
#ifndef OSP_MSG_ENDPOINT_H
#define OSP_MSG_ENDPOINT_H

#include "base/pool.h"
#include "base/rand.h"
#include "base/share.h"
#include "base/time.h"
#include "msg/exchange.h"
#include "msg/txq.h"

struct osp_ep_cfg {             /* osp_ep_cfg_default() fills it; times in microseconds */
    uint64_t ack_timeout_us;            /* 2 s */
    unsigned ack_random_percent;        /* ACK_RANDOM_FACTOR 1.5 = 150 */
    unsigned max_retransmit;            /* 4 */
    uint64_t early_ack_us;              /* empty ACK when no answer by then: 500 ms */
    uint64_t exchange_lifetime_us;      /* 247 s */
    uint64_t non_lifetime_us;           /* 145 s */
    unsigned nstart;                    /* CON requests outstanding per upstream peer; see endpoint.c for the default's reason */
    size_t   max_queued;                /* CON requests that wait for NSTART, at all peers; a client has no more than are left */
    size_t   max_messages;              /* deduplication store: entries, each kept for its lifetime; at the bound, and when the
                                           pool is used up, the oldest finished ones go first.  A NON takes 32 bytes of the pool
                                           and 4 to 8 of the table; a CON 32 and its answer.  Also requests that are open at a
                                           time, observations among them */
    size_t   max_requests;              /* client role: requests outstanding */
    size_t   max_peers;                 /* upstream peers with state */
    struct osp_ledger *ledger;          /* counts separate responses, borrowed; NULL: they are not counted */
    size_t   max_token;                 /* longest token accepted from a client (8974), at least 8 */
    size_t   max_datagram;              /* longest datagram made */
    uint16_t upstream_socks;            /* sockets 0..upstream_socks-1 of `sock` may be used for requests, until
                                           osp_ep_set_socks() says otherwise: each has a Message ID space of its own per peer.
                                           At most 1024 */
};

void osp_ep_cfg_default(struct osp_ep_cfg *cfg);

struct osp_ep;

/* Counters, all since creation; read them any time from the owner's thread. */
struct osp_ep_stats {
    uint64_t rx, rx_request, rx_response, rx_empty, rx_duplicate, rx_pong /* pings answered */;
    uint64_t dropped[OSP_ERR_COUNT];    /* datagrams refused, by reason */
    uint64_t retransmitted, timeouts, resets_sent, resets_received, early_acks, separate, piggybacked;
    uint64_t dedup_evicted;             /* entries removed before their lifetime ended */
    uint64_t dedup_span_us;             /* now: how long a finished message is remembered; its lifetime, if nothing went early */
    uint64_t queue_refused;             /* CON requests refused because the queues, or the client's share of them, were full */
    uint64_t mids_exhausted;            /* requests refused because no socket had a Message ID free for their peer */
    size_t   socks_used;                /* sockets 0..socks_used-1 were used for requests so far */
    size_t   messages, requests, peers, queued; /* now */
};

/*
 * OSP_E_NOMEM.  `pool` and the source behind `rand` must outlive the endpoint.
 */
OSP_CHECKED enum osp_err osp_ep_new(const struct osp_ep_cfg *cfg, struct osp_rand rand, struct osp_pool *pool,
                                    struct osp_time now, struct osp_ep **out);
void osp_ep_free(struct osp_ep *ep);

/*
 * The endpoint as a transport, OSP_TRANSPORT_UDP, for those who know the exchange interface only.  What they ask for goes into
 * `tx`, which is borrowed until this is called again.  Its owner goes on to call osp_ep_input(); whoever has the transport
 * calls for what is due, and frees the endpoint with it.
 */
struct osp_transport *osp_ep_transport(struct osp_ep *ep, struct osp_txq *tx);

/*
 * One datagram came in.  ev->kind says what came up, OSP_EV_NONE if nothing did (an ACK, a
 * duplicate, garbage: counted).
 */
void osp_ep_input(struct osp_ep *ep, const struct osp_flow *from, struct osp_slice datagram,
                  struct osp_time now, struct osp_txq *tx, struct osp_event *ev);

/*
 * Handles one timer that is due and returns true, with an event or OSP_EV_NONE.  False: nothing is
 * due.  Call it in a loop.
 */
bool osp_ep_expire(struct osp_ep *ep, struct osp_time now, struct osp_txq *tx, struct osp_event *ev);

/* When to call osp_ep_expire() next.  False: no timer is set. */
bool osp_ep_deadline(const struct osp_ep *ep, struct osp_time *out);

/* ---- server role ---- */

/*
 * Answers request `handle`; type, MID and token of `resp` are ignored and set here.
 *   OSP_E_INVALID   the handle is stale: nothing is sent; drop the answer
 *   OSP_E_NOMEM, OSP_E_NOSPACE   nothing was sent and the handle is still valid
 */
OSP_CHECKED enum osp_err osp_ep_respond(struct osp_ep *ep, uint64_t handle, const struct osp_msg *resp,
                                        struct osp_respond how, struct osp_time now, struct osp_txq *tx);

/* True if the next response will be confirmable and so may be sent several times; false when stale. */
bool osp_ep_will_repeat(const struct osp_ep *ep, uint64_t handle);

/*
 * No (further) response will be sent.  A CON request is acknowledged with an empty ACK (now or on
 * its timer); `reset` true rejects it with RST instead.
 */
void osp_ep_dismiss(struct osp_ep *ep, uint64_t handle, bool reset, struct osp_time now, struct osp_txq *tx);

/* ---- client role ---- */

/*
 * Sends `m` to `peer` (the endpoint chooses socket, token and MID; `local`, if not all zero, is
 * the source address).  A CON beyond NSTART, or beyond its client's share of it, waits in the client's queue for
 * this peer; the queues are served in turn.
 * With `instead_of`, the old handle ends on OSP_OK and stays as it is on an error.  Notifications that were under way
 * to it do not stop the retransmission of the new request; they come up as responses to it, unless it deregisters
 * (Observe 1): then they are acknowledged and no more.
 *   OSP_E_OVERLOAD  a table or the client's share of the queues is full, no Message ID is free for this peer (answer 5.03),
 *                   or none on the socket that the old request went out on: the peer would not know who asks
 *   OSP_E_INVALID   `instead_of` is stale or was for another peer
 *   OSP_E_NOMEM, OSP_E_NOSPACE
 */
OSP_CHECKED enum osp_err osp_ep_request(struct osp_ep *ep, const struct osp_addr *peer, const struct osp_ip *local,
                                        const struct osp_msg *m, const struct osp_request *how,
                                        struct osp_time now, struct osp_txq *tx, uint64_t *handle);

/*
 * From now on sockets 0..count-1 may be used for new requests (count <= 1024).  The lowest ones are used first, and another one
 * only when those below have no Message ID free for a peer: whoever opens socket `stats.socks_used` ahead of its first
 * use, and says so here, keeps as many open as the load needs.
 */
void osp_ep_set_socks(struct osp_ep *ep, uint16_t count);

/* Forgets the request; a response that arrives later is unmatched.  A stale handle is ignored. */
void osp_ep_cancel(struct osp_ep *ep, uint64_t handle);

const struct osp_ep_stats *osp_ep_stats(const struct osp_ep *ep);

/* True if no request of either role is unfinished (deduplication entries may remain). */
bool osp_ep_idle(const struct osp_ep *ep);

#endif
