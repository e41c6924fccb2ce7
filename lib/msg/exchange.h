/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The exchange interface: requests, responses and the peers that they come from and go to, whatever carries them.
 *
 * lib/proxy knows this much of what is below it, and no more.  UDP, TCP and so on are transports.  Each has a message layer
 * that turns datagrams or bytes of a stream into events, and requests and responses into datagrams or bytes:
 *
 *     lib/proxy  --- request, respond, dismiss, cancel --->  transport  ---> datagrams, or bytes of a connection
 *                <-- struct osp_event -------------------    transport  <--- datagrams, or bytes of a connection
 *
 * The owner of the sockets (daemon/) knows which transport a datagram or a connection belongs to.  It makes the transports,
 * feeds them, and hands the events on.  How a transport is fed, and what it leaves behind to be sent, is between these two and
 * is not part of this interface.  msg/endpoint.h is the transport for UDP.
 *
 * How to add a transport:
 *   1. Write a struct that begins with struct osp_transport, and the functions of struct osp_transport_ops for it.
 *   2. Every peer address that it puts into an event has `transport` set to its number in enum osp_transport_id
 *      (base/addr.h), and every handle that it makes has this number in the upper bits: OSP_HANDLE_FIRST().
 *   3. The daemon makes it, gives it to osp_proxy_add_transport(), and feeds it.
 * Nothing in lib/proxy changes for it.  tests/replay/toy.c is a small transport that is reliable, to read along.
 *
 * Handles are 64-bit numbers that are never used for two things; a stale one is refused and not followed.  0 is no handle.
 */
#ifndef OSP_MSG_EXCHANGE_H
#define OSP_MSG_EXCHANGE_H

#include "base/addr.h"
#include "base/share.h"
#include "base/time.h"
#include "msg/msg.h"

/* The first handle of a transport; the next ones count up from it. */
#define OSP_HANDLE_SHIFT 60
#define OSP_HANDLE_FIRST(transport) (((uint64_t)(transport) << OSP_HANDLE_SHIFT) + 1)

/* ---- what a peer can do ---- */

/*
 * What can be sent to a peer, and what it takes to do so.  Lengths are counted as osp_msg_size_udp() counts: 4 bytes, the
 * Token, options and payload.  A transport whose framing needs more takes the difference off.
 */
struct osp_peer_can {
    size_t   largest_message;   /* the longest message that goes there in one piece; longer ones go in blocks [rfc7959] */
    size_t   longest_token;     /* of its requests: so much is left free in a message for it, before the Token is known */
    unsigned copies;            /* how often one confirmable message is sent at most: MAX_RETRANSMIT + 1; or 1: once only */
    bool     reliable;          /* Messages arrive once and in order, or the connection is lost [rfc8323#3].  Nothing is
                                   confirmed then, and the values of Observe options carry no order [rfc8323#7.1] */
    bool     proven;            /* A handshake has shown that somebody hears us at this address: no Echo is asked of it, and
                                   answers may be as long as they are [rfc9175#2.6] */
    bool     multicast;         /* A request may go to a group address of this transport, and several may answer it */
};

/* ---- events: what came in ---- */

enum osp_ev_kind {
    OSP_EV_NONE,
    OSP_EV_REQUEST,     /* a new request of a client: `msg`, `flow`, `length`, `handle`, `confirmable` */
    OSP_EV_RESPONSE,    /* to a request of ours: `msg`, `flow`, `handle`, `user`, `confirmable`, `is_answer` */
    OSP_EV_FAILED,      /* a request of ours ended without a response: `handle`, `user`, and `err`:
                             TIMEOUT        its deadline is over, or nothing acknowledged it
                             RESET          the peer does not want it
                             BAD_RESPONSE   what came is not a message
                             UNREACHABLE    there is no connection, or it was lost
                             OVERLOAD       it had to wait, and then there was no room for it */
    OSP_EV_REJECTED,    /* a response of ours, sent with `keep`, never arrived, or the client does not want it, or its connection
                           was lost: `handle`, `err` = RESET, TIMEOUT or UNREACHABLE.  The handle has ended, and an observation
                           ends with it [rfc7641#3.6] */
    OSP_EV_DELIVERED,   /* a confirmable response, sent with `keep`, was acknowledged: `handle`.  A reliable transport has
                           nothing to say here */
};

