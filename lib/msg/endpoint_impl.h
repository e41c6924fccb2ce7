/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the message layer share and nobody else sees.
 *
 *   endpoint.c          creation, input and its dispatch, timers
 *   endpoint_server.c   received requests, and our responses to them
 *   endpoint_seen.c     the deduplication store: finished messages, kept to recognise their duplicates
 *   endpoint_client.c   requests of ours to upstream peers, and the responses to them
 *   endpoint_peer.c     Message IDs, and the state that is kept per upstream peer
 *   endpoint_share.c    NSTART: whose request goes next
 *   endpoint_exchange.c the endpoint as a transport of the exchange interface
 *
 * Three kinds of objects, all in memory of the pool:
 *
 *   ep_in    one received request that is open, which means that we still have to send something for it.  Found by
 *            (flow, MID, Token) until its lifetime is over, and by handle.
 *   ep_seen  one finished message, a request or a response, kept to recognise its duplicates.  Found by (flow, MID, Token)
 *            for EXCHANGE_LIFETIME or NON_LIFETIME.
 *   ep_req   one request of ours.  Found by Token, by (peer, socket, MID) for ACK and RST, and by handle.
 *
 * A separate CON response is a message of ours too.  It waits for its ACK in the table `mids`, as the requests of ours do, so a
 * Message ID that we sent to a peer belongs to one message only.
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
#define EP_PEER_SLOTS 4096      /* next Message IDs of upstream peers that have no state, hashed by peer */
#define EP_MID_BLOCKS 16        /* blocks of 4096 Message IDs that a socket has towards a peer */

enum ep_timer_kind { EP_T_FORGET, EP_T_EARLY_ACK, EP_T_RESEND_RESPONSE, EP_T_RESEND_REQUEST, EP_T_START_REQUEST, EP_T_DEADLINE };

/* Stored bytes of one datagram, from the pool. */
struct ep_bytes { uint8_t *p; uint32_t n; };

/* A message of ours that waits for an ACK or RST, and is sent again until one arrives. */
struct ep_wait {
    struct osp_node  node;      /* in ep.mids by (peer, sock, mid), if `waiting` */
    struct osp_timer timer;
    struct ep_bytes  bytes;
    uint64_t         timeout_us;
    struct osp_account *account;        /* account that a separate response is counted in; NULL: none */
    uint16_t         mid;
    uint8_t          tries;
    bool             waiting;
    bool             is_request; /* true: embedded in an ep_req; false: in an ep_in */
};

/* A keyed hash of (flow, MID, Token) of a message; its 128 bits tell messages apart, so nothing else is compared. */
struct ep_key { uint64_t half[2]; };

#define EP_END_SHIFT 14         /* times within a lifetime are kept in units of 16.4 ms, rounded down */

/* Special values of ep_seen.reply_len; a real length is at most 65,507, as a datagram has no more bytes. */
#define EP_IS_OPEN 0xffffu      /* this ep_seen is the first member of an ep_in */
#define EP_IS_NON 0xfffeu       /* a record whose duplicates are ignored */

static inline uint32_t
ep_units(uint64_t us)
{
    return (uint32_t)(us >> EP_END_SHIFT);
}

/* Finds a received message again, until its lifetime ends. */
struct ep_seen {
    struct osp_node node;       /* in ep.messages by the first half of the key */
    uint64_t        key_rest;   /* the second half of the key */
    uint32_t        ends;       /* when its lifetime ends, in units; it is not found after that */
    uint16_t        length;     /* bytes of a request's datagram, and so of its duplicates; 0: a response */
    uint16_t        reply_len;  /* bytes of the reply, stored behind the record of a CON; 0: duplicates get an empty ACK */
};
_Static_assert(sizeof(struct ep_seen) == 32, "half of what DESIGN allows for an answered NON, its place in the table included");

/* Finished messages in the order in which they were finished; endpoint_seen.c has the details. */
struct ep_log { struct osp_list segments; };

