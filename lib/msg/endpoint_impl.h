/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Insides of the message layer, shared by its files.
 *
 *   endpoint.c          creation, input and its dispatch, timers
 *   endpoint_server.c   requests that came in, and the answers to them
 *   endpoint_client.c   requests of ours, and the answers to them
 *   endpoint_peer.c     Message IDs, NSTART: what is kept per upstream peer
 *
 * Two kinds of objects, both from the pool:
 *
 *   ep_in    one message that came in and may come again: a request (with its answer) or a response that
 *            was confirmed.  Found by (flow, MID).  Lives for EXCHANGE_LIFETIME or NON_LIFETIME, in a list in
 *            order of arrival per lifetime, so that no timer is needed to end it.
 *   ep_req   one request of ours.  Found by Token, by (peer, socket, MID) for ACK and RST, and by handle.
 *
 * A separate CON response is a message of ours too: it waits for its ACK in the table of ep_req's MIDs by
 * the same key, so a Message ID sent to a peer means one thing.
 */
#ifndef OSP_MSG_ENDPOINT_IMPL_H
#define OSP_MSG_ENDPOINT_IMPL_H

#include "base/hash.h"
#include "base/list.h"
#include "base/table.h"
#include "base/timer.h"
#include "msg/endpoint.h"

#define EP_TOKEN_INLINE 8
#define EP_MID_SLOTS 16384      /* Message ID counters towards clients, hashed by peer */
#define EP_PEER_SLOTS 4096      /* where the Message IDs of upstream peers without state go on, hashed by peer */
#define EP_MID_BLOCKS 16        /* a peer's Message IDs in blocks of 4096 */

enum ep_timer_kind { EP_T_EARLY_ACK, EP_T_RESEND_RESPONSE, EP_T_RESEND_REQUEST, EP_T_START_REQUEST, EP_T_DEADLINE };

/* Stored bytes of one datagram, from the pool. */
struct ep_bytes { uint8_t *p; uint32_t n; };

/* A message of ours that waits for ACK or RST, and is sent again until then. */
struct ep_wait {
    struct osp_node  node;      /* in ep.mids by (peer, sock, mid); in when `waiting` */
    struct osp_timer timer;
    struct ep_bytes  bytes;
    uint64_t         timeout_us;
    uint16_t         mid;
    uint8_t          tries;
    bool             waiting;
    bool             is_request; /* embedded in an ep_req, else in an ep_in */
};

enum ep_in_state {
    EP_NEW,         /* came up, nothing was sent yet */
    EP_ACKED,       /* an empty ACK was sent, the answer is to come */
    EP_ANSWERED,    /* the last answer went out; kept for duplicates */
};

struct ep_in {
    struct osp_node  node;      /* in ep.messages by (flow, mid) */
    struct osp_node  by_handle; /* in ep.handles while `handle` is not 0 */
    struct osp_list  age;       /* in ep.con_age or ep.non_age until its lifetime ends */
    struct osp_list  done;      /* in ep.done, once it may be evicted */
    struct osp_flow  flow;
    uint64_t         handle;
    uint64_t         ends_us;   /* end of its lifetime; after it the entry is not found by MID any more */
    struct ep_bytes  reply;     /* what a duplicate gets: the ACK, or the piggybacked answer */
    struct ep_wait   out;       /* the separate response */
    struct ep_bytes  next;      /* the notification that comes after it, confirmable too [rfc7641#4.5.2] */
    uint16_t         next_mid;
    uint8_t         *token;
    uint32_t         token_len;
    uint8_t          token_inline[EP_TOKEN_INLINE];
    uint32_t         length;    /* of a request's datagram */
    uint16_t         mid;
    uint8_t          type;
    uint8_t          state;     /* enum ep_in_state */
    bool             request;
    bool             keep;      /* more responses may follow */
    bool             answered_once;
};

struct ep_peer {
    struct osp_node node;       /* in ep.peers by address */
    struct osp_list lru;
    struct osp_list queue;      /* ep_req.queued: CON requests over NSTART */
    struct osp_addr addr;
    uint32_t        outstanding;
    uint32_t        requests;   /* requests of any kind that point here */
    uint16_t        sock;       /* the socket whose Message IDs are being used */
    uint16_t        next_mid;
    bool            started;
    uint64_t       *block_ended_us;     /* client_socks * EP_MID_BLOCKS: when its last number went out; 0: never begun */
};

struct ep_req {
    struct osp_node  by_token;
    struct osp_node  by_handle;
    struct osp_list  queued;
    struct osp_timer deadline;
    struct ep_wait   out;
    struct ep_peer  *peer;
    struct osp_flow  flow;
    uint64_t         handle, user;
    uint8_t          token[EP_TOKEN_INLINE];
    uint8_t          type;
    bool             keep;
    bool             counted;   /* in peer->outstanding */
    bool             bound;     /* took over the Token of another: only flow.sock will do */
    bool             ends;      /* ... to deregister: a notification in a message of its own is no answer to it */
};