struct osp_event {
    enum osp_ev_kind kind;
    enum osp_err     err;
    uint64_t         handle;
    uint64_t         user;      /* of struct osp_request */
    struct osp_flow  flow;      /* where it came from */
    uint32_t         length;    /* bytes of the message as it came: an answer to an unproven address is held against it */
    bool             confirmable;       /* The peer wanted it confirmed.  A reliable transport says true for a request, as it is
                                           not to be lost further on, and false for a response */
    bool             is_answer; /* It can only be the answer to the request itself: over UDP it came in the ACK.  False: it may be
                                   a notification that was under way before a registration was renewed.  A reliable transport
                                   says true for the first response to a request with a Token of its own */
    struct osp_msg  *msg;       /* owned by the transport until its next call; type and Message ID mean nothing to others.  The
                                   bytes that it borrows belong to whoever fed the transport */
};

/* ---- calls: what goes out ---- */

struct osp_request {
    bool            confirmable;        /* to be repeated until it is acknowledged; no matter to a reliable transport */
    bool            keep;       /* stay open for more responses (Observe) until it is cancelled */
    struct osp_time deadline;   /* OSP_EV_FAILED with TIMEOUT by then at the latest */
    uint64_t        user;       /* comes back in the events */
    uint64_t        client;     /* who has asked for it, as a number that the caller chooses: what a peer takes at a time is
                                   shared out among clients; 0: the caller himself */
    uint64_t        instead_of; /* handle of a kept request to this peer whose Token it takes over, to register again or
                                   to deregister [rfc7641#3.3.1] [rfc7641#3.6]; 0: a Token of its own */
};

struct osp_respond {
    bool keep;          /* more responses may follow (Observe): the handle stays valid */
    bool confirmable;   /* of a later (not first) response: repeat it until it is acknowledged; the first one is confirmable where
                           the request was */
    bool never_repeated;        /* it goes out once only, whatever the request was */
    struct osp_account *account;        /* a response that waits for an acknowledgement counts in the share of this account;
                                           beyond the share it is sent once only; NULL: no account */
};

struct osp_transport;

/*
 * What every transport implements.  None of these waits for anything, and none calls back: what happens later is an event of
 * expire(), or of feeding the transport.
 */