enum ep_in_state {
    EP_NEW,         /* the caller has the request, and nothing was sent yet */
    EP_ACKED,       /* an empty ACK was sent, and the response will follow */
    EP_ANSWERED,    /* the last response was sent, and is not acknowledged yet */
};

struct ep_in {
    struct ep_seen   seen;      /* in ep.messages until its lifetime ends */
    struct osp_node  by_handle; /* in ep.handles while `handle` is not 0 */
    struct osp_list  age;       /* in ep.open[confirmable] until its lifetime ends */
    struct osp_flow  flow;
    uint64_t         handle;
    struct ep_bytes  reply;     /* sent to a duplicate: the ACK, or the piggybacked response */
    struct ep_wait   out;       /* the separate response */
    struct ep_bytes  next;      /* the next notification, confirmable, which waits for `out` [rfc7641#4.5.2] */
    union { uint8_t in[EP_TOKEN_INLINE], *out; } token; /* `out`, in pool memory, if it is longer than `in` */
    uint16_t         token_len;
    uint16_t         mid, next_mid;
    uint8_t          type;
    uint8_t          state;     /* enum ep_in_state */
    bool             keep;      /* more responses may follow */
    bool             answered_once;
};

/* Message IDs of one socket towards a peer.  Each block has the time, in units, when its last number was used; 0: never begun. */
struct ep_lane { uint32_t ended[EP_MID_BLOCKS]; };

struct ep_peer {
    struct osp_node node;       /* in ep.peers by address */
    struct osp_list lru;
    struct osp_list first, others;      /* ep_share.turn of waiting clients: `first` have nothing outstanding, `others` have */
    struct osp_addr addr;
    uint32_t        outstanding;
    uint32_t        requests;   /* requests of ours that point to this peer */
    uint16_t        sock;       /* the socket whose Message IDs are being used */
    uint16_t        next_mid;
    bool            started;
    uint64_t        idle_us;    /* when the peer became idle, if it is idle */
    uint64_t        dry_us;     /* when none of `dry_socks` sockets had a number free */
    struct ep_lane  lane;       /* Message IDs of the first socket, which most peers use alone */
    struct ep_lane *lanes;      /* indexed by socket, `lane_count` of them; points to `lane` or to pool memory */
    unsigned        lane_count;
    uint16_t        dry_socks;
};

/* Counts the places that one client has in the queues of all upstream peers; freed when there are none. */
struct ep_waiting {
    struct osp_node node;       /* in ep.waiting by client */
    uint64_t        client;     /* as in struct osp_request; never 0 */
    size_t          queued;
};

/* The CON requests that one client has queued for, or outstanding at, one upstream peer. */
struct ep_share {
    struct osp_node node;       /* in ep.shares by (peer, client) */
    struct osp_list turn;       /* in peer->first or peer->others while something is queued */
    struct osp_list queue;      /* ep_req.queued, in order of arrival */
    struct ep_peer *peer;
    uint64_t        client;     /* as in struct osp_request */
    uint32_t        requests;   /* requests that point to this share */
    uint32_t        outstanding, queued;        /* how many of `requests` are outstanding and queued; the rest is acknowledged */
    struct ep_waiting *waiting; /* places of this client; NULL: nothing is queued, or this is client 0 */
};

struct ep_req {
    struct osp_node  by_token;
    struct osp_node  by_handle;
    struct osp_list  queued;
    struct osp_timer deadline;
    struct ep_wait   out;
    struct ep_peer  *peer;
    struct ep_share *share;     /* NULL for a NON */
    struct osp_flow  flow;
    uint64_t         handle, user;
    uint8_t          token[EP_TOKEN_INLINE];
    uint8_t          type;
    bool             keep;
    bool             counted;   /* counted in peer->outstanding */
    bool             bound;     /* took over the Token of an earlier request, so it must use flow.sock */
    bool             ends;      /* deregisters an observation, so a separate notification does not answer it */
};