struct osp_ep {
    struct osp_ep_cfg   cfg;
    struct osp_pool    *pool;
    struct osp_randbuf  rand;
    struct osp_hash_key seed;
    struct osp_wheel    wheel;
    struct osp_table    messages, handles, mids, tokens, requests, peers;
    struct osp_list     con_age, non_age, done, peer_lru;
    uint64_t            next_handle;
    struct osp_ep_stats stats;
    struct osp_msg      msg;            /* the one that events point to */
    uint16_t            client_mid[EP_MID_SLOTS];
    uint16_t            peer_mid[EP_PEER_SLOTS];
};

/* ---- shared helpers ---- */

uint64_t ep_hash_flow_mid(const struct osp_ep *ep, const struct osp_addr *peer, uint16_t sock, uint16_t mid);
bool ep_bytes_keep(struct osp_ep *ep, struct ep_bytes *b, struct osp_slice s);
void ep_bytes_drop(struct osp_ep *ep, struct ep_bytes *b);
void ep_send_empty(struct osp_ep *ep, const struct osp_flow *to, uint8_t type, uint16_t mid, struct osp_txq *tx);
void ep_drop(struct osp_ep *ep, enum osp_err why);

/* Registers a CON of ours and starts its back-off; the bytes are already in w->bytes. */
void ep_wait_start(struct osp_ep *ep, struct ep_wait *w, const struct osp_flow *to, struct osp_time now);
/* Registers a NON of ours, which only a RST can answer at this layer. */
void ep_wait_watch(struct osp_ep *ep, struct ep_wait *w, const struct osp_flow *to);
void ep_wait_stop(struct osp_ep *ep, struct ep_wait *w);
struct ep_wait *ep_wait_find(struct osp_ep *ep, const struct osp_flow *from, uint16_t mid);
const struct osp_flow *ep_wait_flow(const struct ep_wait *w);
/* Sends it once more; false when all tries are used up. */
bool ep_wait_again(struct osp_ep *ep, struct ep_wait *w, struct osp_time now, struct osp_txq *tx);

/* ---- server ---- */
struct ep_in *ep_in_find(struct osp_ep *ep, const struct osp_flow *from, uint16_t mid);
struct ep_in *ep_in_new(struct osp_ep *ep, const struct osp_flow *from, const struct osp_msg *m, struct osp_time now);
void ep_in_free(struct osp_ep *ep, struct ep_in *in);
void ep_in_finish(struct osp_ep *ep, struct ep_in *in);
void ep_in_age(struct osp_ep *ep, struct osp_time now);
void ep_server_request(struct osp_ep *ep, const struct osp_flow *from, struct osp_time now, struct osp_txq *tx,
                       struct osp_ep_event *ev);
void ep_server_duplicate(struct osp_ep *ep, struct ep_in *in, struct osp_txq *tx);
void ep_server_acked(struct osp_ep *ep, struct ep_in *in, struct osp_time now, struct osp_txq *tx, struct osp_ep_event *ev);
/* The time of the separate response is up: it or what waits behind it is sent; false when all tries are used up. */
bool ep_server_again(struct osp_ep *ep, struct ep_in *in, struct osp_time now, struct osp_txq *tx);
void ep_server_failed(struct osp_ep *ep, struct ep_in *in, enum osp_err why, struct osp_ep_event *ev);
void ep_server_early_ack(struct osp_ep *ep, struct ep_in *in, struct osp_txq *tx);

/* ---- client ---- */
void ep_client_response(struct osp_ep *ep, const struct osp_flow *from, struct osp_time now, struct osp_txq *tx,
                        struct osp_ep_event *ev);
void ep_client_acked(struct osp_ep *ep, struct ep_req *r);
/* Sends a request that has waited for its turn. */
void ep_client_start(struct osp_ep *ep, struct ep_req *r, struct osp_time now, struct osp_txq *tx, struct osp_ep_event *ev);
void ep_client_failed(struct osp_ep *ep, struct ep_req *r, enum osp_err why, struct osp_ep_event *ev);

/* ---- peers ---- */
struct ep_peer *ep_peer_get(struct osp_ep *ep, const struct osp_addr *addr);
void ep_peer_put(struct osp_ep *ep, struct ep_peer *p);
/* The next Message ID towards `p` and the socket it belongs to; false when none is free. */
bool ep_peer_mid(struct osp_ep *ep, struct ep_peer *p, struct osp_time now, uint16_t *sock, uint16_t *mid);
uint16_t ep_client_mid(struct osp_ep *ep, const struct osp_flow *to);

#endif
