/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The proxy of one worker: OSCORE layers, dispatch and exchanges in one state machine without I/O, above the
 * transports (msg/exchange.h).
 *
 *     events   -> osp_proxy_event() --+-> requests and responses to the transports
 *     time     -> osp_proxy_expire() -+-> asks: a name to resolve, sequence numbers to lease
 *     answers  -> osp_proxy_resolved(), osp_proxy_leased()
 *
 * A request climbs once: transport (deduplication) -> dispatch, removing one OSCORE layer per turn
 * [ocp#2.4] -> authorization -> translation -> the next hop's layer -> transport.  Its exchange then
 * owns everything that belongs to it (layers removed, layers added, policy, handles) until it ends
 * exactly once: answer, error or drop.
 */
#ifndef OSP_PROXY_PROXY_H
#define OSP_PROXY_PROXY_H

#include "base/share.h"
#include "base/pool.h"
#include "base/rand.h"
#include "msg/exchange.h"
#include "oscore/oscore.h"
#include "oscore/recipe.h"
#include "proxy/access/policy.h"

struct osp_proxy;

struct osp_proxy_cfg {
    size_t            max_exchanges;    /* in flight; at the bound new requests get 5.03; half of them may be observations */
    size_t            max_names;        /* name cache entries */
    struct osp_shares *shares;          /* of all workers, and borrowed; NULL: the proxy has its own, as follows */
    unsigned          client_share, prefix_share, known_reserve;        /* percent of each table */
    size_t            pool_bytes;       /* all memory of exchanges and stored messages */
    unsigned          amplification;    /* times its bytes that an unverified address gets back; 0: any number */
    size_t            max_body;         /* MAX_UNFRAGMENTED_SIZE: what is put together from blocks [rfc8613#4.1.3.4.2] */
    size_t            max_bodies;       /* transfers that something is kept of */
    size_t            max_bodies_per_peer;      /* of them by one address, or by one security context */
    struct osp_hash_key echo_key;       /* of Echo values for addresses: secret, and the same for all workers */
    uint64_t          lease_low;        /* ask for a lease when fewer sequence numbers are left */
};

void osp_proxy_cfg_default(struct osp_proxy_cfg *cfg);

/* OSP_E_NOMEM, OSP_E_CRYPTO.  No request is answered before osp_proxy_set_policy(). */
OSP_CHECKED enum osp_err osp_proxy_new(const struct osp_proxy_cfg *cfg, struct osp_rand rand, struct osp_time now,
                                       struct osp_proxy **out);
void osp_proxy_free(struct osp_proxy *px);

/* Takes a reference; exchanges in flight keep the policy they began under. */
void osp_proxy_set_policy(struct osp_proxy *px, struct osp_policy *p);

/*
 * The transports are made after the proxy, with memory of its pool and with its ledger, which outlive them.  The proxy takes `t`
 * over, also on an error, and frees it with everything else; its owner goes on to feed it.  OSP_E_NOMEM.
 */
struct osp_pool *osp_proxy_pool(struct osp_proxy *px);
struct osp_ledger *osp_proxy_ledger(struct osp_proxy *px);
OSP_CHECKED enum osp_err osp_proxy_add_transport(struct osp_proxy *px, enum osp_transport_id id, struct osp_transport *t);

/*
 * What a transport made of what it was fed, also when that is OSP_EV_NONE.  There must be room for a few messages on the way out
 * (osp_exchange_has_room()).
 */
void osp_proxy_event(struct osp_proxy *px, const struct osp_event *ev, struct osp_time now);

/* Does up to a bounded amount of what is due; true: call again, after what is on the way out was sent. */
bool osp_proxy_expire(struct osp_proxy *px, struct osp_time now);
bool osp_proxy_deadline(const struct osp_proxy *px, struct osp_time *out);

/* ---- asks ---- */

enum osp_ask_kind {
    OSP_ASK_RESOLVE,    /* look `host` up, then osp_proxy_resolved() */
    OSP_ASK_LEASE,      /* lease sequence numbers for `ctx` durably, osp_octx_grant() or
                           osp_octx_lease_failed(), then osp_proxy_leased().  A reference on ctx comes along. */
    OSP_ASK_WORN,       /* the keys of `ctx` have come near a limit, or to it, as `state` says: tell the operator, or renew
                           them.  Nothing waits for it.  A reference on ctx comes along. */
    OSP_ASK_AGREED,     /* a session of EDHOC with a next hop is over: `host` says which one, as "coap://192.0.2.7:5683 NAME" or
                           "coap://192.0.2.7:5683 NAME SUBJECT", and `err` how it ended: tell the operator.  Nothing waits for
                           it. */
    OSP_ASK_KEEP,       /* `recipe` is in the policy's runtime table: keep it and lease numbers for it.  The caller owns it now */
};

struct osp_ask {
    enum osp_ask_kind kind;
    char              host[256];        /* lower case */
    enum osp_err      err;
    struct osp_octx  *ctx;
    enum osp_key_state state;
    struct osp_recipe  *recipe;
};

/* Takes the next ask; false when there is none. Call after every input and expire. */
bool osp_proxy_next_ask(struct osp_proxy *px, struct osp_ask *ask);

/*
 * `host` has these addresses for `ttl_us`; err != OSP_OK: it has none (cached for ttl_us too).
 * Continues what waited for it.
 */
void osp_proxy_resolved(struct osp_proxy *px, const char *host, enum osp_err err, const struct osp_ip *ips, size_t count,
                        uint64_t ttl_us, struct osp_time now);

/* Sequence numbers of `ctx` were granted, or not: continues what waited for them. */
void osp_proxy_leased(struct osp_proxy *px, struct osp_octx *ctx, struct osp_time now);

/*
 * The stop begins: what clients observe ends at once, each client being told with 5.03, and its registration upstream is given
 * up with the next osp_proxy_expire().  Exchanges in flight go on; new requests get 5.03 with Max-Age from here on.
 * There should be room for an answer to each observation: what finds none is lost.
 */
void osp_proxy_drain(struct osp_proxy *px, struct osp_time now);

/* Ends every exchange in flight with 5.03 (at shutdown, after the drain time). */
void osp_proxy_abort_all(struct osp_proxy *px, struct osp_time now);

/* ---- what it did ---- */

struct osp_proxy_stats {
    uint64_t requests, forwarded_forward, forwarded_reverse, local;
    uint64_t layers_removed, layers_added;
    uint64_t layers_left;                       /* requests under a kid of ours whose layer was somebody else's: forwarded */
    uint64_t outer_ignored;                     /* protected requests with a Uri-Host or Uri-Port outside that chose no route */
    uint64_t challenges, challenges_repeated;   /* Echo: new ones; and those sent again, for a request that came again */
    uint64_t shortened;                         /* answers cut, or without their text, since an address was not verified */
    uint64_t rekey_begun;                       /* requests answered with an R2 */
    uint64_t rekeyed_server, rekeyed_client;    /* contexts derived anew, by our role */
    uint64_t cached;                            /* answered from the cache */
    uint64_t stale;                             /* answered with a stale response instead of an error */
    uint64_t answers[8];                        /* responses given to clients by class 2..5 (after the layers) */
    uint64_t errors[OSP_ERR_COUNT];             /* errors answered or dropped, by reason */
    uint64_t notifications;                     /* sent to clients */
    uint64_t agreed, not_agreed;                /* runs of EDHOC as the Initiator */
    uint64_t combined;                          /* requests with message_3 */
    uint64_t joined;                            /* waited for the answer to an equal request */
    uint64_t merged;                            /* registrations that joined one that was there */
    uint64_t renewed;                           /* registrations upstream made again */
    size_t   exchanges, names, parked;          /* now */
    uint64_t bodies_assembled;                  /* requests put together from a client's blocks */
    uint64_t bodies_cut, blocks_served;         /* responses cut for clients, and the later blocks of them */
    uint64_t bodies_sent, blocks_sent;          /* requests sent on in blocks, and their blocks */
    uint64_t bodies_collected;                  /* responses put together from the next hop's blocks */
    uint64_t bodies_gathered;                   /* responses put together from blocks that passed by, for the cache */
    uint64_t bodies_evicted, bodies_expired;    /* transfers given up for new ones, or never finished */
    size_t   bodies;                            /* kept now */
    size_t   used[OSP_SHARE_KINDS][2];          /* entries of tables that unknown [0] and known clients [1] have now */
    size_t   observations;                      /* of the exchanges */
    uint64_t locations_dropped;                 /* Location of responses that led out of the route, or had dot segments */
    size_t   subjects;                          /* what they observe, where they share it */
    size_t   pool_used, pool_limit;
};

void osp_proxy_stats(const struct osp_proxy *px, struct osp_proxy_stats *out);
/* How many requests came back from our own next hop [rfc8768#1]; *from: where the last one came from. */
uint64_t osp_proxy_came_back(const struct osp_proxy *px, struct osp_addr *from);

/* True if no exchange is in flight. */
bool osp_proxy_idle(const struct osp_proxy *px);

#endif