struct osp_ep {
    struct osp_transport transport;     /* for users of the exchange interface, and: */
    struct osp_txq     *tx;             /* what they ask for goes in here */
    struct osp_peer_can can;
    struct osp_ep_cfg   cfg;
    struct osp_pool    *pool;
    struct osp_randbuf  rand;
    struct osp_hash_key seed;
    struct osp_wheel    wheel;
    struct osp_table    messages, handles, mids, tokens, requests, peers, shares, waiting;
    struct osp_list     peer_lru;
    struct osp_list     open[2];        /* ep_in.age in order of arrival; [0]: NON, [1]: CON */
    struct ep_log       done[2];        /* finished messages; [0]: NON, [1]: CON */
    struct osp_timer    forget;         /* when the next lifetime ends, which is at `forget_ends` */
    uint32_t            forget_ends;
    struct osp_time     now;            /* time of the last input or expiry */
    uint64_t            evicted_us, evicted_age_us;     /* when the last record was evicted early, and how old it was */
    uint64_t            next_handle;
    uint16_t            socks;          /* sockets 0..socks-1 may be used for requests */
    struct osp_ep_stats stats;
    struct osp_msg      msg;            /* the message that events point to */
    struct ep_key       key;            /* the key of `msg`, if it is a CON or NON */
    uint16_t            client_mid[EP_MID_SLOTS];
    uint16_t            peer_mid[EP_PEER_SLOTS];
};

/* ---- shared helpers ---- */

uint64_t ep_hash_flow_mid(const struct osp_ep *ep, const struct osp_addr *peer, uint16_t sock, uint16_t mid);
bool ep_bytes_keep(struct osp_ep *ep, struct ep_bytes *b, struct osp_slice s);
void ep_bytes_drop(struct osp_ep *ep, struct ep_bytes *b);
void ep_send_empty(struct osp_ep *ep, const struct osp_flow *to, uint8_t type, uint16_t mid, struct osp_txq *tx);
void ep_drop(struct osp_ep *ep, enum osp_err why);

/* Registers a CON of ours and starts its back-off; the caller has filled in w->bytes. */
void ep_wait_start(struct osp_ep *ep, struct ep_wait *w, const struct osp_flow *to, struct osp_time now);
/* Registers a NON of ours, which only a RST can answer at this layer. */
void ep_wait_watch(struct osp_ep *ep, struct ep_wait *w, const struct osp_flow *to);
void ep_wait_stop(struct osp_ep *ep, struct ep_wait *w);
struct ep_wait *ep_wait_find(struct osp_ep *ep, const struct osp_flow *from, uint16_t mid);
const struct osp_flow *ep_wait_flow(const struct ep_wait *w);
/* Sends the message of `w` once more.  False: all tries are used up. */
bool ep_wait_again(struct osp_ep *ep, struct ep_wait *w, struct osp_time now, struct osp_txq *tx);

/* ---- messages that were seen ---- */
struct ep_key ep_key_of(const struct osp_ep *ep, const struct osp_flow *from, const struct osp_msg *m);
/* The end of a lifetime that begins now, as ep_seen.ends. */
uint32_t ep_end_after(struct osp_time now, uint64_t lifetime_us);
bool ep_has_ended(uint32_t ends, struct osp_time now);
/* The message with this key, if its lifetime is not over; NULL: the message is new. */
struct ep_seen *ep_seen_find(struct osp_ep *ep, const struct ep_key *key, struct osp_time now);
/*
 * Stores the record of a finished message; key, end and length are copied from `like`, and `reply` is what duplicates get.
 * False: there is no memory, although all older records were given up for it.
 */
bool ep_seen_keep(struct osp_ep *ep, const struct ep_seen *like, bool con, struct osp_slice reply);
/* Forgets the message that was finished longest ago.  False: the store is empty. */
bool ep_seen_evict(struct osp_ep *ep);
/* Forgets finished messages until memory goes back to the pool; this is an osp_pool_reclaim_fn. */
bool ep_seen_reclaim(void *ep);
void ep_seen_duplicate(struct osp_ep *ep, const struct ep_seen *s, const struct osp_flow *from, uint16_t mid,
                       struct osp_txq *tx);