struct osp_transport_ops {
    /*
     * Sends `m` to `peer`; the transport chooses the Token.  With `instead_of`, the old handle ends on OSP_OK and stays as it is
     * on an error.  Exactly one OSP_EV_RESPONSE or OSP_EV_FAILED follows, and further responses if `keep` is set; none after
     * cancel().  A transport with connections makes one if there is none to this peer, and lets the request wait for it.
     *   OSP_E_OVERLOAD   a table is full, or the client has its share of it (the client gets 5.03)
     *   OSP_E_INVALID    `instead_of` is stale, was for another peer, or its connection is lost: the peer would not know it
     *   OSP_E_NOSPACE    it is longer than `largest_message`
     *   OSP_E_NOMEM
     */
    enum osp_err (*request)(struct osp_transport *t, const struct osp_addr *peer, const struct osp_msg *m,
                            const struct osp_request *how, struct osp_time now, uint64_t *handle);
    /* Forgets the request: no event comes for it any more.  Harmless when the handle is stale. */
    void (*cancel)(struct osp_transport *t, uint64_t handle);
    /*
     * Answers request `handle` of a client; the Token of `resp` is ignored and set here.
     *   OSP_E_INVALID    the handle is stale, or the connection is lost: nothing is sent; drop the answer
     *   OSP_E_NOSPACE    it is longer than `largest_message`; the handle is still valid, a shorter one may follow
     *   OSP_E_NOMEM      nothing was sent and the handle is still valid
     */
    enum osp_err (*respond)(struct osp_transport *t, uint64_t handle, const struct osp_msg *resp, struct osp_respond how,
                            struct osp_time now);
    /* Whether the next response to this request will be sent several times if nobody acknowledges it; false when stale, and
       always for a reliable transport. */
    bool (*will_repeat)(const struct osp_transport *t, uint64_t handle);
    /* There will be no (further) response.  `reset`: tell the client that the request was not taken, where there is a way. */
    void (*dismiss)(struct osp_transport *t, uint64_t handle, bool reset, struct osp_time now);
    /* What `peer` can do, as far as it is known now; borrowed until the next call.  Never NULL. */
    const struct osp_peer_can *(*can)(const struct osp_transport *t, const struct osp_addr *peer);
    /* Whether there is room for `n` more messages of any length on the way out.  False: the caller goes on after what is there
       was sent.  A transport that keeps what a connection does not take yet says true. */
    bool (*has_room)(const struct osp_transport *t, size_t n);
    /* Does one thing that is due and returns true, with an event or OSP_EV_NONE; false when nothing is due. */
    bool (*expire)(struct osp_transport *t, struct osp_time now, struct osp_event *ev);
    /* When expire() wants to be called next; false: not before something else happens. */
    bool (*deadline)(const struct osp_transport *t, struct osp_time *out);
    /* The longest message that comes in or goes out, for the size of buffers. */
    size_t (*longest)(const struct osp_transport *t);
    void (*free)(struct osp_transport *t);
};

/* The head of every transport. */
struct osp_transport { const struct osp_transport_ops *ops; };

/* ---- all transports of one worker ---- */

/* By enum osp_transport_id; NULL: messages to and from such peers are not possible. */
struct osp_transports { struct osp_transport *by[OSP_TRANSPORTS]; };

/* Whether there is a transport for `id`; OSP_TRANSPORTS, which is none, is fine too. */
static inline bool
osp_exchange_has(const struct osp_transports *ts, enum osp_transport_id id)
{
    return id < OSP_TRANSPORTS && ts->by[id];
}

/*
 * As the functions of struct osp_transport_ops, of the transport that the peer's address or the handle belongs to.  Where
 * there is none, a request gets OSP_E_UNREACHABLE, nothing is short enough for a peer, and a handle is stale.
 */
OSP_CHECKED enum osp_err osp_exchange_request(struct osp_transports *ts, const struct osp_addr *peer, const struct osp_msg *m,
                                              const struct osp_request *how, struct osp_time now, uint64_t *handle);
void osp_exchange_cancel(struct osp_transports *ts, uint64_t handle);
OSP_CHECKED enum osp_err osp_exchange_respond(struct osp_transports *ts, uint64_t handle, const struct osp_msg *resp,
                                              struct osp_respond how, struct osp_time now);
bool osp_exchange_will_repeat(const struct osp_transports *ts, uint64_t handle);
void osp_exchange_dismiss(struct osp_transports *ts, uint64_t handle, bool reset, struct osp_time now);
const struct osp_peer_can *osp_exchange_can(const struct osp_transports *ts, const struct osp_addr *peer);

/* Of all transports together: room is where all have it, the deadline is the earliest, and they take turns in expiring by
   their numbers. */
bool osp_exchange_has_room(const struct osp_transports *ts, size_t n);
bool osp_exchange_expire(struct osp_transports *ts, struct osp_time now, struct osp_event *ev);
bool osp_exchange_deadline(const struct osp_transports *ts, struct osp_time *out);

/* Frees all of them. */
void osp_exchange_free(struct osp_transports *ts);

#endif