/* Makes sure that the timer rings no later than at `ends`, the end of a lifetime. */
void ep_forget_at(struct osp_ep *ep, uint32_t ends);
/* Ends a bounded number of lifetimes that are over, and sets the timer for the next one. */
void ep_forget(struct osp_ep *ep, struct osp_time now);
/* How long a finished message is remembered at present, in microseconds. */
uint64_t ep_seen_span(const struct osp_ep *ep);
void ep_seen_free(struct osp_ep *ep);

/* ---- server ---- */
void ep_in_free(struct osp_ep *ep, struct ep_in *in);
/* No more will be sent for it, so only its duplicates are answered from now on; `in` may be gone afterwards. */
void ep_in_finish(struct osp_ep *ep, struct ep_in *in);
void ep_server_request(struct osp_ep *ep, const struct osp_flow *from, struct osp_time now, struct osp_txq *tx,
                       struct osp_event *ev);
void ep_server_duplicate(struct osp_ep *ep, struct ep_in *in, struct osp_txq *tx);
void ep_server_acked(struct osp_ep *ep, struct ep_in *in, struct osp_time now, struct osp_txq *tx, struct osp_event *ev);
/* The time of the separate response is up: it or what waits behind it is sent; false when all tries are used up. */
bool ep_server_again(struct osp_ep *ep, struct ep_in *in, struct osp_time now, struct osp_txq *tx);
void ep_server_failed(struct osp_ep *ep, struct ep_in *in, enum osp_err why, struct osp_event *ev);
void ep_server_early_ack(struct osp_ep *ep, struct ep_in *in, struct osp_txq *tx);

/* ---- client ---- */
void ep_client_response(struct osp_ep *ep, const struct osp_flow *from, struct osp_time now, struct osp_txq *tx,
                        struct osp_event *ev);
void ep_client_acked(struct osp_ep *ep, struct ep_req *r);
/* Sends a request that has waited for its turn. */
void ep_client_start(struct osp_ep *ep, struct ep_req *r, struct osp_time now, struct osp_txq *tx, struct osp_event *ev);
void ep_client_failed(struct osp_ep *ep, struct ep_req *r, enum osp_err why, struct osp_event *ev);

/* ---- shares ---- */
/* `r` becomes one of the client's requests to its peer.  False: no memory. */
bool ep_share_join(struct osp_ep *ep, struct ep_req *r, uint64_t client);
void ep_share_leave(struct osp_ep *ep, struct ep_req *r);
/* True if one more request of the client may be sent now; otherwise it is queued. */
bool ep_share_may_start(const struct osp_ep *ep, const struct ep_share *s);
/* `r` is outstanding from now on. */
void ep_share_count(struct ep_req *r);
/* `r` is not outstanding any more, if it was: others may go [rfc7252#4.7]. */
void ep_share_uncount(struct osp_ep *ep, struct ep_req *r);
/* `r` waits for its turn.  False, and counted: the queues are full, the client has its share of them, or there is no memory. */
bool ep_share_queue(struct osp_ep *ep, struct ep_req *r);
void ep_share_unqueue(struct osp_ep *ep, struct ep_req *r);

/* ---- peers ---- */
struct ep_peer *ep_peer_get(struct osp_ep *ep, const struct osp_addr *addr);
void ep_peer_put(struct osp_ep *ep, struct ep_peer *p);
void ep_peer_free(struct osp_ep *ep, struct ep_peer *p);
/* The next Message ID towards `p` and the socket it belongs to; false, and counted, when none is free. */
bool ep_peer_mid(struct osp_ep *ep, struct ep_peer *p, struct osp_time now, uint16_t *sock, uint16_t *mid);
uint16_t ep_client_mid(struct osp_ep *ep, const struct osp_flow *to);

#endif
